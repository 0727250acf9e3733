"""What the system lets an engine's child give up: asked of a child that enters the jail and does nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, cast

from freehold.cli.checks import Check, bad, good, remark
from freehold.cli.jailed_child import asked_in_jail

_TIMEOUT_S = 30.0


def check_jail() -> list[Check]:
    """One finding for each measure; what the system refuses is to be known, not wrong."""
    nothing = shutil.which("true")
    if nothing is None:
        return [remark("engine jail", "not asked: this system has no program that does nothing")]
    try:
        lines = asked_in_jail("freehold.engines.llama.worker", timeout_s=_TIMEOUT_S, readable=[], command=[nothing])
        report = cast("list[dict[str, Any]]", json.loads(lines[0]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return [bad("engine jail", f"the child that was to enter it failed: {error}")]
    missing = [f"{each['name']} ({each['detail']})" for each in report if not each["holds"]]
    held = [str(each["name"]) for each in report if each["holds"]]
    found = [good("engine jail", ", ".join(held))] if held else []
    if missing:
        found.append(remark("engine jail", f"this system does not grant: {', '.join(missing)}"))
    return found
