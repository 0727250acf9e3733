"""The detector's child process: ``python -m freehold.gateway.scan_worker``, started by ``engines.detector`` only.

It begins as ``process.worker`` says, loads the model that marks names where it is given one, and with it what tells
languages apart, and looks through one piece after the other until standard input closes. It holds no secret and has no
socket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from freehold.domain.detect_ports import Marker, Teller
from freehold.engines.detector.child import answer_to
from freehold.engines.onnx.tagger import Tagger
from freehold.engines.onnx.teller import LanguageTeller
from freehold.engines.process.frames import frame, messages, write_whole
from freehold.engines.process.worker import begin
from freehold.policy.look import look


def main() -> None:
    """Run one order."""
    order, descriptor = begin()
    model: Mapping[str, Any] | None = order["model"]
    marker, teller, version = None, None, ""
    if model is not None:
        marker = Tagger(model=model["model"], tokenizer=model["tokenizer"], labels=model["labels"])
        teller, version = LanguageTeller(), model["version"]
    with os.fdopen(descriptor, "wb", buffering=0) as answers:
        for asked in messages(sys.stdin.buffer):
            write_whole(answers, answer(asked, marker=marker, teller=teller, version=version))
    # No orderly stop: the model's memory goes with the process.
    os._exit(0)


def answer(asked: Mapping[str, Any], *, marker: Marker | None, teller: Teller | None, version: str) -> bytes:
    """The frame that answers one message."""
    if "piece" not in asked:
        return frame(answer_to(asked["id"], None))
    looked = look(asked["piece"], marker=marker if asked["names"] else None, model=version, teller=teller)
    return frame(answer_to(asked["id"], looked))


if __name__ == "__main__":
    main()
