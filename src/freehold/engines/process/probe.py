"""A worker that tries to get out and tells: ``python -m freehold.engines.process.probe``, for ``freehold doctor``.

It begins as every worker of ours does (``worker.begin``), so that what holds for it holds for them. With ``executes`` in
its order it becomes another program first, as the worker of ``engine = "llama-server"`` does, and tries from there.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from freehold.engines.process.worker import begin
from freehold.net.ways_out import Doors, try_ways_out

_INSIDE = "--inside"


def main(arguments: list[str]) -> None:
    """Run one order, or what is left of it in the program that we have become."""
    if arguments[:1] == [_INSIDE]:
        answers, port, path = arguments[1:]
        _tell(int(answers), Doors(port=int(port), path=path))
        return
    order, answers_to = begin()
    if order.get("executes"):
        os.set_inheritable(answers_to, True)
        inside = [_INSIDE, str(answers_to), str(order["port"]), order["path"]]
        command = [sys.executable, "-P", "-s", "-m", "freehold.engines.process.probe", *inside]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves, no shell
    _tell(answers_to, Doors(port=order["port"], path=order["path"]))


def _tell(answers: int, doors: Doors) -> None:
    os.write(answers, json.dumps([asdict(each) for each in try_ways_out(doors)]).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
