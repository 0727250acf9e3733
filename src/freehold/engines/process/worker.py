"""How every worker process of ours begins; ``child`` has the other end."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from freehold.engines.process import jail


def begin() -> tuple[dict[str, Any], int]:
    """Read the order, enter the jail and report. Must run before a second thread exists.

    Returns:
        The order, of which ``folder``, ``readable`` and ``executes`` are read here, and the descriptor of what was
        standard output: whatever a library prints goes to the error output, and is not taken for an answer of ours.
    """
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    answers = os.dup(1)
    os.dup2(2, 1)
    report = jail.enter(
        writable=order["folder"], readable=[*sys.path, *order["readable"]], executes=bool(order.get("executes"))
    )
    os.write(answers, json.dumps([asdict(measure) for measure in report]).encode() + b"\n")
    return order, answers
