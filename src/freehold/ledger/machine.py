"""A machine that somebody owns, and how much of it an attempt used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from freehold.domain.money import Money
from freehold.domain.zones import DEVICE, Zone

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedHardware:
    """What its owner states about a machine. Every number is the owner's; none is guessed.

    Attributes:
        purchase_price: Paid for it.
        residual_permille: Share of that price it still brings at the end of its life, 0 to 1,000.
        life_months: Months until then, at least 1.
        busy_share_permille: Share of its life in which it runs attempts, 1 to 1,000. The idle rest is paid by the
            busy share.
        idle_watts: Drawn at the wall while it waits for work.
        busy_watts: Drawn at the wall while it runs attempts.
        power_price_micros_per_kwh: In the currency of ``purchase_price``.
        pue_permille: Power usage effectiveness of its room, at least 1,000; 1,000 for a desk.
        zone: Where it stands. Attempts in other zones are not priced with it: another machine has other costs.
        effective: Date from which these numbers hold, ISO 8601; empty where unknown.
    """

    purchase_price: Money
    residual_permille: int = 0
    life_months: int = 48
    busy_share_permille: int
    idle_watts: int
    busy_watts: int
    power_price_micros_per_kwh: int
    pue_permille: int = 1_000
    zone: Zone = DEVICE
    effective: str = ""

    def __post_init__(self) -> None:
        least = {
            "life_months": 1,
            "busy_share_permille": 1,
            "pue_permille": _PERMILLE,
            "residual_permille": 0,
            "idle_watts": 0,
            "busy_watts": 0,
            "power_price_micros_per_kwh": 0,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}, at least {low} is needed")
        for name in ("busy_share_permille", "residual_permille"):
            if getattr(self, name) > _PERMILLE:
                raise ValueError(f"{name} is {getattr(self, name)}, at most {_PERMILLE} is possible")
        if self.purchase_price.micros < 0:
            raise ValueError(f"purchase_price is {self.purchase_price}, it cannot be negative")

    @property
    def version(self) -> str:
        """Digest of the stated numbers: rows with the same one were priced alike."""
        return "owned-1 " + hashlib.sha256(repr(self).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTime:
    """How much of a machine an attempt used.

    Attributes:
        busy_us: Microseconds for which it held its slot and was computed.
        share_permille: Its share of the machine over that time: 1,000 divided by the attempts that ran at once, so
            that concurrent attempts never pay for the same second twice.
        measured_mw: Mean draw of the whole machine in milliwatts while it ran, where a counter gave one; replaces
            the stated ``busy_watts``.
    """

    busy_us: int
    share_permille: int = _PERMILLE
    measured_mw: int | None = None

    def __post_init__(self) -> None:
        if self.busy_us < 0 or not 0 <= self.share_permille <= _PERMILLE or (self.measured_mw or 0) < 0:
            raise ValueError(f"{self} is out of range")
