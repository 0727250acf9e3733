"""What limits people may set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from freehold.domain.errors.limits import LimitRequestInvalid
from freehold.domain.identity import Tenant
from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Window
from freehold.identity.limit_book import LIMITS_OF_ONE_MAX, LimitBook
from freehold.storage.keys import KeyRecord
from tests.support.gateway import PUBLIC


@dataclass
class Store:
    kept: dict[tuple[str, ...], Limit] = field(default_factory=dict[tuple[str, ...], Limit])

    def all(self) -> tuple[Limit, ...]:
        return tuple(self.kept.values())

    def put(self, limit: Limit, *, most: int) -> bool:
        self.kept[limit.place] = limit
        return len(self.kept) <= most

    def remove(self, limit: Limit) -> bool:
        return self.kept.pop(limit.place, None) is not None


class Keys:
    def __init__(self) -> None:
        self.tenants = {name: Tenant(name=name, label=PUBLIC) for name in ("acme", "other")}

    def list(self) -> tuple[KeyRecord, ...]:
        return ()

    def line_of(self, key_id: str) -> str:
        return key_id


def test_nobody_has_so_many_limits_that_looking_at_them_takes_long() -> None:
    """A limit of money for each currency that there might be, set by whoever manages a tenant."""
    book = LimitBook(Store(), Keys(), currency="EUR")
    money = Limit(
        subject=Subject(SubjectKind.TENANT, "acme"), measure=Measure.MONEY, window=Window.DAY, amount=1, currency="AAA"
    )
    for number in range(LIMITS_OF_ONE_MAX):
        book.set(replace(money, currency=f"A{chr(65 + number // 26)}{chr(65 + number % 26)}"))
    with pytest.raises(LimitRequestInvalid, match="the number of limits of tenant:acme is 65: at most 64 are kept"):
        book.set(replace(money, currency="ZZZ"))
    book.set(replace(money, amount=2))
    book.set(replace(money, subject=Subject(SubjectKind.TENANT, "other")))
    book.remove("tenant:acme", "money", "day", "AAB")
    book.set(replace(money, currency="ZZZ"))
