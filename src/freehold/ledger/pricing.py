"""What an attempt cost. Pure integer arithmetic: rounded once, half to even, at the very end."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, TokenPrice
from freehold.domain.money import Money
from freehold.domain.receipt import UNPRICED, Cost, ListPrice
from freehold.domain.response import Usage
from freehold.ledger.basis import machine_basis, machine_of, price_of, token_basis
from freehold.ledger.machine import MachineTime, OwnedHardware
from freehold.ledger.rounding import divide_half_even

OWNED = "owned-hardware"

_PERMILLE = 1_000
_US_PER_MS = 1_000
_TOKENS_PER_MTOK = 1_000_000
_MW_PER_WATT = 1_000
_US_PER_HOUR = 3_600_000_000
_HOURS_PER_MONTH = 730
_MWH_PER_KWH = 1_000_000
_NOT_PRICED = Cost(amount=None, source=UNPRICED)


def cost_of_attempt(
    deployment: Deployment,
    *,
    usage: Usage,
    busy_ms: float,
    hardware: OwnedHardware | None,
    price: TokenPrice | None,
    share_permille: int = _PERMILLE,
    measured_mw: int | None = None,
) -> Cost:
    """What one attempt cost: its tokens where they have a price, else its machine time where that is owned.

    A price that somebody stated for a deployment at home (a cost centre's rate, say) goes before the machine's own
    cost. Where neither is known the cost is *unpriced*: ``amount`` is ``None``, never 0.

    Args:
        deployment: Where it ran.
        usage: Its tokens.
        busy_ms: For how long it held its slot and was computed, in milliseconds, at least 0.
        hardware: The machine in the deployment's zone, where one is owned.
        price: Price of a token at this deployment, where tokens are paid for.
        share_permille: As in ``MachineTime``; by default it pays for the whole machine.
        measured_mw: As in ``MachineTime``.
    """
    if price is not None:
        return cost_of_tokens(usage, price)
    if hardware is not None and hardware.zone == deployment.zone:
        busy_us = round(max(busy_ms, 0.0) * _US_PER_MS)
        used = MachineTime(busy_us=busy_us, share_permille=share_permille, measured_mw=measured_mw)
        return cost_of_machine_time(hardware, used)
    return _NOT_PRICED


def cost_of_tokens(usage: Usage, price: TokenPrice) -> Cost:
    """Tokens at a list price.

    ``input_tokens`` holds the cached ones already, which are taken out of it and paid at their own price where there
    is one. Reasoning tokens are output tokens already.
    """
    return Cost(
        amount=_token_money(usage, price),
        source=price.source,
        price_version=price.price_version,
        effective=price.effective,
        basis=token_basis(price),
    )


def list_price(price: TokenPrice) -> ListPrice:
    """Where a price to compare with comes from, as it is kept."""
    return ListPrice(
        source=price.source,
        price_version=price.price_version,
        effective=price.effective,
        basis=token_basis(price),
    )


def amount_again(basis: tuple[int, ...], usage: Usage, currency: str) -> Money | None:
    """The amount of a basis and its tokens, computed anew; ``None``, never 0, where there is no basis that is known."""
    price = price_of(basis, currency)
    if price is not None:
        return _token_money(usage, price)
    owned = machine_of(basis, currency)
    return None if owned is None else cost_of_machine_time(*owned).amount


def counterfactual(usage: Usage, price: TokenPrice | None) -> Money | None:
    """What the same tokens cost at another model; ``None``, never 0, where that model has no price.

    Another model would tokenise and answer differently: this is an estimate, and is named after the model.
    """
    return None if price is None else _token_money(usage, price)


def cost_of_machine_time(hardware: OwnedHardware, used: MachineTime) -> Cost:
    """A share of an owned machine's purchase and power.

    With K purchase price, R residual value, L life, b busy share, W power draw, p price of power::

        capital = (K - R) / (L · b) · time                   straight line: the annuity at an interest rate of 0
        power   = (W_busy + W_idle · (1 - b) / b) · PUE · p · time
        amount  = share · (capital + power)

    Summed over a life in which the machine is busy for the share b, attempts pay exactly its purchase, and the power
    of its busy and of its idle hours (the monthly sum of the total-cost model, ``(K - R) / N`` and
    ``idle_w · (1 - b) + busy_w · b``, divided by the busy hours). Staff, hosting and interest are no marginal cost
    of an answer; they belong to the planner's total cost.

    ``energy_mwh`` is what was drawn while the attempt ran, without the idle hours.
    """
    busy_mw = hardware.busy_watts * _MW_PER_WATT if used.measured_mw is None else used.measured_mw
    busy = hardware.busy_share_permille
    worn_off = hardware.purchase_price.micros * (_PERMILLE - hardware.residual_permille)
    life_us = hardware.life_months * _HOURS_PER_MONTH * _US_PER_HOUR
    # Both terms in micro-units, over the denominators written beside them.
    capital = worn_off * used.busy_us  # / (1000 · life_us · busy/1000)
    capital_over = life_us * busy
    attributed_mw = busy_mw * busy + hardware.idle_watts * _MW_PER_WATT * (_PERMILLE - busy)  # / busy
    power = attributed_mw * used.busy_us * hardware.pue_permille * hardware.power_price_micros_per_kwh
    power_over = busy * _US_PER_HOUR * _PERMILLE * _MWH_PER_KWH
    micros = divide_half_even(
        (capital * power_over + power * capital_over) * used.share_permille, capital_over * power_over * _PERMILLE
    )
    energy_mwh = divide_half_even(
        busy_mw * used.busy_us * hardware.pue_permille * used.share_permille, _US_PER_HOUR * _PERMILLE * _PERMILLE
    )
    return Cost(
        amount=Money(micros=micros, currency=hardware.purchase_price.currency),
        energy_mwh=energy_mwh,
        source=OWNED,
        price_version=hardware.version,
        effective=hardware.effective,
        basis=machine_basis(hardware, used, busy_mw=busy_mw),
        measured=used.measured_mw is not None,
    )


def _token_money(usage: Usage, price: TokenPrice) -> Money:
    # An upstream that reports more cached than input tokens must not make the rest negative.
    cached = min(usage.cached_tokens, usage.input_tokens)
    cached_price = price.cached_input_micros_per_mtok
    if cached_price is None:
        cached_price = price.input_micros_per_mtok
    total = (
        (usage.input_tokens - cached) * price.input_micros_per_mtok
        + cached * cached_price
        + usage.output_tokens * price.output_micros_per_mtok
    )
    return Money(micros=divide_half_even(total, _TOKENS_PER_MTOK), currency=price.currency)
