"""What the worker says, and what is no answer of it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from freehold.domain.detect_ports import Looked, Mention
from freehold.domain.findings import Finding
from freehold.engines.detector.child import DetectorChild, DetectorSpec, NameModel, answer_to
from freehold.engines.process.frames import LENGTHS, frame, lengths
from freehold.gateway.scan_worker import answer

LOOKED = Looked(
    findings=(Finding(start=1, end=3, kind="pii", type="EMAIL", score=0.5),), missed="x", versions=(("views", "1"),)
)


class Process:
    pid = 1
    stdin = stdout = stderr = None


def heard(framed: bytes) -> tuple[int, Looked]:
    head_bytes, _ = lengths(framed[: LENGTHS.size])
    child = DetectorChild(cast("asyncio.subprocess.Process", Process()), name="detector", folder="/nowhere")
    return child.heard(framed[LENGTHS.size : LENGTHS.size + head_bytes], b"")


def test_what_is_said_is_heard() -> None:
    assert heard(frame(answer_to(7, LOOKED))) == (7, LOOKED)
    assert heard(frame(answer_to(8, None))) == (8, Looked(findings=()))


@pytest.mark.parametrize("head", [{"id": "x"}, {"looked": {}}, {"id": 1, "looked": {"findings": [{"start": 1}]}}])
def test_what_is_no_answer_is_refused(head: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        heard(frame(head))


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2)])
def test_a_finding_that_is_nowhere_is_refused(start: int, end: int) -> None:
    looked = Looked(findings=(Finding(start=start, end=end, kind="pii", type="EMAIL"),))
    with pytest.raises(ValueError, match="nowhere"):
        heard(frame(answer_to(1, looked)))


def test_the_order_names_the_files_that_may_be_read() -> None:
    model = NameModel(version="m-1", model_path="/a/m.onnx", tokenizer_path="/a/t.json", labels=("O",))
    order = DetectorSpec(module="m", model=model, folder="/f").order()
    assert {"/a/m.onnx", "/a/t.json"} <= set(cast("list[str]", order["readable"]))
    assert order["model"] == {"version": "m-1", "model": "/a/m.onnx", "tokenizer": "/a/t.json", "labels": ("O",)}
    assert DetectorSpec(module="m", model=None, folder="/f").order()["model"] is None


def test_the_worker_answers_a_piece_and_a_heartbeat() -> None:
    def marks(text: str, /) -> list[Mention]:
        return [Mention(start=4, end=8, type="GIVEN_NAME", score=0.9)]

    asked = {"id": 3, "piece": "Ask Jane at jane@example.org.", "names": True}
    number, looked = heard(answer(asked, marker=marks, teller=None, version="m-1"))
    assert (number, [each.type for each in looked.findings]) == (3, ["PERSON", "EMAIL"])
    assert "m-1" in dict(looked.versions)["names"]
    _, shapes = heard(answer({**asked, "names": False}, marker=marks, teller=None, version="m-1"))
    assert [each.type for each in shapes.findings] == ["EMAIL"]
    assert heard(answer({"id": 4}, marker=None, teller=None, version="")) == (4, Looked(findings=()))
