"""Pieces of documents, whatever the text and its blocks."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.vault import Block, BlockKind, Parsed
from freehold.vault.chunking import TABLE_CHARACTERS_MAX, chunks_of, sentences_of

TEXTS = st.text(st.sampled_from("ab.。।!? \n\t|-,é漢ก\u3000"), max_size=400) | st.text(max_size=80)
KINDS = st.sampled_from(list(BlockKind))


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    blocks = tuple(
        Block(
            start=start, end=end, kind=draw(KINDS), page=page, heading=draw(st.sampled_from([(), ("A",), ("A", "B")]))
        )
        for page, (start, end) in enumerate(itertools.pairwise(cuts), start=1)
        if draw(st.booleans())
    )
    return Parsed(text=text, blocks=blocks, media_type="text/plain", parser="p", title=draw(st.sampled_from(["", "T"])))


@given(documents(), st.integers(1, 50))
def test_pieces_hold_all_of_the_text_once_and_in_order(parsed: Parsed, longest: int) -> None:
    chunks = chunks_of(parsed, characters_max=longest)
    at = 0
    for chunk in chunks:
        assert not parsed.text[at : chunk.start].strip()
        assert at <= chunk.start < chunk.end
        body = parsed.text[chunk.start : chunk.end]
        assert body == body.strip()
        assert chunk.indexed.endswith(body)
        assert len(body) <= (TABLE_CHARACTERS_MAX if chunk.kind is BlockKind.TABLE else longest)
        at = chunk.end
    assert not parsed.text[at:].strip()


@given(documents())
def test_a_piece_begins_on_the_page_of_the_block_that_it_begins_in(parsed: Parsed) -> None:
    for chunk in chunks_of(parsed, characters_max=20):
        for block in parsed.blocks:
            if block.start <= chunk.start < block.end:
                assert chunk.page == block.page


@given(TEXTS)
def test_sentences_hold_all_of_the_text_once(text: str) -> None:
    joined = "".join(text[start:end] for start, end in sentences_of(text))
    assert "".join(joined.split()) == "".join(text.split())
