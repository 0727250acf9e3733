"""What a client gets of an answer from documents: checked text, then where it is from, however it came."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason, ResponseChunk, TokenLogprob
from freehold.domain.vault import Found
from freehold.gateway.citing import CitingOptions, CitingSink
from freehold.vault.cite import CiteOptions
from freehold.wire.openai_whole import Aggregator
from tests.support.chunks import call, piece
from tests.support.passages import passage
from tests.support.receipts import make_receipt

TEXT = "The defence gave up 308 points in the season. Kony Ealy did not play in the final game."
FOUND = Found(passages=(passage(TEXT, start=40),), support=0.9, generation=7)
ANSWER = 'It gave up 308 points [1]. He wrote "Ealy did play in the final game" about it [4]. The sky is blue.'
SHOWN = "It gave up 308 points. [1] He wrote Ealy did play in the final game about it. The sky is blue."
REQUEST = InferenceRequest(id="0190-0000-ab", task=Task.CHAT, model="auto", stream=True)
WHOLE = InferenceRequest(id="0190-0000-ab", task=Task.CHAT, model="auto")
RECEIPT: Receipt = make_receipt()


class Surface:
    """Keeps what comes."""

    dialect = None
    is_full = False

    def __init__(self) -> None:
        self.chunks: list[ResponseChunk] = []
        self.answer: Aggregator | None = None
        self.ended = 0

    def chunk(self, chunk: ResponseChunk) -> None:
        self.chunks.append(chunk)

    def collected(self, answer: Aggregator) -> None:
        self.answer = answer

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        del receipt, end
        self.ended += 1

    @property
    def whole(self) -> dict[str, Any]:
        told = self.answer or Aggregator()
        for each in self.chunks:
            told.add(each)
        return told.whole(REQUEST, model="auto")


def stream(
    pieces: list[ResponseChunk], options: CitingOptions | None = None, request: InferenceRequest = REQUEST
) -> Surface:
    surface = Surface()
    sink = CitingSink(surface, FOUND, request, options)  # pyright: ignore[reportArgumentType]  # what it uses of one
    for each in pieces:
        sink.chunk(each)
    sink.finished(RECEIPT)
    return surface


def cut(text: str, step: int) -> list[ResponseChunk]:
    return [
        piece(role="assistant", content=""),
        *(piece(content=text[place : place + step]) for place in range(0, len(text), step)),
        piece(FinishReason.STOP),
    ]


@pytest.mark.parametrize("step", [1, 5, 17, 1000])
def test_a_stream_is_checked_however_it_comes(step: int) -> None:
    surface = stream(cut(ANSWER, step))
    whole = surface.whole
    message = whole["choices"][0]["message"]
    assert message["content"] == SHOWN == "".join(each.text for each in surface.chunks)
    (note,) = message["annotations"]
    inner = note["file_citation"]
    assert (inner["file_id"], inner["filename"], inner["number"]) == ("doc-0", "A report", 1)
    assert SHOWN[inner["start_index"] : inner["end_index"]] == "It gave up 308 points."
    assert TEXT[inner["document_start"] - 40 : inner["document_end"] - 40] == inner["quote"]
    told = whole["vault"]
    assert told["generation"] == 7
    assert told["support"] == 0.9
    assert not told["abstained"]
    assert told["quotes"] == {"fabricated": 1}
    assert [SHOWN[each["start"] : each["end"]] for each in told["unsupported"]] == [
        "He wrote Ealy did play in the final game about it.",
        "The sky is blue.",
    ]
    assert surface.ended == 1


def test_a_sentence_is_shown_before_the_answer_is_over() -> None:
    surface = stream(cut(ANSWER, 4))
    first = next(place for place, each in enumerate(surface.chunks) if each.text)
    assert surface.chunks[first].text == "It gave up 308 points. [1] "
    assert first < len(surface.chunks) - 2


def test_a_whole_answer_is_checked_as_a_stream_is() -> None:
    answer = Aggregator()
    for each in cut(ANSWER, 9):
        answer.add(each)
    surface = Surface()
    CitingSink(surface, FOUND, WHOLE).collected(answer)  # pyright: ignore[reportArgumentType]  # what it uses of one
    streamed = stream(cut(ANSWER, 3)).whole
    assert surface.whole["choices"] == streamed["choices"]
    assert surface.whole["vault"] == streamed["vault"]


def test_quotes_are_left_out_where_values_are_taken_out_of_answers() -> None:
    whole = stream(cut(ANSWER, 9), CitingOptions(quotes=False)).whole
    assert "308 points in the season" not in str(whole)
    assert whole["vault"]["citations"][0]["start"] == 40


def test_calls_come_behind_the_text_that_was_before_them() -> None:
    surface = stream(
        [
            piece(content="I look it up"),
            piece(tool_calls=call(0, "{}", id="c1", name="f")),
            piece(FinishReason.TOOL_CALLS),
        ]
    )
    texts = [bool(each.text) for each in surface.chunks]
    assert texts.index(True) <= next(place for place, each in enumerate(surface.chunks) if each.tool_call)
    message = surface.whole["choices"][0]["message"]
    assert message["content"] == "I look it up"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_an_answer_that_never_ends_is_shown_all_the_same() -> None:
    whole = stream(cut(ANSWER, 9)[:-1]).whole
    assert whole["choices"][0]["message"]["content"] == SHOWN
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["vault"]["citations"]


def test_json_for_a_program_stays_as_it_is() -> None:
    said = '{"quote": "Ealy did play in the final game", "n": [1]}'
    request = InferenceRequest(id="r", task=Task.CHAT, model="auto", stream=True, response_schema_json=b"{}")
    whole = stream(cut(said, 6), request=request).whole
    assert whole["choices"][0]["message"]["content"] == said
    assert whole["vault"]["citations"] == []


def test_an_answer_that_is_not_good_enough_is_not_shown() -> None:
    seen: list[tuple[float, float | None]] = []

    def abstains(cited: Any, logprob: float | None) -> bool:
        seen.append((cited.supported_share, logprob))
        return True

    pieces = cut(ANSWER, 9)
    token = ResponseChunk(payload={"choices": [dict[str, Any]()]}, logprobs=(TokenLogprob(token="x", logprob=-0.5),))
    surface = stream([pieces[0], token, *pieces[1:]], CitingOptions(abstains=abstains, abstention="Not there."))
    whole = surface.whole
    assert whole["choices"][0]["message"]["content"] == "Not there."
    assert "annotations" not in whole["choices"][0]["message"]
    assert whole["vault"]["abstained"]
    assert whole["vault"]["citations"] == []
    assert seen == [(pytest.approx(1 / 3), -0.5)]


@pytest.mark.parametrize(
    ("answer", "supported", "doubted"),
    [
        ("It gave up 308 points. The sky is blue.", 1, False),
        ("The sky is blue. Nobody ever pays for anything.", 0, True),
    ],
)
def test_a_stream_in_which_nothing_is_supported_says_so_at_its_end(answer: str, supported: int, doubted: bool) -> None:
    options = CitingOptions(abstains=lambda cited, _: cited.supported_share == 0, holds=False)
    surface = stream(cut(answer, 5), options)
    told = surface.whole["vault"]
    assert (told["claims"], told["supported"], told["doubted"], told["abstained"]) == (2, supported, doubted, False)
    last: Any = surface.chunks[-1].payload
    assert last["vault"]["doubted"] is doubted
    assert next(place for place, each in enumerate(surface.chunks) if each.text) < len(surface.chunks) - 1
    assert surface.whole["choices"][0]["message"]["content"].startswith(answer[:15])


def test_calls_without_text_are_never_doubted() -> None:
    options = CitingOptions(abstains=lambda _, logprob: logprob is None, holds=False)
    surface = stream(
        [piece(tool_calls=call(0, "{}", id="c1", name="f")), piece(FinishReason.TOOL_CALLS)],
        options,
    )
    assert not surface.whole["vault"]["doubted"]


def test_a_refusal_of_the_models_own_counts_as_one() -> None:
    assert stream(cut("That is not in your documents.", 7)).whole["vault"]["abstained"]


def test_unsupported_sentences_can_be_marked() -> None:
    options = CitingOptions(cite=CiteOptions(markers=False, mark_unsupported=" [not in your documents]"))
    whole = stream(cut(ANSWER, 9), options).whole
    assert whole["choices"][0]["message"]["content"].endswith("The sky is blue. [not in your documents]")
    assert "[1]" not in whole["choices"][0]["message"]["content"]
