"""Sources of an answer in the words of the other dialects."""

from __future__ import annotations

import json
from typing import Any

from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason
from freehold.vault.cite import cite
from freehold.wire.citations import annotations_of, output_text_annotations, text_block_citations
from freehold.wire.messages_response import MessageEvents
from freehold.wire.responses_response import ResponseEvents
from freehold.wire.sse import SseParser
from tests.support.chunks import piece
from tests.support.passages import passage
from tests.support.receipts import make_receipt

REQUEST = InferenceRequest(id="0190-0000-ab", task=Task.CHAT, model="auto", stream=True)
CITED = cite("Turing was born in 1912.", [passage("Alan Turing was born in 1912 in London.", start=7)])
SAID: dict[str, Any] = {"annotations": annotations_of(CITED.citations)}
CHUNKS = [piece(role="assistant", content=""), piece(content=CITED.text), piece(FinishReason.STOP, **SAID)]


def test_responses_has_them_on_the_text() -> None:
    note = {"type": "file_citation", "file_id": "doc-0", "filename": "A report", "index": 24}
    assert output_text_annotations(SAID) == [note]
    assert output_text_annotations({"annotations": [note, {"type": "url_citation", "url_citation": {}}]}) == [note]
    writer = ResponseEvents(REQUEST)
    events = SseParser().feed(b"".join(map(writer.add, CHUNKS)) + writer.end(make_receipt()))
    told = [json.loads(event.data) for event in events]
    added = next(each for each in told if each["type"] == "response.output_text.annotation.added")
    assert added["annotation"] == note
    (item,) = told[-1]["response"]["output"]
    assert item["content"][0]["annotations"] == [note]


def test_messages_has_places_in_the_document() -> None:
    (cited,) = text_block_citations(SAID)
    assert (cited["type"], cited["document_index"], cited["start_char_index"]) == ("char_location", 0, 7)
    assert cited["cited_text"] == "Alan Turing was born in 1912 in London."
    writer = MessageEvents(REQUEST)
    events = SseParser().feed(b"".join(map(writer.add, CHUNKS)) + writer.end(make_receipt()))
    deltas = [json.loads(event.data).get("delta", {}) for event in events]
    assert [each["citation"] for each in deltas if each.get("type") == "citations_delta"] == [cited]


def test_without_words_only_places_are_told() -> None:
    assert "Alan" not in str(annotations_of(CITED.citations, quotes=False))
