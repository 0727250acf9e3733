"""List prices of cloud models: typed in, else from the data bundled with ``genai-prices``; never from the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from freehold.domain.deployment import DatedPrice, TokenPrice
from freehold.domain.ports import PriceBook
from freehold.domain.response import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

SOURCE = "genai-prices"

_MICROS_PER_UNIT = 1_000_000
_MS_PER_DAY = 86_400_000
_CACHE_MAX = 1_024


class OwnPriceBook:
    """Prices that were typed in, each from a moment on, before those of a book. Implements ``domain.ports.PriceBook``.

    Attributes:
        typed: What was typed in; replaced as a whole where the configuration changes.
    """

    def __init__(self, book: PriceBook, typed: Sequence[DatedPrice] = ()) -> None:
        self._book = book
        self.typed = tuple(typed)

    def warm(self) -> None:
        """Have the book read its prices now. May block for about half a second; call it off the event loop."""
        self._book.price("openai/gpt-4o", usage=Usage(), unix_ms=0)

    def price(self, model: str, *, usage: Usage, unix_ms: int) -> TokenPrice | None:
        """See ``PriceBook``: the latest that was typed in for it and holds by then, else the book's."""
        held = [each for each in self.typed if each.model == model and each.from_unix_ms <= unix_ms]
        if held:
            return max(held, key=lambda each: each.from_unix_ms).price
        return self._book.price(model, usage=usage, unix_ms=unix_ms)


@dataclass(frozen=True, slots=True)
class _DayPrice:
    """What a model costs on one day, with its tiers still to be chosen by prompt length."""

    prices: ModelPrice
    effective: str


class GenaiPriceBook:
    """Prices by ``provider/model`` and moment. Implements ``domain.ports.PriceBook``.

    Standard prices of text tokens; batch discounts, service tiers and what is written to a prompt cache, which
    ``Usage`` does not tell apart, are not in them.

    The package takes about half a second to import, so that happens on first use. Its updater, which fetches from the public web, is never started.
    """

    def __init__(self) -> None:
        self._days: dict[tuple[str, int], _DayPrice | None] = {}

    def price(self, model: str, *, usage: Usage, unix_ms: int) -> TokenPrice | None:
        """Price of ``provider/model`` at a moment; ``None`` where unknown, never zero.

        Args:
            model: For example ``openai/gpt-4o``. Without a provider nothing is guessed.
            usage: Decides the tier: long prompts cost more with some models, for all of their tokens.
            unix_ms: When the tokens were used.
        """
        day = self._day_price(model, unix_ms)
        if day is None:
            return None
        prices, tokens = day.prices, usage.input_tokens
        input_micros = _micros_per_mtok(prices.input_mtok, tokens)
        output_micros = _micros_per_mtok(prices.output_mtok, tokens)
        if output_micros is None and not usage.output_tokens:
            output_micros = 0  # an embedding model has no output to be paid for
        if input_micros is None or output_micros is None or prices.requests_kcount:
            return None  # a price in tokens alone would be too low for a model with a fee a request
        return TokenPrice(
            input_micros_per_mtok=input_micros,
            output_micros_per_mtok=output_micros,
            cached_input_micros_per_mtok=_micros_per_mtok(prices.cache_read_mtok, tokens),
            currency="USD",
            source=SOURCE,
            price_version=_version(),
            effective=day.effective,
        )

    def _day_price(self, model: str, unix_ms: int) -> _DayPrice | None:
        key = (model, unix_ms // _MS_PER_DAY)
        if key in self._days:
            return self._days[key]
        found, varies = _look_up(model, datetime.fromtimestamp(unix_ms / 1000, UTC))
        if not varies:
            if len(self._days) >= _CACHE_MAX:
                self._days.clear()
            self._days[key] = found
        return found


def _look_up(model: str, moment: datetime) -> tuple[_DayPrice | None, bool]:
    """The price at a moment, and whether it changes within the day."""
    # Imported here and below on first use: half a second that no start-up waits for.
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    provider, _, name = model.partition("/")
    if not provider or not name:
        return None, False
    try:
        found = calc_price(PricedUsage(input_tokens=1), name, provider_id=provider, genai_request_timestamp=moment)
    except LookupError:
        return None, False
    return _DayPrice(found.model_price, _effective(found.model, moment)), _varies(found.model)


def _effective(model: ModelInfo, moment: datetime) -> str:
    """Date from which the price of ``moment`` holds; empty where the data has no date."""
    from genai_prices.types import StartDateConstraint

    prices = model.prices if isinstance(model.prices, list) else []
    starts = [
        entry.constraint.start_date
        for entry in prices
        if isinstance(entry.constraint, StartDateConstraint) and entry.constraint.active(moment)
    ]
    return max(starts).isoformat() if starts else ""


def _varies(model: ModelInfo) -> bool:
    """Whether the price depends on the time of day (off-peak prices)."""
    from genai_prices.types import TimeOfDateConstraint

    return isinstance(model.prices, list) and any(
        isinstance(entry.constraint, TimeOfDateConstraint) for entry in model.prices
    )


def _micros_per_mtok(price: Decimal | TieredPrices | None, input_tokens: int) -> int | None:
    if price is None:
        return None
    if not isinstance(price, Decimal):
        # A tier that is reached holds for all tokens, not only for those beyond it.
        reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
        price = reached[-1] if reached else price.base
    return int((price * _MICROS_PER_UNIT).quantize(Decimal(1), ROUND_HALF_EVEN))


def _version() -> str:
    from genai_prices import __version__ as version

    return f"{SOURCE} {version}"
