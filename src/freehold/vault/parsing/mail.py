"""E-mail: who wrote what to whom and when, and what was attached. Mailboxes: messages one by one."""

from __future__ import annotations

import contextlib
import email
import email.errors
import email.header
import email.policy
import email.utils
import re
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any, cast

from freehold.domain.errors.vault import FileDamaged
from freehold.vault.parsing.draft import Draft, normal, one_line
from freehold.vault.parsing.inside import Members
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.plain import add_text, decoded
from freehold.vault.parsing.web import WebReader

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_SMALL_PICTURE_BYTES = 20_000
"""A picture in the text and smaller than this is a logo or a counter of readers."""

_DEPTH_MAX = 40
_PARTS_MAX = 2_000
_BEGINS = re.compile(rb"(?:\A|(?<=\n))From [^\n]*\n")
_HEADER = re.compile(rb"[!-9;-~]+:")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, email.errors.MessageError)
"""What the standard library raises on headers that are none."""


def add_message(draft: Draft, data: bytes, spent: Spent, members: Members) -> tuple[str, str, str]:
    """Add one message: its head, its text, and what is attached as members.

    Returns:
        Its subject, who wrote it, and the day.

    Raises:
        FileUnread: It is beyond a limit.
    """
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        head = {name: _header(message, name) for name in _SHOWN}
        draft.add("\n".join(f"{name}: {text}" for name, text in head.items() if text))
        _Parts(draft, spent, members).add(message, 0)
    except RecursionError as error:
        raise spent.too_large("messages lie within messages more deeply than is read") from error
    return head["Subject"], head["From"], _day(head["Date"])


def messages(data: bytes) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Number and bytes of each message in a mailbox (mbox)."""
    start = number = 0
    found = _BEGINS.search(data)
    while found is not None:
        start = found.end()
        found = _next_message(data, start)
        end = found.start() if found else len(data)
        number += 1
        yield str(number), lambda start=start, end=end: _QUOTED_FROM.sub(rb"\1", data[start:end])


def _next_message(data: bytes, at: int) -> re.Match[bytes] | None:
    """The next line that begins a message: a header stands behind it, since few writers quote such lines in texts."""
    while found := _BEGINS.search(data, at):
        if _HEADER.match(data, found.end()):
            return found
        at = found.end()
    return None


def _header(message: Message[str, str], name: str) -> str:
    raw = message.get(name)
    if raw is None:
        return ""
    text = str(raw)
    with contextlib.suppress(*_BROKEN):
        text = str(email.header.make_header(email.header.decode_header(raw)))
    return one_line(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), most=2_000)


def _day(said: str) -> str:
    with contextlib.suppress(*_BROKEN, OverflowError):
        return email.utils.parsedate_to_datetime(said).date().isoformat()
    return ""


class _Parts:
    """The parts of one message."""

    def __init__(self, draft: Draft, spent: Spent, members: Members) -> None:
        self._draft = draft
        self._spent = spent
        self._members = members
        self._count = 0

    def add(self, part: Message[str, str], depth: int) -> None:
        """Add what a part holds."""
        self._count += 1
        if depth > _DEPTH_MAX or self._count > _PARTS_MAX:
            raise self._spent.too_large("it has more parts within parts than are read")
        self._spent.tick()
        kind = part.get_content_type()
        inner: Any = part.get_payload()
        parts = cast("list[Message[str, str]]", inner) if isinstance(inner, list) else None
        if kind == "message/rfc822" and parts is not None:
            for message in parts:
                self._members.read(
                    _name(part) or "message.eml", lambda message=message: _bytes_of(message, self._spent)
                )
        elif parts is not None:
            for each in self._chosen(parts) if kind == "multipart/alternative" else parts:
                self.add(each, depth + 1)
        else:
            self._leaf(part, kind)

    def _chosen(self, parts: list[Message[str, str]]) -> list[Message[str, str]]:
        """Of what says the same in several ways: plain text where it says anything, else the last that is read."""
        for part in parts:
            if part.get_content_type() == "text/plain" and _payload(part).strip():
                return [part]
        return parts[-1:]

    def _leaf(self, part: Message[str, str], kind: str) -> None:
        name = _name(part)
        attached = name or part.get_content_disposition() == "attachment"
        data = _payload(part)
        if not attached and kind == "text/html":
            WebReader(self._draft, self._spent).read(normal(_text(part, data)))
        elif not attached and kind.startswith("text/"):
            add_text(self._draft, _text(part, data))
        elif kind.startswith("image/") and part.get_content_disposition() != "attachment":
            if len(data) >= _SMALL_PICTURE_BYTES:
                self._members.read(name or "picture", lambda: data)
        elif data:
            self._members.read(name or "attachment", lambda: data)


def _name(part: Message[str, str]) -> str:
    with contextlib.suppress(*_BROKEN):
        if raw := part.get_filename():
            return one_line(str(email.header.make_header(email.header.decode_header(raw))))
    return ""


def _payload(part: Message[str, str]) -> bytes:
    with contextlib.suppress(*_BROKEN):
        found = part.get_payload(decode=True)
        if isinstance(found, bytes):
            return found
    return b""


def _text(part: Message[str, str], data: bytes) -> str:
    with contextlib.suppress(*_BROKEN):
        said = part.get_content_charset()
        if said and said not in ("us-ascii", "ascii", "unknown-8bit"):
            return data.decode(said)
    return decoded(data)[0]


def _bytes_of(message: Message[str, str], spent: Spent) -> bytes:
    try:
        return message.as_bytes()
    except _BROKEN as error:
        raise FileDamaged(name=spent.name, reason="a message inside is damaged") from error
