"""Logs: one line an event, written by a thread of its own, without secrets and without prompts.

Log calls go through the standard library. The event loop only builds the record and queues it; redaction, encoding
and writing happen on the log thread. Lines that find the queue full, or whose sink fails, are dropped and counted:
what observes must never hold up what it observes.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self, TextIO

from freehold.domain.receipt import Receipt
from freehold.telemetry.redact import REDACTED, is_secret_name, one_line

REQUESTS_LOGGER = "freehold.requests"

_QUEUE_MAX = 10_000
_MESSAGE_CHARACTERS_MAX = 4_000
_FIELD_CHARACTERS_MAX = 1_000
_TRACEBACK_CHARACTERS_MAX = 8_000
_FIELDS_MAX = 64
_CLOSE_S = 2.0


class LogFormat(StrEnum):
    """How lines look."""

    JSON = "json"
    TEXT = "text"


class Logs:
    """The log set-up of a process: a queue, a thread and one sink. ``close`` puts back what was there before."""

    def __init__(self, *, stream: TextIO, log_format: LogFormat, level: str, queue_max: int) -> None:
        self._formatter = _Formatter(log_format)
        self._stream = stream
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(queue_max)
        self._handler = _Enqueue(self._queue)
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
        try:
            self._queue.put(None, timeout=_CLOSE_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            try:
                self._stream.write(self._formatter.format(record) + "\n")
                if self._queue.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # A full disk, a closed pipe, a closed stream: counted, since there is nowhere left to say it.
                self._failed += 1


class _Enqueue(logging.Handler):
    """Queues records, or counts them as dropped."""

    def __init__(self, target: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__()
        self._target = target
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record. Its message is built here: the arguments may change before the log thread reads them."""
        try:
            record.msg, record.args = record.getMessage(), None
            self._target.put_nowait(record)
        except queue.Full:
            self.dropped += 1
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit the message: the message alone is better than nothing.
            record.args = None
            self._requeue(record)

    def _requeue(self, record: logging.LogRecord) -> None:
        try:
            self._target.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Formatter(logging.Formatter):
    """One line a record, safe to read in a terminal and to parse."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._log_format = log_format

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        head: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(str(record.msg), characters_max=_MESSAGE_CHARACTERS_MAX),
        }
        rest = _clean_fields(getattr(record, "fields", {}))
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            rest["exception"] = one_line(trace, characters_max=_TRACEBACK_CHARACTERS_MAX)
        if self._log_format is LogFormat.JSON:
            return json.dumps(rest | head, ensure_ascii=False)
        start = f"{head['time']} {head['level']!s:<8}{head['logger']}: {head['message']}"
        return " ".join((start, *(f"{name}={_bare(value)}" for name, value in rest.items() if value is not None)))


def _bare(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=') else text


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
    """One line a finished request: where it ran, how it ended, what it cost. Never what was said."""
    logger = logging.getLogger(REQUESTS_LOGGER)
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s %s", receipt.task, receipt.outcome.value, extra={"fields": receipt_fields(receipt)})


def receipt_fields(receipt: Receipt) -> dict[str, object]:
    """The facts of a receipt that a log line shows."""
    answered, cost = receipt.answered_by, receipt.cost
    probability = answered.confidence.probability if answered and answered.confidence else None
    return {
        "request_id": receipt.id,
        "tenant": receipt.tenant,
        "key_id": receipt.key_id,
        "route": receipt.route,
        "tried": ",".join(attempt.deployment for attempt in receipt.attempts),
        "answered_by": answered.deployment if answered else None,
        "zone": answered.zone if answered else None,
        "label": receipt.label.level.word,
        "error_code": receipt.error_code or None,
        "confidence": probability,
        "bytes_left": receipt.bytes_left,
        "cost": str(cost) if cost else None,
        "total_ms": round(receipt.total_ms, 1),
        "audit_index": receipt.audit_index,
    }
