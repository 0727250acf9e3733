"""Lines of a batch: what an item asks, and what became of it, in OpenAI's shapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import msgspec

from freehold.domain.batch import BatchFault
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import BodyNotJson
from freehold.wire.body import decode_document
from freehold.wire.openai_response import encode_json

CUSTOM_ID_CHARACTERS_MAX = 512


class BatchItem(NamedTuple):
    """One request of a batch.

    Attributes:
        place: Among the items, from 0 on.
        custom_id: What its owner calls it.
        model: What it asks for; empty where it does not say, which its surface will refuse.
        body: As it was sent.
    """

    place: int
    custom_id: str
    model: str
    body: bytes


class InputLine(NamedTuple):
    """One line of a batch's input.

    Attributes:
        place: Among those that are not blank, from 0 on.
        number: Among all lines, from 1 on.
        raw: Without its end; longer than the limit by a byte where it is too long.
    """

    place: int
    number: int
    raw: bytes


class InputLines:
    """Reads a batch's input in pieces, so that it never is in memory as a whole. Methods block.

    Args:
        path: The file.
        line_bytes_max: Longest line that is read to its end.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, *, line_bytes_max: int) -> None:
        self._file: BinaryIO = path.open("rb")
        self._line_bytes_max = line_bytes_max
        self._places = itertools.count()
        self._numbers = itertools.count(1)

    def read(self, *, lines: int, about_bytes: int) -> list[InputLine]:
        """The next lines, at least one; none at the end of the file.

        Args:
            lines: Most of them.
            about_bytes: No further line is begun once there are so many.

        Raises:
            OSError: The disk fails.
        """
        found: list[InputLine] = []
        size_bytes = 0
        while len(found) < lines and size_bytes < about_bytes:
            raw = self._file.readline(self._line_bytes_max + 2)
            if not raw:
                break
            number = next(self._numbers)
            is_whole = raw.endswith(b"\n")
            raw = raw.rstrip(b"\r\n")
            while not is_whole and (rest := self._file.readline(1 << 16)):
                is_whole = rest.endswith(b"\n")
            if raw.strip():
                found.append(InputLine(next(self._places), number, raw))
                size_bytes += len(raw)
        return found

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()


def decode_line(line: InputLine, *, endpoint: str, line_bytes_max: int) -> BatchItem | BatchFault:
    """What a line asks, or why it cannot be run.

    Args:
        line: As it was read.
        endpoint: The batch's; every item must name it.
        line_bytes_max: Longest line that is taken.
    """
    if len(line.raw) > line_bytes_max:
        return _fault(line, "invalid_request", f"The line has more than {line_bytes_max} bytes.")
    try:
        document = decode_document(line.raw)
    except BodyNotJson as error:
        return _fault(line, "invalid_json_line", error.message)
    values = document.values
    custom_id, method, url, body = (values.get(name) for name in ("custom_id", "method", "url", "body"))
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= CUSTOM_ID_CHARACTERS_MAX:
        reason = f"custom_id must be a text of 1 to {CUSTOM_ID_CHARACTERS_MAX} characters."
        return _fault(line, "invalid_request", reason, "custom_id")
    if method != "POST":
        return _fault(line, "invalid_method", "method must be POST.", "method")
    if url != endpoint:
        return _fault(line, "url_mismatch", f"url must be the batch's endpoint, {endpoint}.", "url")
    if not isinstance(body, dict):
        return _fault(line, "invalid_request", "body must be an object.", "body")
    asked = cast("dict[str, object]", body)
    if asked.get("stream"):
        return _fault(
            line, "invalid_request", "body.stream must be false: an item has one whole answer.", "body.stream"
        )
    model = asked.get("model")
    return BatchItem(line.place, custom_id, model if isinstance(model, str) else "", document.members["body"])


def _fault(line: InputLine, code: str, message: str, param: str | None = None) -> BatchFault:
    return BatchFault(code=code, message=message, line=line.number, param=param)


def answer_line(item_id: str, custom_id: str, *, status: int, request_id: str, body: bytes) -> bytes:
    """The result line of an item that was answered, well or with an error. ``body`` is JSON, as the client gets it."""
    if b"\n" in body or b"\r" in body:
        body = msgspec.json.format(body, indent=-1)
    head = encode_json({"id": item_id, "custom_id": custom_id})[:-1]
    response = b'"status_code":%d,"request_id":"%b","body":%b' % (status, request_id.encode(), body)
    return b'%b,"response":{%b},"error":null}' % (head, response)


def unanswered_line(item_id: str, custom_id: str, error: FreeholdError) -> bytes:
    """The result line of an item that was never run."""
    told = {"code": error.wire_code, "message": error.message}
    return encode_json({"id": item_id, "custom_id": custom_id, "response": None, "error": told})


class ResultLines(NamedTuple):
    """How results are written.

    Attributes:
        answered: The line of an item that was answered; called as ``answer_line``.
        unanswered: The line of one that was never run.
        is_one_file: Whether all lines go into one file.
    """

    answered: Callable[..., bytes]
    unanswered: Callable[[str, str, FreeholdError], bytes]
    is_one_file: bool = False


OPENAI_LINES = ResultLines(answer_line, unanswered_line)
"""Good answers in one file, everything else in another."""
