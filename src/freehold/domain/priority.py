"""How urgent a request is. Clients may only say that theirs is less so than others."""

from __future__ import annotations

from enum import IntEnum

from freehold.domain.errors.request import FieldInvalid

HEADER = "freehold-priority"
_FLEX = b'"flex"'


class Priority(IntEnum):
    """Who is refused first when there is too much to do: the lowest."""

    BATCH = 0
    LOW = 1
    NORMAL = 2


_WORDS = {each.name.lower(): each for each in Priority}


def priority_of(header: str | None, service_tier: bytes | None) -> Priority:
    """The priority of a request.

    Args:
        header: Value of ``freehold-priority``: ``batch``, ``low`` or ``normal``; ``None`` where it was not sent.
        service_tier: The body's member as raw JSON. OpenAI's ``flex`` is low; every other tier is for the upstream.

    Raises:
        FieldInvalid: The header says something else.
    """
    said = Priority.LOW if service_tier == _FLEX else Priority.NORMAL
    if header is None:
        return said
    priority = _WORDS.get(header.strip().lower())
    if priority is None:
        raise FieldInvalid(param=HEADER, field=HEADER, value=header, reason="it is batch, low or normal")
    return min(said, priority)
