"""Reading a form with a file from a request that is too long for the memory: the file's bytes go where they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from email.message import Message
from typing import Any, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from freehold.api.asgi import Receive, Scope, header
from freehold.api.exchange import ClientLeft
from freehold.domain.errors.file import FileFormInvalid, FileTooLarge

_FIELDS_MAX = 32
_FIELD_BYTES_MAX = 64 * 1024
_FORM_BYTES_MAX = 1024 * 1024
"""Of everything in a form that is not the file."""

_WRITE_BYTES = 1024 * 1024
_FILE = "file"


class Target(Protocol):
    """Where a file's bytes go."""

    def write(self, data: bytes) -> None:
        """Append; blocks."""
        ...


class Form:
    """What a form says besides its file.

    Attributes:
        fields: Texts by name.
        filename: What the client calls the file.
        has_file: Whether it sent one.
    """

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.has_file = False


async def pieces(receive: Receive) -> AsyncGenerator[bytes]:
    """A body as it comes.

    Raises:
        ClientLeft: The client went before its end.
    """
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientLeft
        yield event.get("body", b"")
        if not event.get("more_body", False):
            return


def declared_bytes(scope: Scope) -> int | None:
    """How long a body says that it is; ``None`` where it does not."""
    declared = header(scope, b"content-length") or ""
    return int(declared) if declared.isdecimal() else None


async def read_form(scope: Scope, receive: Receive, target: Target, *, file_bytes_max: int) -> Form:
    """Read a whole form; its one part named ``file`` goes to ``target`` as it comes.

    Raises:
        FileFormInvalid: It is no such form.
        FileTooLarge: The file has more than ``file_bytes_max``; what came until then was written.
        ClientLeft: The client went before the end.
        OSError: ``target`` could not take it.
    """
    if (declared_bytes(scope) or 0) > file_bytes_max + _FORM_BYTES_MAX:
        raise FileTooLarge(limit_bytes=file_bytes_max)
    reader = _Reader(_boundary(scope), file_bytes_max)
    async for piece in pieces(receive):
        reader.feed(piece)
        if reader.waiting_bytes >= _WRITE_BYTES:
            await asyncio.to_thread(target.write, reader.take())
    if not reader.is_over:
        raise FileFormInvalid(reason="it ends before its last boundary")
    if not reader.form.has_file:
        raise FileFormInvalid(reason='there is no part "file"')
    await asyncio.to_thread(target.write, reader.take())
    return reader.form


def _boundary(scope: Scope) -> bytes:
    kind, parameters = _parsed(header(scope, b"content-type") or "")
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise FileFormInvalid(reason="its content-type is not multipart/form-data with a boundary")
    return boundary.encode("latin-1", "replace")


def _parsed(value: str) -> tuple[str, dict[str, str]]:
    """A field with parameters: its value in lower case, and they by name."""
    message = Message()
    message["content-type"] = value
    (kind, _), *parameters = message.get_params(failobj=[("", "")])
    return kind.lower(), dict(parameters)


class _Reader:
    """Takes a form apart as it comes."""

    def __init__(self, boundary: bytes, file_bytes_max: int) -> None:
        self.form = Form()
        self.is_over = False
        self._file_bytes_max = file_bytes_max
        self._file_bytes = self._form_bytes = 0
        self._waiting: list[bytes] = []
        self.waiting_bytes = 0
        self._name = ""
        self._value = b""
        self._parts = 0
        self._head: dict[bytes, bytes] = {}
        self._head_name = self._head_value = b""
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_head_name,
            "on_header_value": self._on_head_value,
            "on_header_end": self._on_head_end,
            "on_headers_finished": self._on_head,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise FileFormInvalid(reason=error) from None

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self._form_bytes += len(data)
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FileFormInvalid(reason=error) from None
        if self._form_bytes > _FORM_BYTES_MAX:
            raise FileFormInvalid(reason=f"there are more than {_FORM_BYTES_MAX} bytes in it beside the file")

    def take(self) -> bytes:
        """What of the file has come and was not taken yet."""
        taken, self._waiting, self.waiting_bytes = b"".join(self._waiting), [], 0
        return taken

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS_MAX:
            raise FileFormInvalid(reason=f"it has more than {_FIELDS_MAX} parts")
        self._head = {}
        self._value = b""

    def _on_head_name(self, data: bytes, start: int, end: int) -> None:
        self._head_name += data[start:end]

    def _on_head_value(self, data: bytes, start: int, end: int) -> None:
        self._head_value += data[start:end]

    def _on_head_end(self) -> None:
        self._head[self._head_name.lower()] = self._head_value
        self._head_name = self._head_value = b""

    def _on_head(self) -> None:
        kind, parameters = _parsed(self._head.get(b"content-disposition", b"").decode("utf-8", "replace"))
        self._name = parameters.get("name", "")
        if kind != "form-data" or not self._name:
            raise FileFormInvalid(reason="a part of it has no name")
        if self._name == _FILE:
            if self.form.has_file:
                raise FileFormInvalid(reason='there is more than one part "file"')
            self.form.has_file = True
            self.form.filename = parameters.get("filename", "")
        elif self._name in self.form.fields:
            raise FileFormInvalid(reason=f"{self._name[:40]!r} is given twice")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == _FILE:
            self._file_bytes += end - start
            self._form_bytes -= end - start
            if self._file_bytes > self._file_bytes_max:
                raise FileTooLarge(limit_bytes=self._file_bytes_max)
            self._waiting.append(data[start:end])
            self.waiting_bytes += end - start
            return
        self._value += data[start:end]
        if len(self._value) > _FIELD_BYTES_MAX:
            raise FileFormInvalid(reason=f"{self._name[:40]!r} has more than {_FIELD_BYTES_MAX} bytes")

    def _on_part_end(self) -> None:
        if self._name != _FILE:
            self.form.fields[self._name] = self._value.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self.is_over = True
