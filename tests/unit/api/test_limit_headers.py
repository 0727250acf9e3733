"""How a caller stands, in the words of OpenAI's clients."""

from __future__ import annotations

import pytest

from freehold.api.errors import render
from freehold.api.limit_headers import limit_headers
from freehold.domain.errors.limits import BudgetSpent, LimitHeld, LimitReached
from freehold.domain.limits import Limit, Measure, Standing, Subject, SubjectKind, Window
from freehold.wire.messages_response import messages_error


def standing(measure: Measure, amount: int, used: int, *, reserved: int = 0, reset_s: int = 7) -> Standing:
    limit = Limit(subject=Subject(SubjectKind.TENANT, "acme"), measure=measure, window=Window.DAY, amount=amount)
    return Standing(limit=limit, used=used, reserved=reserved, reset_s=reset_s)


def test_the_limit_with_least_left_is_told_and_money_is_nobodys_business() -> None:
    found = limit_headers(
        [
            standing(Measure.TOKENS, 100, 10),
            standing(Measure.TOKENS, 1_000, 900, reserved=90, reset_s=93_784),
            standing(Measure.REQUESTS, 5, 9),
            standing(Measure.MONEY, 5, 5),
        ]
    )
    assert dict(found) == {
        b"x-ratelimit-limit-requests": b"5",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"7s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"10",
        b"x-ratelimit-reset-tokens": b"26h3m4s",
    }
    assert limit_headers([]) == []


@pytest.mark.parametrize(("seconds", "shown"), [(1, b"1s"), (60, b"1m0s"), (361, b"6m1s"), (3_600, b"1h0m0s")])
def test_times(seconds: int, shown: bytes) -> None:
    headers = dict(limit_headers([standing(Measure.TOKENS, 1, 0, reset_s=seconds)]))
    assert headers[b"x-ratelimit-reset-tokens"] == shown


WORDS = {"subject": "s", "used": 1, "limit": 1, "window": "day", "resets": "", "reserved": 1, "wanted": 1}


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (LimitReached(retry_after_s=60, retry_s=60, **WORDS), True),
        (LimitReached(retry_after_s=61, retry_s=61, **WORDS), False),
        (LimitHeld(retry_after_s=1, retry_s=1, **WORDS), True),
        (BudgetSpent(retry_after_s=5, retry_s=5, **WORDS), False),
    ],
)
def test_clients_are_told_whether_to_try_again(error: LimitReached, again: bool) -> None:
    error.standings = (standing(Measure.TOKENS, 1, 1),)
    status, _, headers = render(error, error_id="e1")
    said = dict(headers)
    assert status == 429
    assert said[b"retry-after"] == str(error.retry_after_s).encode()
    assert said.get(b"x-should-retry") == (None if again else b"false")
    assert said[b"x-ratelimit-remaining-tokens"] == b"0"
    assert messages_error(error, error_id="e1")["error"]["type"] == "rate_limit_error"
