from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.ports import UpstreamCall
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.domain.zones import DEVICE
from freehold.engines.llama.infill import InfillForm, InfillReply, PieceForm, read_form
from freehold.engines.openai_events import chunks
from freehold.wire.openai_request import decode_completion

CARD = ModelCard(name="m", infill=True)
HOME = Deployment(name="tiny", engine=EngineKind.EMBEDDED, model=CARD, zone=DEVICE, terms=Terms())
TOKEN = {"token": "a", "logprob": -0.25, "top_logprobs": [{"token": "a", "logprob": -0.25}]}
PROGRESS = {"content": "", "stop": False, "prompt_progress": {"total": 9, "processed": 4}}
PIECE = {"content": "return", "stop": False, "completion_probabilities": [TOKEN]}
END = {
    "content": "", "stop": True, "stop_type": "eos", "tokens_evaluated": 9, "tokens_predicted": 1,
    "timings": {"cache_n": 4, "prompt_n": 5, "prompt_ms": 10.0, "predicted_n": 1, "predicted_ms": 2.0},
}  # fmt: skip


QWEN = InfillForm(
    head="<repo>x\n",
    before="<file>f\n<pre>",
    middle="<suf>",
    tail="<mid>",
    pieces=PieceForm(separator="<file>", named="\n"),
)
UNNAMED = InfillForm(
    head="", before="<pre>", middle="<suf>", tail="<mid>", pieces=PieceForm(separator="\n--\n", named=None)
)


class FakeReply:
    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, data: bytes, cut: int) -> None:
        self._data, self._cut = data, cut
        self.aborted = False

    async def pieces(self) -> AsyncGenerator[bytes]:
        for place in range(0, len(self._data), self._cut):
            yield self._data[place : place + self._cut]

    async def read(self, *, limit_bytes: int) -> bytes:
        return self._data[:limit_bytes]

    def abort(self) -> None:
        self.aborted = True


def answer(*events: object, cut: int = 1_000, **members: object) -> list[ResponseChunk]:
    body = {"model": "auto", "prompt": "a", "suffix": "b", **members}
    request = decode_completion(json.dumps(body).encode(), request_id="r1")
    call = UpstreamCall(origin="unix:///s", path="/infill", body=b"", headers=(), request=request)
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)

    async def main() -> list[ResponseChunk]:
        reply = InfillReply(FakeReply(data, cut), request_id="r1", created_unix_s=1_700_000_000)
        return [each async for each in chunks(reply, call, deployment=HOME)]

    return asyncio.run(main())


@pytest.mark.parametrize("cut", [1, 7, 1_000])
def test_events_become_those_of_a_completion(cut: int) -> None:
    found = answer(PROGRESS, PIECE, END, cut=cut, logprobs=1, stream=True)
    assert [each.text for each in found] == ["", "return", ""]
    assert [each.payload is None for each in found] == [True, False, False]
    piece = found[1]
    assert piece.payload is not None
    assert {name: piece.payload[name] for name in ("id", "object", "created", "model")} == {
        "id": "cmpl-r1", "object": "text_completion", "created": 1_700_000_000, "model": "tiny",
    }  # fmt: skip
    assert piece.logprobs[0].logprob == -0.25
    assert piece.payload["choices"][0]["logprobs"]["token_logprobs"] == [-0.25]  # pyright: ignore[reportIndexIssue]
    assert found[-1].finish_reason is FinishReason.STOP
    assert found[-1].usage == Usage(input_tokens=9, output_tokens=1, cached_tokens=4)
    assert found[-1].timings is not None
    assert found[-1].timings.generated_tokens == 1


def test_the_limit_is_told_from_the_end() -> None:
    assert answer(END | {"stop_type": "limit"})[-1].finish_reason is FinishReason.LENGTH
    assert answer(END | {"stop_type": "word"})[-1].finish_reason is FinishReason.STOP


def test_a_stream_that_breaks_off_never_looks_whole() -> None:
    with pytest.raises(UpstreamBroken):
        answer(PIECE)


@pytest.mark.parametrize("event", [{"error": {"message": "boom", "code": 500}}, {"odd": 1}, "text"])
def test_what_is_no_infill_event_is_an_error(event: object) -> None:
    with pytest.raises(FreeholdError):
        answer(event, END)


@pytest.mark.parametrize(
    ("written", "bos", "form"),
    [
        ("<pre>alpha<suf>omega<mid>", "", InfillForm(head="<pre>", middle="<suf>", tail="<mid>")),
        ("<s><pre>alpha<suf>omega<mid>", "<s>", InfillForm(head="<pre>", middle="<suf>", tail="<mid>")),
        ("<repo>x\n<file>beta\ngamma<file>delta\nepsilon<file>f\n<pre>alpha<suf>omega<mid>", "", QWEN),
        ("<s>\n--\ngamma\n--\nepsilon<pre>alpha<suf>omega<mid>", "<s>", UNNAMED),
        ("gamma<pre>alpha<suf>omega<mid>", "", InfillForm(head="gamma<pre>", middle="<suf>", tail="<mid>")),
        ("<suf>omega<pre>alpha<mid>", "", None),
        ("<pre>al<suf>omega<mid>", "", None),
        ("alphaomega", "", None),
        ("<alpha>alpha<suf>omega", "", None),
        (None, "", None),
    ],
)
def test_the_form_is_read_from_the_prompt_that_was_made(written: str | None, bos: str, form: InfillForm | None) -> None:
    assert read_form({"prompt": written}, bos=bos) == form


def prompt(form: InfillForm, *texts: str, context_tokens: int = 4096, **members: object) -> str:
    extra = [{"filename": f"{place}.py", "text": text} for place, text in enumerate(texts)]
    body = {"model": "auto", "prompt": "a", "suffix": "z", "input_extra": extra, **members}
    return form.prompt(decode_completion(json.dumps(body).encode(), request_id="r1"), context_tokens=context_tokens)


def test_pieces_of_other_files_stand_before_the_prompt() -> None:
    assert prompt(QWEN) == "<repo>x\n<file>f\n<pre>a<suf>z<mid>"
    assert prompt(QWEN, "one", "two") == "<repo>x\n<file>0.py\none<file>1.py\ntwo<file>f\n<pre>a<suf>z<mid>"
    assert prompt(UNNAMED, "one") == "\n--\none<pre>a<suf>z<mid>"
    plain = InfillForm(head="<pre>", middle="<suf>", tail="<mid>")
    assert prompt(plain, "one") == "<pre>a<suf>z<mid>"


def test_pieces_that_do_not_surely_fit_are_left_out_the_oldest_first() -> None:
    old, new = "o" * 60, "n" * 60
    assert old not in (found := prompt(QWEN, old, new, context_tokens=100))
    assert new in found
    assert new not in prompt(QWEN, old, new, context_tokens=100, max_tokens=80)
    assert new not in prompt(QWEN, new, context_tokens=100, prompt="p" * 150)
    assert "<file>0.py" not in prompt(QWEN, new, context_tokens=100, max_tokens=500)


@pytest.mark.parametrize("extra", [5, ["text"], [{"text": 1}], {"text": "x"}])
def test_pieces_that_are_none_are_refused(extra: object) -> None:
    with pytest.raises(FieldInvalid) as caught:
        prompt(QWEN, input_extra=extra)
    assert caught.value.param.startswith("input_extra")
