"""What a provider says was used: exports and API answers of OpenAI and Anthropic, as CSV or JSON.

Both providers count differently: OpenAI's ``input_tokens`` are all of them with the cached ones among them, Anthropic's
``uncached`` ones and those written to and read from a cache are apart. Here input is the total and cached is part of it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, cast

_MODEL = ("model", "model_version", "snapshot_id")
_INPUT_TOTAL = ("input_tokens", "n_context_tokens_total")
_INPUT_APART = (
    "uncached_input_tokens", "usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens",
)  # fmt: skip
_CACHED_APART = ("cache_read_input_tokens", "usage_input_tokens_cache_read")
_CACHED_WITHIN = ("input_cached_tokens", "n_cached_context_tokens_total")
_OUTPUT = ("output_tokens", "usage_output_tokens", "n_generated_tokens_total")
_REQUESTS = ("num_model_requests", "n_requests")
_DAY = ("usage_date_utc", "start_time_iso", "date", "start_time", "starting_at")
_BUCKET_DAYS = ("start_time_iso", "starting_at", "start_time")
_DELIMITERS = (",", ";", "\t")
_DEPTH_MAX = 8
_DAY_CHARACTERS = len("2026-01-31")
_MS_FROM = 100_000_000_000
"""A time as a number is in seconds, or from here on, which in seconds were the year 5138, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one model was used for.

    Attributes:
        model: As the provider calls it; ``all models`` where the export does not say.
        requests: How many; 0 where it does not say.
        input_tokens: All input tokens, cached ones among them.
        cached_tokens: Those of them that were cached.
        output_tokens: Output tokens.
    """

    model: str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export.

    Attributes:
        used: By model, most tokens first.
        days: From the first day that it tells of to the last, both among them, whether or not anything was used; at least 1.
    """

    used: tuple[Used, ...]
    days: int

    @property
    def tokens(self) -> int:
        """All of them."""
        return sum(each.input_tokens + each.output_tokens for each in self.used)


def read_export(text: str) -> Export:
    """Read an export, whichever of the forms it has.

    Raises:
        ValueError: It has none of them, or says nothing of tokens; the message says why.
    """
    text = text.removeprefix("\ufeff")
    rows = list(_json_rows(text) if text.lstrip()[:1] in {"{", "["} else _csv_rows(text))
    sums: dict[str, list[int]] = {}
    days = _Days()
    for row in rows:
        days.note(row)
        found = _used(row)
        if found is None:
            continue
        own = sums.setdefault(found.model, [0, 0, 0, 0])
        for place, number in enumerate((found.requests, found.input_tokens, found.cached_tokens, found.output_tokens)):
            own[place] += number
    if not sums:
        raise ValueError("nothing in it says how many tokens were used")
    if not days.are_told:
        raise ValueError("nothing in it says of which days it tells, so nobody knows what that is in a month")
    used = [
        Used(model=model, requests=own[0], input_tokens=own[1], cached_tokens=own[2], output_tokens=own[3])
        for model, own in sums.items()
    ]
    ordered = sorted(used, key=lambda each: (-each.input_tokens - each.output_tokens, each.model))
    return Export(used=tuple(ordered), days=days.count)


@dataclass(slots=True)
class _Days:
    """Which days an export tells of. A week end without use is part of a month, and an hour is not a day."""

    _first: date = date.max
    _last: date = date.min
    _unread: set[str] = field(default_factory=set[str])

    def note(self, row: Mapping[str, Any]) -> None:
        """The day of a row, if it has one."""
        said = str(next((row[name] for name in _DAY if row.get(name)), "")).strip()
        day = _day(said)
        if day is not None:
            self._first, self._last = min(self._first, day), max(self._last, day)
        elif said:
            self._unread.add(said)

    @property
    def are_told(self) -> bool:
        """Whether any row has one."""
        return self._first <= self._last or bool(self._unread)

    @property
    def count(self) -> int:
        """How many; of days whose form is not known, how many different ones."""
        return max(1, (self._last - self._first).days + 1 if self._first <= self._last else len(self._unread))


def _day(said: str) -> date | None:
    """A day as a date, or as the time at which it begins."""
    try:
        number = float(said)
    except ValueError:
        number = 0.0
    try:
        if number > 0:
            return datetime.fromtimestamp(number / 1_000 if number >= _MS_FROM else number, UTC).date()
        return date.fromisoformat(said[:_DAY_CHARACTERS])
    except (ValueError, OverflowError, OSError):
        return None


def _used(row: Mapping[str, Any]) -> Used | None:
    """One row's tokens; ``None`` where it is about something else."""
    apart = _sum(row, _INPUT_APART)
    read = _sum(row, _CACHED_APART)
    total, within, output = _sum(row, _INPUT_TOTAL), _sum(row, _CACHED_WITHIN), _sum(row, _OUTPUT)
    if apart or read:  # Anthropic's: parts of a whole
        total, within = apart + read, read
    if within > total:
        raise ValueError(f"{within} of {total} input tokens are cached")
    if not total and not output:
        return None
    model = next((said for name in _MODEL if (said := row.get(name)) and isinstance(said, str)), "all models")
    return Used(
        model=model,
        requests=_sum(row, _REQUESTS),
        input_tokens=total,
        cached_tokens=within,
        output_tokens=output,
    )


def _sum(row: Mapping[str, Any], names: Iterable[str]) -> int:
    return sum(_count(name, row[name]) for name in names if row.get(name) not in (None, ""))


def _count(name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {value!r:.60}, which is no number") from None
    if not 0 <= number < 1e18 or number != int(number):
        raise ValueError(f"{name} is {value!r:.60}, which is no count of tokens")
    return int(number)


def _csv_rows(text: str) -> Iterator[Mapping[str, Any]]:
    """Rows by the names of the head. One that is cut, or has a cell too many, may have its numbers in wrong columns."""
    first, known = text.partition("\n")[0], {*_INPUT_TOTAL, *_INPUT_APART, *_OUTPUT}
    # Spreadsheets of many countries write semicolons when they save what came with commas.
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        head = [each.strip() for each in next(reader, ())]
        if not known & set(head):
            raise ValueError("no column has tokens")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) < len(head) or any(cells[len(head) :]):
                raise ValueError(f"line {reader.line_num} has {len(cells)} cells, the head has {len(head)}")
            yield dict(zip(head, cells, strict=False))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is broken ({error})") from None


def _json_rows(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error})") from None
    yield from _rows_in(document, {}, 0)


def _rows_in(node: Any, bucket: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """Rows of pages of buckets of results; a result has its bucket's day."""
    if depth > _DEPTH_MAX:
        return
    if isinstance(node, list):
        for each in cast("list[Any]", node):
            yield from _rows_in(each, bucket, depth + 1)
    elif isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        if isinstance(creation := members.get("cache_creation"), dict):
            members = {**members, **cast("dict[str, Any]", creation)}
        inner = [name for name in ("data", "results") if isinstance(members.get(name), list)]
        here = {**bucket, **{name: members[name] for name in _BUCKET_DAYS if members.get(name)}}
        for name in inner:
            yield from _rows_in(members[name], here, depth + 1)
        if not any(members[name] for name in inner):  # a bucket without results is a day all the same
            yield {**here, **members}
