"""The whole numbers that an amount was computed from, kept beside it, so that it can be computed again to the micro-unit.

The first number says which form it is:

- 1: tokens at a list price: input, output and cached input in micro-units per million tokens, -1 where cached input has no
  price of its own;
- 2: a share of an owned machine: microseconds busy, share in thousandths, milliwatts, and then what its owner stated:
  purchase price in micro-units, residual in thousandths, months of life, busy share in thousandths, idle watts, price of a
  kilowatt hour in micro-units, PUE in thousandths, busy watts.
"""

from __future__ import annotations

from freehold.domain.deployment import TokenPrice
from freehold.domain.money import Money
from freehold.ledger.machine import MachineTime, OwnedHardware

_TOKENS, _MACHINE = 1, 2
_NO_PRICE = -1


def token_basis(price: TokenPrice) -> tuple[int, ...]:
    """Of tokens at a list price."""
    cached = price.cached_input_micros_per_mtok
    return (
        _TOKENS,
        price.input_micros_per_mtok,
        price.output_micros_per_mtok,
        _NO_PRICE if cached is None else cached,
    )


def machine_basis(hardware: OwnedHardware, used: MachineTime, *, busy_mw: int) -> tuple[int, ...]:
    """Of a share of an owned machine that drew ``busy_mw`` milliwatts meanwhile."""
    return (
        _MACHINE,
        used.busy_us,
        used.share_permille,
        busy_mw,
        hardware.purchase_price.micros,
        hardware.residual_permille,
        hardware.life_months,
        hardware.busy_share_permille,
        hardware.idle_watts,
        hardware.power_price_micros_per_kwh,
        hardware.pue_permille,
        hardware.busy_watts,
    )


def price_of(basis: tuple[int, ...], currency: str) -> TokenPrice | None:
    """The list price of a basis; ``None`` where it is about something else, or about nothing that is known."""
    if len(basis) != 4 or basis[0] != _TOKENS:
        return None
    _, inputs, outputs, cached = basis
    return TokenPrice(
        input_micros_per_mtok=inputs,
        output_micros_per_mtok=outputs,
        cached_input_micros_per_mtok=None if cached == _NO_PRICE else cached,
        currency=currency,
    )


def machine_of(basis: tuple[int, ...], currency: str) -> tuple[OwnedHardware, MachineTime] | None:
    """The machine of a basis and what was used of it; ``None`` as in ``price_of``."""
    if len(basis) != 12 or basis[0] != _MACHINE:
        return None
    _, busy_us, share, busy_mw, price, residual, life, busy_share, idle, kwh, pue, busy_watts = basis
    try:
        hardware = OwnedHardware(
            purchase_price=Money(micros=price, currency=currency),
            residual_permille=residual,
            life_months=life,
            busy_share_permille=busy_share,
            idle_watts=idle,
            busy_watts=busy_watts,
            power_price_micros_per_kwh=kwh,
            pue_permille=pue,
        )
        return hardware, MachineTime(busy_us=busy_us, share_permille=share, measured_mw=busy_mw)
    except ValueError:
        return None
