"""A forced call survives every way to cut it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.llama.tools import CallScanner

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
SPACES = st.text(alphabet=" \t\n\r", max_size=3)


@st.composite
def cut_calls(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """A tool's name, the JSON text of its arguments, and the pieces of an answer that calls it."""
    name = draw(st.text(min_size=1))
    arguments = json.dumps(
        draw(st.dictionaries(st.text(), VALUES)), ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(2))
    )
    space = [draw(SPACES) for _ in range(10)]
    text = (
        f'{space[0]}{{{space[1]}"name"{space[2]}:{space[3]}{json.dumps(name)}{space[4]},{space[5]}'
        f'"arguments"{space[6]}:{space[7]}{arguments}{space[8]}}}{space[9]}'
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return name, arguments, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(cut_calls())
def test_name_and_arguments_come_out_whole(call: tuple[str, str, list[str]]) -> None:
    name, arguments, pieces = call
    scanner = CallScanner()
    assert "".join(map(scanner.feed, pieces)) == arguments
    assert scanner.name == name
    assert scanner.complete


@given(cut_calls(), st.integers(min_value=0))
def test_a_call_that_was_cut_short_is_never_complete(call: tuple[str, str, list[str]], length: int) -> None:
    name, arguments, pieces = call
    text = "".join(pieces)
    end_of_call = text.rindex(arguments) + len(arguments)
    scanner = CallScanner()
    found = scanner.feed(text[: length % end_of_call])
    assert arguments.startswith(found)
    assert scanner.name in (None, name)
    assert not scanner.complete


@given(st.text(), st.integers(0, 50))
def test_any_other_text_is_no_call(text: str, cut: int) -> None:
    scanner = CallScanner()
    assert scanner.feed(text[:cut]) + scanner.feed(text[cut:]) == "" or scanner.name is not None
