"""What the system lets an engine's child give up: asked of a child that enters the jail and does nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from freehold.cli.checks import Check, bad, good, remark

_TIMEOUT_S = 30.0


def check_jail() -> list[Check]:
    """One finding for each measure; what the system refuses is to be known, not wrong."""
    nothing = shutil.which("true")
    if nothing is None:
        return [remark("engine jail", "not asked: this system has no program that does nothing")]
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        order = {"folder": folder, "readable": [], "command": [nothing]}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-s", "-m", "freehold.engines.llama.worker"],
                input=json.dumps(order).encode() + b"\n",
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
                cwd=folder,
                env={"PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)},
            )
            report = cast("list[dict[str, Any]]", json.loads(done.stdout.splitlines()[0]))
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            return [bad("engine jail", f"the child that was to enter it failed: {error}")]
    missing = [f"{each['name']} ({each['detail']})" for each in report if not each["holds"]]
    held = [str(each["name"]) for each in report if each["holds"]]
    found = [good("engine jail", ", ".join(held))] if held else []
    if missing:
        found.append(remark("engine jail", f"this system does not grant: {', '.join(missing)}"))
    return found
