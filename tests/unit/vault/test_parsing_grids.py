"""Tables of PDFs: rows and columns where the layout leaves no doubt, and lines everywhere else."""

from __future__ import annotations

import ctypes
import math
import time

import pytest

from freehold.domain.vault import BlockKind, Parsed
from freehold.vault.chunking import chunks_of
from freehold.vault.parsing.grids import Line, grids_of
from freehold.vault.parsing.limits import ParseLimits
from freehold.vault.parsing.read import FileReader
from tests.support.vault_pdf import drawn_pdf, grid, placed, text_pdf

for _needed in ("magika", "kreuzberg", "pypdfium2"):
    pytest.importorskip(_needed)

ROWS = [
    ["Region", "Revenue", "Cost of goods"],
    ["North", "1,200", "900"],
    ["South East", "300", "20"],
    ["West", "", "7"],
]
TABLE = (
    "| Region | Revenue | Cost of goods |\n| --- | --- | --- |\n| North | 1,200 | 900 |\n"
    "| South East | 300 | 20 |\n| West |  | 7 |"
)
ABOVE, BELOW = (
    (50.0, 800.0, "What was sold in this year, and what it did cost us:"),
    (50.0, 700.0, "That is all of it."),
)
WORDS = "the revenue of the second quarter rose by twelve percent against the year before and so did the cost of it"


READER = FileReader(ParseLimits(ocr_pages_max=0))


def read(*pages: bytes) -> Parsed:
    return READER.read_bytes(drawn_pdf(pages), name="a.pdf")


def tables(parsed: Parsed) -> list[str]:
    return [parsed.text[each.start : each.end] for each in parsed.blocks if each.kind is BlockKind.TABLE]


@pytest.mark.parametrize("order", ["rows", "columns", "backwards"])
def test_a_table_is_one_in_whatever_order_it_was_drawn(order: str) -> None:
    cells = grid(ROWS)
    if order == "columns":
        cells.sort(key=lambda each: each[0])
    elif order == "backwards":
        cells.reverse()
    parsed = read(placed([ABOVE, *cells, BELOW]), placed([ABOVE]))
    assert parsed.text == f"{ABOVE[2]}\n\n{TABLE}\n\n{BELOW[2]}\n\n{ABOVE[2]}"
    (table,) = [each for each in parsed.blocks if each.kind is BlockKind.TABLE]
    assert table.page == 1


def test_a_table_whose_rows_are_drawn_as_one_text_with_space_between() -> None:
    rows = [b"[(%s)-6000(%s)-4000(%s)] TJ T*" % tuple(cell.encode() for cell in row) for row in ROWS[:3]]
    # Of different widths, these do not stand below each other: no table, for who can say which is which.
    assert tables(read(b"BT /F1 10 Tf 50 800 Td 14 TL\n" + b"\n".join(rows) + b"\nET")) == []
    rows = [b"[(%d)-9000(%d)-9000(%d)] TJ T*" % (at + 10, at + 20, at + 30) for at in range(4)]
    found = tables(read(b"BT /F1 10 Tf 50 800 Td 14 TL\n" + b"\n".join(rows) + b"\nET"))
    assert found == ["| 10 | 20 | 30 |\n| --- | --- | --- |\n| 11 | 21 | 31 |\n| 12 | 22 | 32 |\n| 13 | 23 | 33 |"]


def test_numbers_on_the_right_of_their_column_are_in_it() -> None:
    cells = grid([["Item", "Amount in euro"], ["Bread", ""], ["Wine", ""], ["Cheese", ""]])
    cells += [(230.0 - 5.6 * len(number), 766.0 - 14 * at, number) for at, number in enumerate(("7", "1200", "34"))]
    assert tables(read(placed(cells))) == [
        "| Item | Amount in euro |\n| --- | --- |\n| Bread | 7 |\n| Wine | 1200 |\n| Cheese | 34 |"
    ]


def test_a_cell_of_two_lines_is_one_cell_and_a_heading_between_rows_is_a_row() -> None:
    rows = [["Item", "What it is"], ["Bread", "baked every day"], ["", "but Sunday"], ["Drinks", ""], ["Wine", "red"]]
    (table,) = tables(read(placed(grid(rows))))
    assert table.splitlines()[2:] == ["| Bread | baked every day but Sunday |", "| Drinks |  |", "| Wine | red |"]


def test_two_tables_with_a_sentence_between_are_two() -> None:
    sentence = (50.0, 780.0 - 14 * 4, "These were the regions of last year, and what follows are those of this one:")
    cells = [*grid(ROWS), sentence, *grid(ROWS, y=780.0 - 14 * 5)]
    parsed = read(placed(cells))
    assert tables(parsed) == [TABLE, TABLE]
    assert parsed.text == f"{TABLE}\n\n{sentence[2]}\n\n{TABLE}"


