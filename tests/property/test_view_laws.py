"""What is hidden is found at its place, whatever layers it is hidden under."""

from __future__ import annotations

import base64
import html
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from freehold.policy.look import look
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


LAYERS = (_zero_width, _wide, _entities, _tags, _percent, _base64, _url_base64)


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
