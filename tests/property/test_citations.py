"""Whatever an answer says: what it shows in quote marks is in the documents, and how it was cut changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.vault.cite import Cited, CiteOptions, Citer, cite
from freehold.vault.marks import quotes_in
from freehold.vault.quotes import fold, is_short
from tests.support.passages import passage

_WORDS = (
    "the revenue rose fell by 5.2 million 17 % not never Turing was born in 1912 London isn't safe well-known trac-\ntors"
    " sea\u00adson ﬁnal Straße “inner words here” 'so it is' 他说。 不安全 Москва города 3,000 km e.g. Dr. U.S. … - – ``` `x` > |"
)
WORDS = _WORDS.split(" ")
MARKS = [
    '"', "“", "”", "„", "«", "»", "「", "」", "‘", "’", "'", "[1]", "[2]", "[9]", "【1】", "[1-3]", ".", "!", "?", ":", "\n", "\n\n",
    "> ", "```\n", "`", " ", "。", "...", "[...]",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*WORDS, *MARKS]) | st.text(max_size=4), max_size=40).map(" ".join)
DOCUMENTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=4, max_size=40).map(" ".join), min_size=0, max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Sequence[str], str]:
    """Documents, and an answer with true, cut and made quotes from them."""
    documents = draw(DOCUMENTS)
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 5))):
        if documents and draw(st.booleans()):
            source = draw(st.sampled_from(documents))
            start = draw(st.integers(0, len(source)))
            piece = source[start : start + draw(st.integers(0, 60))]
            opened, closed = draw(
                st.sampled_from([('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("「", "」"), ("", "")])
            )
            parts.append(opened + piece + closed + draw(st.sampled_from(["", ".", " [1].", "\n", " [2] "])))
        else:
            parts.append(draw(TEXTS))
    return documents, draw(st.sampled_from(["", " "])).join(parts)


@given(answers(), st.booleans())
def test_every_citation_is_the_documents_own_text(case: tuple[Sequence[str], str], markers: bool) -> None:
    documents, answer = case
    whole = [f"before it: {text} behind it" for text in documents]
    passages = [passage(text, start=11, number=place) for place, text in enumerate(documents)]
    found = cite(answer, passages, CiteOptions(markers=markers))
    for each in found.citations:
        source = whole[each.number - 1]
        assert each.document_id == passages[each.number - 1].document.id
        assert 11 <= each.start < each.end <= len(source) - len(" behind it")
        assert each.quote == source[each.start : each.end]
        assert 0 <= each.answer_start < each.answer_end <= len(found.text)
    for start, end in found.unsupported:
        assert 0 <= start < end <= len(found.text)


@given(answers())
def test_what_is_shown_in_quote_marks_is_in_a_document(case: tuple[Sequence[str], str]) -> None:
    documents, answer = case
    found = cite(answer, [passage(text, number=place) for place, text in enumerate(documents)])
    shown = {found.text[each.answer_start : each.answer_end] for each in found.citations}
    for line in _outside_code(found.text):
        for quote in quotes_in(line):
            said = line[quote.start + 1 : quote.end - 1]
            is_name = is_short(said)
            assert is_name or said in shown, (said, shown)


def _outside_code(text: str) -> Sequence[str]:
    return [] if "```" in text or "\n" in text else [text]


@given(answers(), st.data())
def test_a_stream_is_cited_as_the_whole(case: tuple[Sequence[str], str], data: st.DataObject) -> None:
    documents, answer = case
    passages = [passage(text, number=place) for place, text in enumerate(documents)]
    options = CiteOptions(mark_unsupported=" (?)", question="When was Turing born?")
    citer = Citer(passages, options)
    shown, place = "", 0
    while place < len(answer):
        step = data.draw(st.integers(1, 12))
        shown += citer.feed(answer[place : place + step])
        place += step
    shown += citer.close()
    assert citer.cited == cite(answer, passages, options)
    assert shown == citer.cited.text


@given(TEXTS)
def test_folding_keeps_the_way_back(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    assert all(start < end for start, end in zip(folded.starts, folded.ends, strict=True))
    assert list(folded.starts) == sorted(folded.starts)
    assert fold(folded.text).text == folded.text


@pytest.mark.parametrize("answer", ["", " ", "\n", '"', "“", "[1]", "```", "`"])
def test_nothing_is_made_of_nothing(answer: str) -> None:
    found = cite(answer, [])
    assert isinstance(found, Cited)
    assert found.citations == ()
    assert found.unsupported == ()
