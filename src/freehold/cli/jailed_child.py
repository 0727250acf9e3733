"""Asks a child process of ours what it finds once it is in its jail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def asked_in_jail(module: str, *, timeout_s: float, **order: object) -> list[bytes]:
    """The lines that a child of ours answers an order with, in a folder of its own that is gone afterwards.

    Args:
        module: Which child.
        timeout_s: How long it may take.
        order: What it is told besides the folder.

    Raises:
        OSError: It cannot be started.
        subprocess.SubprocessError: It took too long.
    """
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        done = subprocess.run(
            [sys.executable, "-P", "-s", "-m", module],
            input=json.dumps({"folder": folder, **order}).encode() + b"\n",
            capture_output=True,
            timeout=timeout_s,
            check=False,
            cwd=folder,
            env={"PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)},
        )
    return done.stdout.splitlines()
