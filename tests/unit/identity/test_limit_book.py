"""What limits people may set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.errors.limits import LimitRequestInvalid
from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Window
from freehold.identity.limit_book import LIMITS_OF_ONE_MAX, refuse_too_many


def test_nobody_has_so_many_limits_that_looking_at_them_takes_long() -> None:
    """A limit of money for each currency that there might be, set by whoever manages a tenant."""
    who = Subject(SubjectKind.TENANT, "acme")
    money = Limit(subject=who, measure=Measure.MONEY, window=Window.DAY, amount=1, currency="ZZZ")
    kept = [replace(money, currency=f"A{chr(65 + each // 26)}{chr(65 + each % 26)}") for each in range(64)]
    assert len(kept) == LIMITS_OF_ONE_MAX
    with pytest.raises(LimitRequestInvalid, match="the number of limits of tenant:acme is 65: at most 64 are kept"):
        refuse_too_many(money, kept)
    refuse_too_many(money, kept[1:])
    refuse_too_many(replace(kept[0], amount=2), kept)
    refuse_too_many(replace(money, subject=Subject(SubjectKind.TENANT, "other")), kept)
