"""A folder of files of many kinds, each with words that are in no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.support.vault_office import docx, xlsx, zipped
from tests.support.vault_pdf import text_pdf

_SYLLABLES = (
    "ba",
    "co",
    "di",
    "fu",
    "ge",
    "ha",
    "jo",
    "ki",
    "lu",
    "me",
    "no",
    "pa",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
)


def word_of(number: int) -> str:
    """A word that is nowhere else."""
    chance = random.Random(number)
    return "".join(chance.choice(_SYLLABLES) for _ in range(6)) + f"x{number}"


def prose(number: int, sentences: int = 12) -> str:
    """Some text that holds ``word_of(number)``."""
    chance = random.Random(number + 1_000_000)
    said = [" ".join(chance.choice(_SYLLABLES) * 2 for _ in range(9)).capitalize() + "." for _ in range(sentences)]
    said.insert(sentences // 2, f"The word {word_of(number)} is here.")
    return " ".join(said)


def _text(number: int) -> bytes:
    return prose(number).encode()


def _markdown(number: int) -> bytes:
    return f"# Title {number}\n\n{prose(number)}\n\n## More\n\n{prose(number)}\n".encode()


def _html(number: int) -> bytes:
    return f"<html><head><title>Page {number}</title></head><body><p>{prose(number)}</p></body></html>".encode()


def _csv(number: int) -> bytes:
    return ("name,value\n" + "\n".join(f"{word_of(number)} {row},{row}" for row in range(20))).encode()


def _pdf(number: int) -> bytes:
    lines = prose(number).split(". ")
    return text_pdf([[f"Report {number}", *lines], [f"Page two of {number}", *lines]], title=f"Report {number}")


def _docx(number: int) -> bytes:
    return docx([("h1", f"Minutes {number}"), ("p", prose(number))], title=f"Minutes {number}")


def _xlsx(number: int) -> bytes:
    return xlsx({"Sheet": [["name", "value"], [word_of(number), number]]})


def _mail(number: int) -> bytes:
    head = f"From: ana@example.org\r\nTo: bo@example.org\r\nSubject: Mail {number}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    return (head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + prose(number)).encode()


def _zip(number: int) -> bytes:
    return zipped({"one.txt": prose(number), "two.md": f"# Two\n\n{prose(number)}"})


KINDS: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("txt", _text),
    ("md", _markdown),
    ("html", _html),
    ("csv", _csv),
    ("pdf", _pdf),
    ("docx", _docx),
    ("xlsx", _xlsx),
    ("eml", _mail),
    ("zip", _zip),
)


def mixed_folder(folder: Path, count: int) -> list[Path]:
    """Write ``count`` files, in folders of twenty; their paths."""
    paths: list[Path] = []
    for number in range(count):
        ending, made = KINDS[number % len(KINDS)]
        path = folder / f"part{number // 20}" / f"file{number:04}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made(number))
        paths.append(path)
    return paths
