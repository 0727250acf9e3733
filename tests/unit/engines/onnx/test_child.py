"""What a child may say over its pipe, and what becomes of one that says something else."""

from __future__ import annotations

import asyncio
import signal
from typing import cast

import pytest

from freehold.domain.errors.upstream import UpstreamBroken
from freehold.engines.onnx.child import Answer, ChildSpec, OnnxChild
from freehold.engines.onnx.settings import OnnxSettings
from freehold.engines.process.frames import LENGTHS, frame

SPEC = ChildSpec(
    name="home",
    settings=OnnxSettings(model_path="m.onnx", tokenizer_path="t.json"),
    reranks=False,
    tokens_max=9,
    threads=1,
    folder="/nowhere",
)


class Pipe:
    """Takes what is written, and forgets it."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool:
        return False


class Process:
    """Says what a test has it say."""

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr = Pipe(), asyncio.StreamReader(), asyncio.StreamReader()
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        self.stdout.feed_eof()


async def asked(*said: bytes, report: bytes = b"[]\n") -> tuple[Process, Answer | BaseException]:
    process = Process()
    child = OnnxChild(cast("asyncio.subprocess.Process", process), spec=SPEC).begin({})
    process.stdout.feed_data(report)
    asking = asyncio.create_task(child.ask({"text": "a", "cut": False}))
    await asyncio.sleep(0)
    for each in said:
        process.stdout.feed_data(each)
    (answer,) = await asyncio.wait_for(asyncio.gather(asking, return_exceptions=True), 5)
    process.stderr.feed_eof()
    return process, answer


def test_an_answer_reaches_who_asked_and_one_to_nobody_is_forgotten() -> None:
    answers = frame({"id": 7, "tokens": 1}), frame({"id": 1, "tokens": 2}, b"\0\0\0\0")
    process, answer = asyncio.run(asked(*answers))
    assert answer == Answer(tokens=(2,), numbers=b"\0\0\0\0")
    assert not process.signals


@pytest.mark.parametrize(
    "said",
    [
        LENGTHS.pack(2, 0) + b"{]",
        frame({"id": [1], "tokens": 1}),
        frame({"tokens": 1}),
        frame({"id": 1, "tokens": "1"}),
        frame({"id": 1, "tokens": -1}),
        frame({"id": 1, "too_long": {}}),
        b"\xff" * LENGTHS.size,
    ],
)
def test_what_is_no_answer_ends_the_child_and_whoever_waits_for_it(said: bytes) -> None:
    process, answer = asyncio.run(asked(said))
    assert isinstance(answer, UpstreamBroken)
    assert process.signals == [signal.SIGKILL]


@pytest.mark.parametrize("report", [b"no report\n", b"[1]\n", b'[{"x": 1}]\n', b"{}}\n"])
def test_what_is_no_report_ends_the_child(report: bytes) -> None:
    process, answer = asyncio.run(asked(report=report))
    assert isinstance(answer, UpstreamBroken)
    assert process.signals == [signal.SIGKILL]


def test_a_child_that_ends_within_an_answer_is_missed_by_whoever_waits_for_it() -> None:
    async def scenario() -> None:
        process = Process()
        child = OnnxChild(cast("asyncio.subprocess.Process", process), spec=SPEC).begin({})
        process.stdout.feed_data(b"[]\n" + frame({"id": 1, "tokens": 1})[:-3])
        asking = asyncio.create_task(child.ask({"text": "a", "cut": False}))
        await asyncio.sleep(0)
        process.stdout.feed_eof()
        for _ in range(2):
            with pytest.raises(UpstreamBroken, match="its process ended"):
                await asking
            asking = asyncio.create_task(child.ask({"text": "a", "cut": False}))
        process.stderr.feed_eof()
        asking.cancel()

    asyncio.run(scenario())
