"""A misspelt key is told wherever it stands, with its line and with the key that was meant."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.config.load import load
from freehold.domain.errors.config import ConfigInvalid
from tools.example_config import example, uncommented

LINES = uncommented(example()).splitlines()


def misspellable() -> list[int]:
    """Numbers, from 0, of the lines with a key that is not the user's own to name."""
    found: list[int] = []
    table = ""
    for number, line in enumerate(LINES):
        if line.startswith("["):
            table = line
        elif " = " in line and not line.startswith("#") and table not in {"[aliases]", "[labels.mip]"}:
            found.append(number)
    return found


PLACES = misspellable()


def misspelt(word: str, place: int, letter: str) -> str:
    """One letter more, at a place where it changes the word."""
    at = place % (len(word) + 1)
    return f"{word[:at]}{letter}{word[at:]}"


def test_there_are_keys_to_misspell() -> None:
    assert len(PLACES) > 50


@settings(deadline=None)
@given(st.sampled_from(PLACES), st.integers(0, 40), st.sampled_from("qxz"))
def test_it_is_told_with_its_line(number: int, place: int, letter: str) -> None:
    key, _, value = LINES[number].partition(" = ")
    wrong = misspelt(key, place, letter)
    text = "\n".join([*LINES[:number], f"{wrong} = {value}", *LINES[number + 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "freehold.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigInvalid) as caught:
            load(file, environment={})
    (told,) = [each for each in caught.value.mistakes if "there is no such setting" in each]
    assert told.startswith(f"line {number + 1}: ")
    assert told.split(": ")[1].endswith(f".{wrong}")
    assert told.endswith(f"did you mean {key!r}?")
