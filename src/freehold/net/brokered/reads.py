"""What the broker reads from a model hub for the command line: in which form it is asked, and where the hub may lead.

A body is on record by its commitment; a read has none. So what is asked stands in its intent, word for word. And since
whoever may choose a path says something by it, only paths of a hub's own protocol are asked, and at its storage only
those that the hub itself has just pointed to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from freehold.domain.errors.config import BaseUrlInvalid
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.ports import Clock
from freehold.net.brokered.frames import Send
from freehold.net.client import HttpReply
from freehold.net.origin import Origin

HUB_LABEL: Final = "public"
"""Of what a hub is asked: names of its own files."""

_ASKED: Final = re.compile(r"(GET|HEAD) (/[!-~]{0,1023})(?: bytes=[0-9]{1,19}-[0-9]{0,19})?", re.ASCII)
_OWNER = r"/[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REVISION = r"[A-Za-z0-9._%-]{1,255}"
_FORMS: Final = (
    re.compile(rf"{_OWNER}/resolve/{_REVISION}/[A-Za-z0-9._~%/-]{{1,512}}", re.ASCII),
    re.compile(rf"/api/models{_OWNER}(?:/revision/{_REVISION})?(?:\?blobs=true)?", re.ASCII),
    re.compile(rf"/api/models{_OWNER}/commits/{_REVISION}", re.ASCII),
)
_POINTS: Final = range(300, 400)
_POINTED_S: Final = 3_600.0
"""Signed addresses are good for about so long."""

_POINTED_MAX: Final = 256


class HubPart(StrEnum):
    """What an address is of a hub."""

    HUB = "hub"
    STORAGE = "storage"


class HubPlace(Protocol):
    """One address of it; ``app.broker_places.Place`` is one."""

    @property
    def name(self) -> str:
        """What records call it."""
        ...

    @property
    def base_url(self) -> str:
        """Its address."""
        ...

    @property
    def origin(self) -> str:
        """``scheme://host:port``."""
        ...

    @property
    def hub_part(self) -> HubPart | None:
        """What it is; ``None`` for what is no hub's."""
        ...


def hub_place_name(number: int) -> str:
    """What records call the addresses of a hub, in the order of ``[egress] hub``; no deployment can have such a name."""
    return f"model storage {number}" if number else "model hub"


def asked_line(method: str, path: str, headers: Sequence[tuple[str, str]]) -> str:
    """What is asked, as records say it: ``GET /path bytes=0-99``.

    Without the query: that of a storage's address is a signature, with which anybody could ask for an hour.
    """
    ranges = [value for name, value in headers if name == "range"]
    return " ".join([method, path.partition("?")[0], *ranges])


class HubReads:
    """Says what may be asked, and remembers where the hub pointed to.

    Args:
        clock: Tells when that is too long ago.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pointed: dict[tuple[str, str], float] = {}

    def check_intent(self, place: HubPlace, asked: str, body: bytes) -> None:
        """Before it is recorded: a read of a hub says what it asks, and nothing else says any such thing.

        Raises:
            EgressDenied: It may not be asked.
        """
        if place.hub_part is None:
            if asked:
                raise EgressDenied(
                    origin=place.origin, reason=f"{place.name} is sent bodies, and nothing is read there"
                )
            return
        match = _ASKED.fullmatch(asked)
        if body or match is None or "?" in asked or not self._may(place, match[2], whole=False):
            raise _not_asked(place, asked)

    def check_sending(self, place: HubPlace, asked: str, sending: Send) -> None:
        """Before it is sent: it is what was recorded, to its last character.

        Raises:
            EgressDenied: It is not, or it may not be asked.
        """
        if asked_line(sending.method, sending.path, sending.headers) != asked:
            raise EgressDenied(origin=place.origin, reason="another read is on record than the one that was to be sent")
        if any(name != "range" for name, _ in sending.headers) or len(sending.headers) > 1:
            raise EgressDenied(origin=place.origin, reason=f"{place.name} is shown no header field but a range")
        if not self._may(place, sending.path, whole=True):
            raise _not_asked(place, asked)

    def pointed(self, place: HubPlace, sending: Send, reply: HttpReply) -> None:
        """Remember where an answer of the hub, or of its storage, points to; going there is for who asked."""
        location = reply.headers.get("location", "")
        if reply.status not in _POINTS or not location:
            return
        try:
            there = urlsplit(urljoin(place.origin + sending.path, location))
            origin = Origin.parse(f"{there.scheme}://{there.netloc}").text
        except (ValueError, BaseUrlInvalid):
            return  # nowhere that anybody could go
        key = (origin, (there.path or "/") + (f"?{there.query}" if there.query else ""))
        self._pointed.pop(key, None)
        self._pointed[key] = self._clock.monotonic_s() + _POINTED_S
        while len(self._pointed) > _POINTED_MAX:
            del self._pointed[next(iter(self._pointed))]

    def _may(self, place: HubPlace, path: str, *, whole: bool) -> bool:
        """Whether that path is one of the hub's protocol, or one that the hub pointed to; ``whole`` with its query."""
        base = Origin.parse(place.base_url).base_path
        inside = path.removeprefix(base)
        is_hubs = place.hub_part is HubPart.HUB and path.startswith(base) and ".." not in unquote(inside).split("/")
        if is_hubs and any(form.fullmatch(inside) for form in _FORMS):
            return True
        now = self._clock.monotonic_s()
        return any(
            origin == place.origin and until_s > now and (known if whole else known.partition("?")[0]) == path
            for (origin, known), until_s in self._pointed.items()
        )


def _not_asked(place: HubPlace, asked: str) -> EgressDenied:
    why = "the hub has not pointed there" if place.hub_part is HubPart.STORAGE else "it is no read of a model's files"
    return EgressDenied(origin=place.origin, reason=f"{asked[:200]!r} is nothing that {place.name} is asked: {why}")
