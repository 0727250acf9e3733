"""Members of a JSON object by type: what is missing or of a wrong type ends as ``ValueError``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Json = Mapping[str, Any]


def member(document: Json, name: str, *kinds: type) -> Any:
    """A member of one of some types.

    Raises:
        ValueError: It is missing or of a wrong type.
    """
    if name not in document:
        raise ValueError(f"the receipt lacks {name!r}")
    value = document[name]
    # A boolean is an int for Python, but not for JSON.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name!r} of the receipt is of a wrong type: {type(value).__name__}")
    return value


def text(document: Json, name: str) -> str:
    """A text."""
    return member(document, name, str)


def newer_text(document: Json, name: str) -> str:
    """A member that receipts of earlier versions lack."""
    return text(document, name) if name in document else ""


def integer(document: Json, name: str) -> int:
    """A whole number."""
    return member(document, name, int)


def number(document: Json, name: str) -> float:
    """A number."""
    return float(member(document, name, int, float))


def flag(document: Json, name: str) -> bool:
    """True or false."""
    return member(document, name, bool)


def member_object(document: Json, name: str) -> Json:
    """An object."""
    return member(document, name, dict)


def objects(document: Json, name: str) -> list[Json]:
    """A list of objects."""
    found: list[Any] = member(document, name, list)
    return [member_object({name: value}, name) for value in found]


def integers(document: Json, name: str) -> tuple[int, ...]:
    """A list of whole numbers."""
    found: list[Any] = member(document, name, list)
    return tuple(integer({name: value}, name) for value in found)


def texts(document: Json, name: str) -> tuple[str, ...]:
    """A list of texts."""
    found: list[Any] = member(document, name, list)
    return tuple(text({name: value}, name) for value in found)


def optional(read: Callable[[Json, str], T], document: Json, name: str) -> T | None:
    """A member that may be ``null``."""
    return None if name in document and document[name] is None else read(document, name)
