"""What is hidden is found at its place, whatever layers it is hidden under."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.policy.look import look
from freehold.policy.recognise import recognise, secrets
from freehold.policy.views import CHARACTERS_MAX, views_of

SECRET_MAIL = "jane.roe@example.org"
WORDS = st.text(st.sampled_from("abc éßñ\n.,<>&%=+/\u200b\u00a0ｆ日本"), max_size=60)


def _zero_width(text: str) -> str:
    return "\u200b".join(text)


def _wide(text: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)


def _entities(text: str) -> str:
    return "".join(f"&#{ord(each)};" for each in text)


def _tags(text: str) -> str:
    return text.replace("oe", "o<b>e</b>") if "oe" in text else f"{text[:1]}<i></i>{text[1:]}"


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _url_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _escapes(text: str) -> str:
    return "".join(f"\\u{ord(each):04x}" if ord(each) <= 0xFFFF else f"\\U{ord(each):08x}" for each in text)


def _struck_out(text: str) -> str:
    return "".join(f"{each}\u0336" for each in text)


LAYERS = (_zero_width, _wide, _entities, _tags, _escapes, _struck_out, _percent, _base64, _url_base64)


@given(st.text(max_size=200))
def test_places_are_valid_whatever_the_text(text: str) -> None:
    _check_places(text)


@given(WORDS, st.lists(st.sampled_from(LAYERS), min_size=1, max_size=3), WORDS)
def test_places_are_valid_of_layers(before: str, layers: list, after: str) -> None:
    hidden = SECRET_MAIL
    for layer in layers:
        hidden = layer(hidden)
    _check_places(f"{before} {hidden} {after}")


def _check_places(text: str) -> None:
    for view in views_of(text).views:
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True))


@given(
    st.sampled_from(LAYERS), st.sampled_from((None, *LAYERS)), st.sampled_from(("", "Hello,\n", "see \u201cit\u201d: "))
)
def test_an_address_is_found_through_one_layer_and_through_two(inner, outer, before: str) -> None:
    hidden = inner(SECRET_MAIL)
    if outer is not None:
        hidden = outer(hidden)
    text = f"{before}write to {hidden} please"
    start = text.index(hidden)
    found = [each for each in look(text).findings if each.type == "EMAIL"]
    assert found
    # Nothing of what it is written with is left outside, but for what it does not need: marks in front or behind.
    assert min(each.start for each in found) >= start
    assert max(each.end for each in found) <= start + len(hidden)
    covered = text[min(each.start for each in found) : max(each.end for each in found)]
    assert len(covered) >= 0.9 * len(hidden)


IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180f\u200b\u200f\u202a\u202e\u2060\u2065\u2066\u206f\u3164\ufe00\ufe0f\ufeff"
    "\uffa0\ufff0\ufff8\U0001bca0\U0001bca3\U0001d173\U0001d17a\U000e0000\U000e0001\U000e0020\U000e0fff"
)
"""Begins and ends of the ranges of ``Default_Ignorable_Code_Point`` (Unicode, DerivedCoreProperties)."""
CONTROLS = "\x00\x08\x0e\x1b\x7f\x84\x86\x9f"
MARKS = "\u0332\u0336\u0338\u0489\u20dd\ufe0f\u20e3\ufe2e"
CARD = "4111111111111111"


@pytest.mark.parametrize("between", [*IGNORED, *CONTROLS, *MARKS, "\ufe0f\u20e3"], ids=ascii)
def test_what_does_not_show_hides_nothing(between: str) -> None:
    for value, kind in (
        (SECRET_MAIL, "EMAIL"),
        (CARD, "CARD"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "GITHUB_TOKEN"),
    ):
        hidden = between.join(value)
        text = f"it is {hidden} now"
        found = [each for each in look(text).findings if each.type == kind]
        assert [text[each.start : each.end] for each in found] == [hidden], kind
        if between not in MARKS and len(between) == 1:
            assert kind in {each.type for each in (*recognise(text), *secrets(text))}


@pytest.mark.parametrize(
    ("spelled", "kind"),
    [
        (r"jane.roe\u0040example.org", "EMAIL"),
        (r"jane.roe\\u0040example.org", "EMAIL"),
        (r"jane.roe\x40example.org", "EMAIL"),
        (r"jane.roe\u{40}example.org", "EMAIL"),
        (r"jane.roe\U00000040example.org", "EMAIL"),
        ("jane.roe&#0000000064;example.org", "EMAIL"),
        ("jane.roe&#x000000040;example.org", "EMAIL"),
        (f"jane.roe<span style='{'x' * 900}'>@</span>example.org", "EMAIL"),
        (json.dumps("".join(chr(0x1D7CE + int(each)) for each in CARD))[1:-1], "CARD"),
        ("".join(chr(0x660 + int(each)) for each in CARD), "CARD"),
        ("".join(chr(0x966 + int(each)) for each in CARD), "CARD"),
    ],
)
def test_a_value_is_found_however_it_is_spelled(spelled: str, kind: str) -> None:
    text = f'the answer was {{"m": "{spelled}"}} and no more'
    found = [text[each.start : each.end] for each in look(text).findings if each.type == kind]
    assert found == [spelled]


@pytest.mark.parametrize("text", [r"\ud83d", r"\udc00 \U00110000 \u{ffffff}", "\\" * 2_000, r"C:\temp\new \d+\s"])
def test_what_is_no_character_is_no_escape(text: str) -> None:
    assert views_of(text).views == ()


@given(st.text(st.sampled_from("abcdefgh \n"), max_size=300))
def test_a_plain_text_has_no_views(text: str) -> None:
    assert views_of(text).views == ()


def test_what_is_packed_too_often_is_not_seen_whole() -> None:
    packed = SECRET_MAIL
    for _ in range(3):
        packed = _base64(packed)
    assert not views_of(packed).missed
    assert views_of(_base64(packed)).missed


def test_what_would_be_too_much_is_not_decoded() -> None:
    bomb = _base64("a" * 2_000 + html.escape("<&>") * 20_000) + " %41" * 300_000
    found = views_of(bomb * 2)
    assert sum(len(view.text) for view in found.views) <= max(CHARACTERS_MAX, 4 * len(bomb * 2))


def test_binary_data_and_long_words_are_no_views() -> None:
    picture = base64.b64encode(bytes(range(256)) * 50).decode()
    assert views_of(f"data:image/png;base64,{picture}").views == ()
    assert views_of("Donaudampfschifffahrtsgesellschaftskapitaen and supercalifragilistic").views == ()


def test_a_named_entity_and_quoting_of_addresses() -> None:
    text = f"a&amp;b {quote('x y/é')}"
    assert [view.text for view in views_of(text).views] == ["a&b x%20y/%C3%A9", "a&amp;b x y/é", "a&b x y/é"]
