"""Runs Python with nothing but loopback, where this system lets it: ``python -m tests.clients.alone -m pytest …``.

Other people's code then reaches nobody, whatever it tries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SEALED = ("unshare", "--map-root-user", "--net")
_UP = 'ip link set lo up && exec "$@"'


def main() -> None:
    """Become the Python that was asked for."""
    command = [sys.executable, *sys.argv[1:]]
    if all(map(shutil.which, ("unshare", "ip"))):
        sealed = [*SEALED, "sh", "-c", _UP, "sh"]
        if subprocess.run([*sealed, "true"], capture_output=True, check=False).returncode == 0:
            command = [*sealed, *command]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