def columns(count: int, characters: int) -> list[tuple[float, float, str]]:
    """Prose in columns."""
    words, found = WORDS.split() * 40, list[tuple[float, float, str]]()
    for column in range(count):
        for line in range(30):
            text = ""
            while len(text) + len(words[0]) < characters:
                text += (" " if text else "") + words.pop(0)
                words.append("again")
            found.append((40 + column * (520 / count), 790 - 13 * line, text))
    return found


@pytest.mark.parametrize(
    "drawn",
    [
        columns(2, 46),
        columns(3, 29),
        columns(4, 22),
        sorted(columns(3, 29), key=lambda each: -each[1]),
        grid([["-", "bread, which is baked every day"], ["-", "wine"], ["-", "cheese"], ["-", "salt"]], wide=30),
        grid([["1.", "bread, which is baked"], ["2.", "wine"], ["3.", "cheese"], ["4.", "salt"]], wide=30),
        grid([["Region", "Revenue"], ["North", "1,200"]]),
        [(50.0 + 97 * (at % 3) * (at % 2), 780.0 - 14 * at, "word") for at in range(12)],
        [ABOVE, BELOW],
    ],
    ids=["two columns", "three", "four", "three, line by line", "dots", "numbers", "two rows", "scattered", "prose"],
)
def test_what_is_no_table_for_sure_stays_lines(drawn: list[tuple[float, float, str]]) -> None:
    parsed = read(placed(drawn))
    assert tables(parsed) == []
    assert all(word in parsed.text for _, _, text in drawn for word in text.split())


def test_each_piece_of_a_long_table_has_its_head() -> None:
    rows = [["Region", "Revenue", "Cost"], *([f"Region {at}", f"{at},200", f"{at}"] for at in range(55))]
    parsed = read(placed(grid(rows)), placed(grid(rows)), placed(grid(rows)))
    pieces = chunks_of(parsed, title="a", characters_max=600)
    assert len(tables(parsed)) == 3
    assert len(pieces) >= 3
    assert all("| Region | Revenue | Cost |" in each.indexed for each in pieces)


def test_nothing_is_lost_or_said_twice_by_tables() -> None:
    text = read(placed([ABOVE, *grid(ROWS), BELOW])).text
    assert sorted(text.replace("|", " ").replace("---", " ").split()) == sorted(
        " ".join([ABOVE[2], *(cell for row in ROWS for cell in row), BELOW[2]]).split()
    )


def test_a_heading_is_known_by_its_letters_where_its_middle_is_a_blank_that_nobody_wrote() -> None:
    title = placed([(50, 800, "Annual"), (116, 800, "report")], size=18)
    parsed = read(title + b"\n" + placed([(50, 770 - 14 * at, WORDS) for at in range(5)]))
    assert [parsed.text[each.start : each.end] for each in parsed.blocks if each.kind is BlockKind.HEADING] == [
        "Annual report"
    ]


def test_a_page_that_was_made_to_take_time_takes_none() -> None:
    cells = [(x, 800.0 - 2 * line, "1") for line in range(300) for x in (50.0, 200.0, 350.0)]
    cells += [(50.0, 800.0 - 2 * line, "2") for line in range(1, 600, 2)]
    began_s = time.process_time()
    assert "1" in read(placed(cells, size=1)).text
    assert "1" in read(placed([(float(5 * at), 800.0, "1") for at in range(8_000)], size=1)).text
    assert time.process_time() - began_s < 5


def test_pages_of_text_cost_no_more_than_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing looks like a table, no character is asked for its place but the first and the last of a line."""
    asked: list[int] = []
    at = "freehold.vault.parsing.pages._Boxes.at"
    monkeypatch.setattr(at, lambda _, number: (asked.append(number), (50.0, 60.0, 0.0, 10.0))[1])
    lines = [f"Line {number}: {WORDS}" for number in range(40)]
    began_s = time.process_time()
    READER.read_bytes(text_pdf([lines] * 20), name="a.pdf")
    assert len(asked) <= 2 * 20 * 41
    assert time.process_time() - began_s < 20 / 20  # the bar: 20 pages a second


def test_what_has_more_columns_than_anybody_reads_takes_no_time() -> None:
    """Each cell is held against each column: of three rows with a thousand cells each that would be millions of times."""
    wide = [
        Line(
            text="7" * 1_500,
            size=1.0,
            boxes=[(3.0 * place, 3.0 * place + 1, 10.0 - 2 * row, 11.0 - 2 * row) for place in range(1_500)],
        )
        for row in range(3)
    ]
    before_s = time.process_time()
    assert grids_of(wide) == []
    assert time.process_time() - before_s < 1.0


def test_places_that_are_none_are_no_places() -> None:
    from freehold.vault.parsing.pages import _Boxes

    boxes = object.__new__(_Boxes)
    boxes._layer, boxes._to = None, []
    boxes._values = [ctypes.c_double(each) for each in (1.0, math.nan, math.inf, 2.0)]
    boxes._get = lambda *_given: True
    assert boxes.at(0) == (0.0, 0.0, 0.0, 0.0)
