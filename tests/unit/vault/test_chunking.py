"""Where documents are cut, and what a piece is found by."""

from __future__ import annotations

from freehold.domain.vault import Block, BlockKind, Chunk, Parsed
from freehold.vault.chunking import TABLE_CHARACTERS_MAX, chunks_of


def parsed(*parts: tuple[str, BlockKind, tuple[str, ...]]) -> Parsed:
    text, blocks = "", []
    for body, kind, heading in parts:
        blocks.append(
            Block(start=len(text), end=len(text) + len(body), kind=kind, page=len(blocks) + 1, heading=heading)
        )
        text += body + "\n\n"
    return Parsed(text=text, blocks=tuple(blocks), media_type="text/plain", parser="p")


def bodies(document: Parsed, chunks: tuple[Chunk, ...]) -> list[str]:
    return [document.text[each.start : each.end] for each in chunks]


def test_text_is_cut_at_paragraphs_before_lines_before_sentences_before_blanks() -> None:
    document = parsed(("One two. Three four.\nFive six.\n\nSeven.", BlockKind.TEXT, ()))
    assert bodies(document, chunks_of(document, characters_max=30)) == ["One two. Three four.\nFive six.", "Seven."]
    assert bodies(document, chunks_of(document, characters_max=20)) == ["One two. Three four.", "Five six.\n\nSeven."]
    assert bodies(document, chunks_of(document, characters_max=12)) == [
        "One two.",
        "Three four.",
        "Five six.",
        "Seven.",
    ]
    assert bodies(document, chunks_of(document, characters_max=5))[:3] == ["One", "two.", "Three"]


def test_chinese_and_hindi_sentences_are_ends_too() -> None:
    document = parsed(("今日は。明日は。", BlockKind.TEXT, ()), ("एक दो। तीन चार।", BlockKind.TEXT, ("x",)))
    assert bodies(document, chunks_of(document, characters_max=4))[:2] == ["今日は。", "明日は。"]
    assert bodies(document, chunks_of(document, characters_max=9))[-2:] == ["एक दो।", "तीन चार।"]


def test_title_and_headings_are_found_and_not_quoted() -> None:
    document = parsed(
        ("Payment", BlockKind.HEADING, ("Terms", "Payment")), ("Thirty days.", BlockKind.TEXT, ("Terms", "Payment"))
    )
    (chunk,) = chunks_of(document, title="Contract")
    assert chunk.heading == ("Terms", "Payment")
    assert chunk.indexed == "Contract › Terms › Payment\nPayment\n\nThirty days."
    assert document.text[chunk.start : chunk.end] == "Payment\n\nThirty days."


def test_a_long_section_does_not_run_into_the_next() -> None:
    long = "word " * 120
    document = parsed((long, BlockKind.TEXT, ("A",)), ("B", BlockKind.HEADING, ("B",)), (long, BlockKind.TEXT, ("B",)))
    first, second = chunks_of(document)
    assert (first.heading, second.heading) == (("A",), ("B",))
    assert document.text[second.start] == "B"


def test_a_table_stays_whole() -> None:
    rows = "\n".join(f"| {row} | {'x' * 40} |" for row in range(25))
    document = parsed(("Before.", BlockKind.TEXT, ()), (rows, BlockKind.TABLE, ()), ("After.", BlockKind.TEXT, ()))
    assert len(rows) < TABLE_CHARACTERS_MAX
    assert bodies(document, chunks_of(document)) == ["Before.", rows, "After."]


def test_a_long_table_is_cut_between_rows_and_its_head_is_found_with_each_part() -> None:
    head = "| year | amount |\n|---|---|\n"
    rows = "".join(f"| {1900 + row} | {'9' * 30} |\n" for row in range(100))
    document = parsed((head + rows, BlockKind.TABLE, ()))
    chunks = chunks_of(document)
    assert len(chunks) > 1
    for chunk in chunks:
        body = document.text[chunk.start : chunk.end]
        assert body.startswith("| ")
        assert body.endswith(" |")
        assert chunk.indexed.startswith("| year | amount |")
    assert document.text[chunks[1].start : chunks[1].end].count("amount") == 0


def test_code_is_cut_between_its_parts() -> None:
    one, two = "def a():\n    x = 1\n\n    return x", "def b():\n    return 2"
    document = parsed((f"{one}\n\n{two}", BlockKind.CODE, ()))
    assert bodies(document, chunks_of(document, characters_max=40)) == [one, two]


def test_text_that_no_block_names_is_kept() -> None:
    document = Parsed(text="first second third", blocks=(Block(start=6, end=12, page=3),), media_type="t", parser="p")
    assert bodies(document, chunks_of(document, characters_max=6)) == ["first", "second", "third"]


def test_a_text_without_any_place_to_cut_is_cut_all_the_same() -> None:
    document = Parsed(text="x" * 2000, media_type="t", parser="p")
    assert [each.end - each.start for each in chunks_of(document, characters_max=800)] == [800, 800, 400]
