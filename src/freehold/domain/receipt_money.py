"""Money, costs and prices of a receipt as JSON-ready values, and back."""

from __future__ import annotations

from freehold.domain.json_members import Json, flag, integer, integers, member_object, optional, text
from freehold.domain.money import Money
from freehold.domain.receipt import Cost, ListPrice


def cost_document(cost: Cost | None) -> dict[str, object] | None:
    """A cost, whose amount is ``null`` where it is not known."""
    if cost is None:
        return None
    return {
        "money": money_document(cost.amount),
        "energy_mwh": cost.energy_mwh,
        "source": cost.source,
        "price_version": cost.price_version,
        "effective": cost.effective,
        "basis": list(cost.basis),
        "measured": cost.measured,
    }


def list_price_document(price: ListPrice | None) -> dict[str, object] | None:
    """A price to compare with."""
    if price is None:
        return None
    return {
        "source": price.source,
        "price_version": price.price_version,
        "effective": price.effective,
        "basis": list(price.basis),
    }


def list_price_of(document: Json | None) -> ListPrice | None:
    """The price of a document that ``list_price_document`` made."""
    if document is None:
        return None
    return ListPrice(
        source=text(document, "source"),
        price_version=text(document, "price_version"),
        effective=text(document, "effective"),
        basis=integers(document, "basis"),
    )


def cost_of(document: Json | None) -> Cost | None:
    """The cost of a document that ``cost_document`` made; an older one has no basis."""
    if document is None:
        return None
    return Cost(
        amount=money_of(document, "money"),
        energy_mwh=optional(integer, document, "energy_mwh"),
        source=text(document, "source"),
        price_version=text(document, "price_version"),
        effective=text(document, "effective"),
        basis=integers(document, "basis") if "basis" in document else (),
        measured=flag(document, "measured") if "measured" in document else False,
    )


def money_document(money: Money | None) -> dict[str, object] | None:
    """Exact micro-units, and an amount for readers."""
    if money is None:
        return None
    return {"micros": money.micros, "currency": money.currency, "amount": f"{money.amount:.6f}"}


def money_of(document: Json, name: str) -> Money | None:
    """A member with money; ``None`` where it is ``null``."""
    money = optional(member_object, document, name)
    return None if money is None else Money(micros=integer(money, "micros"), currency=text(money, "currency"))
