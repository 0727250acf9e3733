"""Logs: one line an event, written by a thread of its own, without secrets and without prompts.

Log calls go through the standard library. The event loop only builds the record and queues it, and of a request it
queues nothing but the receipt; redaction, encoding and writing happen on the log thread, some lines at a time. Lines
that find the queue full, or whose sink fails, are dropped and counted: what observes must never hold up what it
observes.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import re
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self, TextIO

import msgspec

from freehold.domain.receipt import Receipt
from freehold.telemetry.redact import REDACTED, is_secret_name, one_line, trace
from freehold.telemetry.request_line import REQUESTS_LOGGER, request_fields, request_message

_QUEUE_MAX = 10_000
_MESSAGE_CHARACTERS_MAX = 4_000
_FIELD_CHARACTERS_MAX = 1_000
_TRACEBACK_CHARACTERS_MAX = 8_000
_FIELDS_MAX = 64
_CLOSE_S = 2.0
_LINGER_S = 0.05
_LINES_A_WRITE = 32

_ASYNCIO = "asyncio"
_PLAIN = re.compile(r'[^ "=]+')

_REQUESTS = logging.getLogger(REQUESTS_LOGGER)

_Item = logging.LogRecord | Receipt


class LogFormat(StrEnum):
    """How lines look."""

    JSON = "json"
    TEXT = "text"


class Logs:
    """The log set-up of a process: a queue, a thread and one sink. ``close`` puts back what was there before."""

    def __init__(self, *, stream: TextIO, log_format: LogFormat, level: str, queue_max: int) -> None:
        self._formatter = _Formatter(log_format)
        self._stream = stream
        self._handler = _Enqueue(queue_max)
        self._failed = 0
        self._thread = threading.Thread(target=self._run, name="freehold-log", daemon=True)
        root, ours = logging.getLogger(), logging.getLogger("freehold")
        self._before = (root.handlers[:], ours.level)
        root.handlers[:] = [self._handler]
        ours.setLevel(level)

    @classmethod
    def start(
        cls,
        *,
        stream: TextIO,
        log_format: LogFormat = LogFormat.TEXT,
        level: str = "INFO",
        queue_max: int = _QUEUE_MAX,
    ) -> Self:
        """Send all records of this process through here.

        Args:
            stream: Where lines go, for example ``sys.stderr``.
            log_format: How they look.
            level: Lowest level of Freehold's own records; those of libraries come from the root logger's level on.
            queue_max: Most records that may wait.
        """
        logs = cls(stream=stream, log_format=log_format, level=level, queue_max=queue_max)
        logs._thread.start()
        return logs

    @property
    def dropped(self) -> int:
        """Lines lost since the start: the queue was full or the sink failed."""
        return self._handler.dropped + self._failed

    def close(self) -> None:
        """Write what is queued and stop. A sink that blocks is waited for two seconds. Idempotent."""
        if not self._thread.is_alive():
            return
        root, ours = logging.getLogger(), logging.getLogger("freehold")
        handlers, level = self._before
        root.handlers[:] = handlers
        ours.setLevel(level)
        self._handler.end()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while self._handler.wait_for_items():
            # A moment later there is more to write in one go, and the event loop is interrupted less often.
            self._handler.ending.wait(_LINGER_S)
            while items := self._handler.take(_LINES_A_WRITE):
                self._write(items)

    def _write(self, items: list[_Item]) -> None:
        text = "".join([self._formatter.line(item) + "\n" for item in items])
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A full disk, a closed pipe, a closed stream: counted, since there is nowhere left to say it.
            self._failed += len(items)


class _Enqueue(logging.Handler):
    """Queues records, or counts them as dropped."""

    def __init__(self, queue_max: int) -> None:
        super().__init__()
        self._items: deque[_Item] = deque()
        self._queue_max = queue_max
        self._is_awaited = False
        self._wake = threading.Event()
        self.ending = threading.Event()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record. Its message is built here: the arguments may change before the log thread reads them."""
        try:
            record.msg, record.args = record.getMessage(), None
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit the message: the message alone is better than nothing.
            record.args = None
        self.put(record)

    def put(self, item: _Item) -> None:
        """Queue something, or count it as dropped."""
        if len(self._items) >= self._queue_max:
            self.dropped += 1
            return
        self._items.append(item)
        # Waking a thread costs more than all the rest: only one that sleeps is woken.
        if self._is_awaited:
            self._is_awaited = False
            self._wake.set()

    def wait_for_items(self) -> bool:
        """Sleep until there is something; False where there is nothing more to come."""
        # Cleared before looking: what comes after the look sets it again.
        self._wake.clear()
        self._is_awaited = True
        if not self._items and not self.ending.is_set():
            self._wake.wait()
        self._is_awaited = False
        return bool(self._items) or not self.ending.is_set()

    def end(self) -> None:
        """Nothing more comes: the log thread writes what is queued and stops."""
        self.ending.set()
        self._wake.set()

    def take(self, items_max: int) -> list[_Item]:
        """The oldest of what is queued."""
        return [self._items.popleft() for _ in range(min(items_max, len(self._items)))]


class _Formatter(logging.Formatter):
    """One line a record, safe to read in a terminal and to parse."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._log_format = log_format

    def line(self, item: _Item) -> str:
        """The line of a record or of a finished request, without its end."""
        return self.format(item) if isinstance(item, logging.LogRecord) else self._request(item)

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        fields = _clean_fields(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = one_line(trace(record.exc_info[1]), characters_max=_TRACEBACK_CHARACTERS_MAX)
        said = str(record.msg)
        if record.name == _ASYNCIO:
            said = said.partition("\n")[0]  # what follows shows tasks and errors whole, with what they hold
        message = one_line(said, characters_max=_MESSAGE_CHARACTERS_MAX)
        return self._line(record.created, record.levelname.lower(), record.name, message, fields)

    def _request(self, receipt: Receipt) -> str:
        ended_unix_s = (receipt.created_unix_ms + receipt.total_ms) / 1000
        return self._line(ended_unix_s, "info", REQUESTS_LOGGER, request_message(receipt), request_fields(receipt))

    def _line(self, unix_s: float, level: str, logger: str, message: str, fields: dict[str, object]) -> str:
        time = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
        if self._log_format is LogFormat.JSON:
            head = {"time": time, "level": level, "logger": logger, "message": message}
            return msgspec.json.encode(fields | head).decode()
        start = f"{time} {level:<8}{logger}: {message}"
        return " ".join((start, *[f"{name}={_bare(value)}" for name, value in fields.items() if value is not None]))


def _bare(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _clean_fields(fields: Mapping[str, object]) -> dict[str, object]:
    cleaned: dict[str, object] = {}
    for name, value in itertools.islice(fields.items(), _FIELDS_MAX):
        key = one_line(name, characters_max=_FIELD_CHARACTERS_MAX)
        if is_secret_name(key):
            cleaned[key] = REDACTED
        elif value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
            cleaned[key] = value
        else:
            cleaned[key] = one_line(str(value), characters_max=_FIELD_CHARACTERS_MAX)
    return cleaned


def log_receipt(receipt: Receipt) -> None:
    """One line a finished request; costs less than 1 µs here, since its line is made on the log thread."""
    if not _REQUESTS.isEnabledFor(logging.INFO):
        return
    for handler in logging.root.handlers:
        if isinstance(handler, _Enqueue):
            handler.put(receipt)
            return
    # Somebody else's logging, for example that of a program that embeds us.
    _REQUESTS.info(request_message(receipt), extra={"fields": request_fields(receipt)})
