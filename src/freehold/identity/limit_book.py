"""Limits as people set them: words and numbers checked, with a clear word where they do not do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Protocol

from freehold.domain.errors.limits import LimitRequestInvalid
from freehold.domain.identity import Tenant
from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Window
from freehold.domain.money import Money
from freehold.domain.ports import Clock
from freehold.identity.keys import THIS_MACHINE
from freehold.storage.keys import KeyEvent, KeyRecord

LIMITS_MAX = 10_000
LIMITS_OF_ONE_MAX = 64
"""Of a tenant or a key: each of its requests looks at all of them, while those of other workers wait."""

AMOUNT_MAX = 1_000_000_000_000_000
"""Of requests, tokens or micro-units: sums of a month stay far from what a counter holds."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_WHOLE = re.compile(r"[0-9]{1,16}")
_PLACES_MAX = 6


class LimitStore(Protocol):
    """Where limits are kept. Methods block; a change and its event are durable together."""

    def all(self) -> tuple[Limit, ...]:
        """Every limit."""
        ...

    def put(self, limit: Limit, *, most: int, event: KeyEvent | None = None) -> bool:
        """Set one durably; False where there are too many."""
        ...

    def remove(self, limit: Limit, *, event: KeyEvent | None = None) -> bool:
        """Remove one durably; False where there is none."""
        ...


class Keys(Protocol):
    """Whom limits may be about."""

    @property
    def tenants(self) -> Mapping[str, Tenant]:
        """The tenants of the configuration."""
        ...

    def list(self) -> tuple[KeyRecord, ...]:
        """Every key ever made."""
        ...

    def line_of(self, key_id: str) -> str:
        """Id of the first of the keys that followed one another up to this one."""
        ...


