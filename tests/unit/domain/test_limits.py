"""Windows of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.limits import HOUR_MS, Window, span_of


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("window", "moment", "first", "last"),
    [
        (Window.MINUTE, "2026-11-29T10:59:59.999", "2026-11-29T10:59", "2026-11-29T11:00"),
        (Window.HOUR, "2026-11-29T10:59:59.999", "2026-11-29T10:00", "2026-11-29T11:00"),
        (Window.DAY, "2026-11-29T00:00", "2026-11-29T00:00", "2026-11-30T00:00"),
        (Window.MONTH, "2026-12-31T23:59:59.999", "2026-12-01", "2027-01-01"),
        (Window.MONTH, "2027-01-01T00:00", "2027-01-01", "2027-02-01"),
        (Window.MONTH, "2028-02-29T12:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_spans(window: Window, moment: str, first: str, last: str) -> None:
    assert span_of(window, ms(moment)) == (ms(first), ms(last))


@given(st.sampled_from(Window), st.integers(0, 4_000_000_000_000))
def test_every_moment_is_in_one_window_and_the_next_one_follows(window: Window, unix_ms: int) -> None:
    span = span_of(window, unix_ms)
    assert span.from_unix_ms <= unix_ms < span.to_unix_ms
    assert span_of(window, span.from_unix_ms) == span_of(window, span.to_unix_ms - 1) == span
    assert span_of(window, span.to_unix_ms).from_unix_ms == span.to_unix_ms
    if window is not Window.MINUTE:
        assert span.from_unix_ms % HOUR_MS == span.to_unix_ms % HOUR_MS == 0
    if window is Window.MONTH:
        start = datetime.fromtimestamp(span.from_unix_ms / 1000, UTC)
        end = datetime.fromtimestamp(span.to_unix_ms / 1000, UTC)
        assert start.day == end.day == 1
        assert (start + timedelta(days=31)).month in {end.month, end.month % 12 + 1}
