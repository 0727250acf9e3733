"""Whatever the file holds, loading it ends in a configuration or in a list of mistakes with their lines."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.config.load import load
from freehold.domain.errors.config import ConfigInvalid
from freehold.policy.text import parse_label
from tools.example_config import example, uncommented

_LINES = [line for line in uncommented(example()).splitlines() if line and not line.startswith("#")]
_VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "true",
        '""',
        '"x"',
        "[]",
        "[1]",
        '["small"]',
        "{}",
        "{ a = 1 }",
        "nan",
        "2026-01-01",
        '"env:X"',
        "1e400",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """The example with lines left out, moved, and values exchanged."""
    lines: list[str] = []
    for line in _LINES:
        action = draw(st.sampled_from(["keep"] * 12 + ["drop", "change", "twice", "rename"]))
        name, equals, value = line.partition(" = ")
        changed = {
            "drop": [],
            "twice": [line, line],
            "change": [f"{name} = {draw(_VALUES)}" if equals else line],
            "rename": [f"x{name}{equals}{value}" if equals else line.replace("[", "[x")],
        }
        lines += changed.get(action, [line])
    return "\n".join(lines)


@settings(deadline=None)
@given(texts())
def test_every_text_is_good_or_has_mistakes_with_lines(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "freehold.toml"
        file.write_text(text, encoding="utf-8")
        try:
            load(file, environment={}, check_label=parse_label)
        except ConfigInvalid as error:
            assert error.mistakes
            last = max(1, len(text.splitlines()))
            for mistake in error.mistakes:
                found = re.match(r"line (\d+): \S", mistake)
                assert found, mistake
                assert 1 <= int(found[1]) <= last


@settings(deadline=None)
@given(st.text(alphabet="abc=[]{}\"'.#,\\\n 1\u00e9", max_size=60))
def test_any_text(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "freehold.toml"
        file.write_text(text, encoding="utf-8")
        try:
            load(file, environment={}, check_label=parse_label)
        except ConfigInvalid as error:
            assert error.mistakes