class LimitBook:
    """Sets, removes and lists limits. Methods block on the store.

    Attributes:
        currency: Of an amount of money that names none.
    """

    def __init__(self, store: LimitStore, keys: Keys, *, currency: str, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self.currency = currency

    def all(self) -> tuple[Limit, ...]:
        """Every limit, by subject."""
        return self._store.all()

    def subject(self, text: str) -> Subject:
        """The subject that a text names.

        Raises:
            LimitRequestInvalid: It names none, or nobody here.
        """
        kind, _, name = text.partition(":")
        if kind not in {*SubjectKind} or not name:
            raise _invalid("the subject", text, "write tenant:NAME or key:ID")
        subject = Subject(SubjectKind(kind), name)
        if self.tenant_of(subject) is None:
            known = (
                f"the configuration has: {', '.join(sorted(self._keys.tenants))}"
                if subject.kind is SubjectKind.TENANT
                else 'there is no such key; "freehold keys list" shows their ids'
            )
            raise _invalid("the subject", text, known)
        return subject

    def tenant_of(self, subject: Subject) -> str | None:
        """The tenant that a subject is or belongs to; ``None`` where there is no such subject."""
        if subject.kind is SubjectKind.TENANT:
            return subject.name if subject.name in self._keys.tenants else None
        return next((record.tenant for record in self._keys.list() if record.id == subject.name), None)

    def read(self, subject: str, what: str, window: str, amount: str, currency: str = "") -> Limit:
        """The limit that some words say, without setting it.

        Args:
            subject: ``tenant:NAME`` or ``key:ID``.
            what: ``requests``, ``tokens`` or ``money``.
            window: ``minute``, ``hour``, ``day`` or ``month``.
            amount: A whole number; for money with up to six places.
            currency: Of money; the configuration's if empty.

        Raises:
            LimitRequestInvalid: A word does not do.
        """
        found = self._place(self.subject(subject), what, window, currency)
        return Limit(
            subject=found.subject,
            measure=found.measure,
            window=found.window,
            amount=_amount(amount, found),
            currency=found.currency,
        )

    def set(self, limit: Limit, *, by: str = THIS_MACHINE) -> None:
        """Set a limit, or change its amount. It holds in running servers within seconds.

        Args:
            limit: The limit.
            by: Who does it: the id of a key, or a word for a program on this machine.

        Raises:
            LimitRequestInvalid: There are too many limits, or too many of this subject.
            StorageFailed: It could not be stored.
        """
        refuse_too_many(limit, self._store.all())
        event = self._event("limit.set", limit, by, amount=limit.amount)
        if not self._store.put(limit, most=LIMITS_MAX, event=event):
            raise _invalid("the number of limits", LIMITS_MAX + 1, f"at most {LIMITS_MAX:,} are kept; remove some")

    def remove(self, subject: str, what: str, window: str, currency: str = "", *, by: str = THIS_MACHINE) -> None:
        """Remove a limit. Its subject need not be there any more: keys and tenants go, and their limits stay.

        Args:
            subject: As in ``read``, and so on.
            what: As there.
            window: As there.
            currency: As there.
            by: As in ``set``.

        Raises:
            LimitRequestInvalid: There is no such limit.
            StorageFailed: It could not be stored; the limit still holds.
        """
        kind, _, name = subject.partition(":")
        if kind not in {*SubjectKind}:
            raise _invalid("the subject", subject, "write tenant:NAME or key:ID")
        limit = self._place(Subject(SubjectKind(kind), name), what, window, currency)
        if not self._store.remove(limit, event=self._event("limit.removed", limit, by)):
            raise _invalid("the limit", f"{subject} {what} {window}", 'there is none; "freehold limits list" shows all')

    def _event(self, name: str, limit: Limit, by: str, **more: object) -> KeyEvent:
        subject = limit.subject
        is_key = subject.kind is SubjectKind.KEY
        detail = {"what": limit.measure.value, "window": limit.window.value, "currency": limit.currency, **more}
        return KeyEvent(
            unix_ms=self._clock.unix_ms(),
            event=name,
            key_id=subject.name if is_key else "",
            tenant=(self.tenant_of(subject) or "") if is_key else subject.name,
            by=by,
            detail=detail,
        )

    def _place(self, subject: Subject, what: str, window: str, currency: str) -> Limit:
        """A limit without an amount."""
        if what not in {*Measure}:
            raise _invalid("what is limited", what, f"give one of {', '.join(Measure)}")
        if window not in {*Window}:
            raise _invalid("the window", window, f"give one of {', '.join(Window)}")
        measure = Measure(what)
        if measure is not Measure.MONEY and currency:
            raise _invalid("the currency", currency, f"{what} have none")
        if measure is Measure.MONEY:
            currency = currency or self.currency
            if not _CURRENCY.fullmatch(currency):
                raise _invalid("the currency", currency, "give an ISO 4217 code, for example EUR")
        return Limit(subject=subject, measure=measure, window=Window(window), amount=0, currency=currency)


def refuse_too_many(limit: Limit, kept: Iterable[Limit]) -> None:
    """Refuse one more limit of who has enough of them.

    Raises:
        LimitRequestInvalid: So it is.
    """
    others = sum(each.subject == limit.subject and each.place != limit.place for each in kept)
    if others >= LIMITS_OF_ONE_MAX:
        reason = f"at most {LIMITS_OF_ONE_MAX} are kept; remove some"
        raise _invalid(f"the number of limits of {limit.subject}", others + 1, reason)


def limit_amount(limit: Limit, amount: int | None = None) -> str:
    """An amount of what a limit counts, in words: ``5,000 tokens``, ``12.5 USD``. The limit's own if not given."""
    number = limit.amount if amount is None else amount
    if limit.measure is not Measure.MONEY:
        return f"{number:,} {limit.measure.value if number != 1 else limit.measure.value.removesuffix('s')}"
    whole = f"{Money(micros=number).amount:,.6f}".rstrip("0").rstrip(".")
    return f"{whole} {limit.currency}"


def _amount(text: str, limit: Limit) -> int:
    if limit.measure is not Measure.MONEY:
        plain = text.replace("_", "")
        if not _WHOLE.fullmatch(plain) or int(plain) > AMOUNT_MAX:
            raise _invalid("the amount", text, f"give a whole number from 0 to {AMOUNT_MAX}")
        return int(plain)
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(-1)
    top = AMOUNT_MAX // 1_000_000
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not 0 <= number <= top or not isinstance(exponent, int) or exponent < -_PLACES_MAX:
        raise _invalid("the amount", text, f"give a number from 0 to {top} with at most {_PLACES_MAX} decimal places")
    return Money.of(number, limit.currency).micros


def _invalid(what: str, value: object, reason: str) -> LimitRequestInvalid:
    return LimitRequestInvalid(what=what, value=value, reason=reason)
