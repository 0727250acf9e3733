"""What a file is, by its content; and names of what is inside, which are never paths."""

from __future__ import annotations

import pytest

from freehold.domain.errors.vault import FileDamaged, FileKindUnknown, FileTooCostly, FileTooLarge, FileUnread
from freehold.vault.parsing.inside import inside_name
from freehold.vault.parsing.limits import ParseLimits, Spent
from freehold.vault.parsing.read import FileReader
from tests.support.hostile_files import HOSTILE, Hostile
from tests.support.vault_office import zipped

for _needed in ("magika", "kreuzberg", "pypdfium2"):
    pytest.importorskip(_needed, reason="the extra vault is not installed")

READER = FileReader()


@pytest.mark.parametrize(
    "text",
    [
        "MZ is the mark of the house, and it begins this text.",
        "BMW is a maker of cars; this sentence says no more than that.",
        "BZh is no word in any language that I know of.",
        "Rar! cried the lion, and everybody ran away as fast as they could.",
        "From my point of view this is a letter.\nSubject: it has one, too.\n\nYours, Ana",
        "Note: this is a text.\nWith two lines.",
        "A file of that format begins with %PDF-1.7, as this text says.",
        "ID3 tags hold what a song is called.",
    ],
)
def test_a_text_that_begins_like_something_else_is_a_text(text: str) -> None:
    parsed = READER.read_bytes(text.encode(), name="a.txt")
    assert (parsed.media_type, parsed.text) == ("text/plain", text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"MZ\x90\x00\x03" + bytes(200), "a program"),
        (b"Rar!\x1a\x07\x00" + bytes(200), "a RAR archive"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(200), "a film or sound"),
        (b"\x01\x02\x03\x04" * 50, "bytes that are no text"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, words: str) -> None:
    with pytest.raises(FileKindUnknown, match=words):
        READER.read_bytes(data, name="a.pdf")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\..\\x.txt", "Users/x.txt"),
        ("a\u202etxt.exe", "a\ufffdtxt.exe"),
        ("a\x00b\nc", "a\ufffdb\ufffdc"),
        ("..", ""),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_name_inside_leads_nowhere_and_hides_nothing(name: str, shown: str) -> None:
    assert inside_name(name) == shown


def test_two_files_of_one_name_are_both_read() -> None:
    parsed = READER.read_bytes(zipped({"a.txt": "one text", "./a.txt": "another text"}), name="a.zip")
    assert [name for name, _ in parsed.members] == ["a.txt", "a.txt~2"]


@pytest.mark.parametrize("name", ["flat-bomb.zip", "bomb.docx", "sparse.tar"])
def test_a_bomb_is_told_by_its_ratio_before_it_is_unpacked(name: str) -> None:
    hostile: Hostile = next(each for each in HOSTILE if each.name == name)
    with pytest.raises(FileTooLarge, match="200 times its size"):
        READER.read_bytes(hostile.make(), name=name)


def test_a_limit_on_all_that_is_inside_ends_the_reading_of_it() -> None:
    files = {f"{number}.txt": "a line of text\n" * 100 for number in range(10)}
    parsed = FileReader(ParseLimits(characters_max=4_000)).read_bytes(zipped(files), name="a.zip")
    assert len(parsed.members) == 2
    assert parsed.warnings == ("the rest was not read: its text is longer than 4,000 characters",)


def test_the_time_is_over_for_all_that_is_inside() -> None:
    times = iter(range(0, 1_000, 100))
    spent = Spent(name="x", limits=ParseLimits(seconds_max=250), now_s=lambda: float(next(times)))
    spent.tick()
    spent.tick()
    with pytest.raises(FileTooCostly, match="250 s"):
        spent.tick()


def test_an_error_holds_nothing_of_the_file() -> None:
    secret = b"the secret words of this file"
    for data in (b"%PDF-1.7\n" + secret, b"PK\x03\x04" + secret, b"\x89PNG\r\n\x1a\n" + secret, secret + bytes(99)):
        with pytest.raises(FileUnread) as caught:
            READER.read_bytes(data, name="x")
        assert "secret" not in caught.value.message
        assert isinstance(caught.value, FileDamaged | FileKindUnknown)
