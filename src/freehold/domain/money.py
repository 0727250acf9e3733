"""Money as integer micro-units of one currency. Never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from freehold.domain.values import value

_MICROS = Decimal(1_000_000)


@value
class Money:
    """An amount.

    Attributes:
        micros: Millionths of the currency's unit.
        currency: ISO 4217 code.
    """

    micros: int
    currency: str = "USD"

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str = "USD") -> Money:
        """``amount`` in whole units, rounded half-even to a micro-unit."""
        return cls(micros=int((Decimal(amount) * _MICROS).quantize(Decimal(1), ROUND_HALF_EVEN)), currency=currency)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(micros=self.micros + other.micros, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(micros=self.micros - other.micros, currency=self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")

    @property
    def amount(self) -> Decimal:
        """The amount in whole units."""
        return Decimal(self.micros) / _MICROS

    def __str__(self) -> str:
        return f"{self.amount:.6f} {self.currency}"
