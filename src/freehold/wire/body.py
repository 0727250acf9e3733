"""The body of a request: one JSON object, refused unless every reader of it would read the same.

Top-level members are kept as the bytes that were sent, so that unknown members and big numbers reach the upstream
unchanged; the decoded values beside them are what is decided on.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import msgspec

from freehold.domain.errors.request import BodyNotJson

DEPTH_MAX = 128
"""Deepest nesting taken; what chat bodies and JSON schemas need is below 30."""

_BYTE = re.compile(r"byte (\d+)")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUES = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


class Members(Mapping[str, bytes]):
    """Every top-level member of a body as it was sent; cut out of it when somebody first looks.

    Args:
        raw: The body, which was read and found sound.
        is_canonical: Whether it is what encoding its values gives: compact, and no name twice at any level.
    """

    __slots__ = ("_is_canonical", "_members", "_raw")

    def __init__(self, raw: bytes, *, is_canonical: bool) -> None:
        self._raw = raw
        self._is_canonical = is_canonical
        self._members: dict[str, bytes] | None = None

    def __getitem__(self, name: str) -> bytes:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    @property
    def raw(self) -> bytes:
        """The whole body as it was sent, or as it was made."""
        return self._raw

    def without(self, name: str) -> Mapping[str, bytes]:
        """All but one."""
        return MappingProxyType({each: value for each, value in self._all().items() if each != name})

    def with_text(self, name: str, before: str, after: str) -> bytes | None:
        """The body with another value of one text member; ``None`` where that needs the members one by one."""
        if before == after:
            return self._raw
        if not self._is_canonical:
            return None
        start = _ENCODER.encode(name) + b":"
        found = start + _ENCODER.encode(before)
        # Between quotes of a text a quote is escaped, so that this can only be a member; if it is the only one, it is
        # the one at the top.
        return self._raw.replace(found, start + _ENCODER.encode(after)) if self._raw.count(found) == 1 else None

    def _all(self) -> dict[str, bytes]:
        if self._members is None:
            self._members = {name: bytes(value) for name, value in _MEMBERS.decode(self._raw).items()}
        return self._members


class Document(NamedTuple):
    """A body that was read.

    Attributes:
        members: Every top-level member as it was sent.
        values: The same members decoded.
    """

    members: Members
    values: dict[str, Any]


def decode_document(raw: bytes, *, depth_max: int = DEPTH_MAX) -> Document:
    """Read a body.

    Args:
        raw: The bytes as they came.
        depth_max: Deepest nesting taken, the outermost object counted.

    Raises:
        BodyNotJson: It is empty, not valid UTF-8, has a byte order mark, is not one JSON object, is nested deeper than
            ``depth_max``, names a member twice at any level, holds half a surrogate pair or a number that is not
            finite.
    """
    if raw[:1] != b"{" or not raw.isascii():
        _check_text(raw)
    try:
        values = _VALUES.decode(raw)
    except RecursionError:
        raise _too_deep(depth_max) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyNotJson(reason=_reason(error, raw)) from None
    if _has_many_brackets(raw, depth_max):
        _check_depth(values, depth_max)
    # A repeated name is lost in decoding. Compact JSON that encodes to itself had none; anything else is looked at.
    is_canonical = _ENCODER.encode(values) == raw
    if not is_canonical:
        _check_names(raw)
    return Document(members=Members(raw, is_canonical=is_canonical), values=values)


def _check_text(raw: bytes) -> None:
    if not raw or raw.isspace():
        raise BodyNotJson(reason="it is empty")
    if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BodyNotJson(reason="it starts with a byte order mark")
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            raise BodyNotJson(reason=f"it is not valid UTF-8 at byte {error.start}") from None


def _has_many_brackets(raw: bytes, most: int) -> bool:
    """Whether the text opens more than ``most`` arrays and objects; with fewer it cannot be nested deeper."""
    find, left = raw.find, most
    for bracket in b"{[":
        # From one to the next and no further than needed, since count() looks at every byte and split() copies them.
        place = find(bracket)
        while place >= 0:
            if not left:
                return True
            left -= 1
            place = find(bracket, place + 1)
    return False


def _check_depth(value: dict[str, Any], depth_max: int) -> None:
    level: list[Any] = [value]
    for _ in range(depth_max):
        level = [
            child
            for parent in level
            for child in (cast("dict[str, Any]", parent).values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _too_deep(depth_max)


def _check_names(raw: bytes) -> None:
    # Numbers are not looked at here, so they need not be converted.
    json.loads(raw, object_pairs_hook=_unique_names, parse_int=len, parse_float=len)


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BodyNotJson(reason=f"a name appears twice in one object: {twice[:40]!r}")
    return unique


def _too_deep(depth_max: int) -> BodyNotJson:
    return BodyNotJson(reason=f"it is nested more than {depth_max} deep")


def _reason(error: Exception, raw: bytes) -> str:
    text = str(error)
    if "truncated" in text or "surrogate" in text or "end of hex escape" in text:
        # The decoder says the same of a text that ends too early and of half a surrogate pair.
        return "it ends too early, or holds half a surrogate pair (\\ud800 to \\udfff)"
    if "out of range" in text:
        return "it holds a number that is out of range"
    if text.startswith("Expected `object`"):
        return f"an object is needed at the top level, not {text.rpartition('got ')[2].strip('`')}"
    place = _BYTE.search(text)
    if place and raw[int(place[1]) :].startswith((b"NaN", b"Infinity")):
        return f"NaN and Infinity are not JSON ({place[0]})"
    return text.removeprefix("JSON is malformed: ")
