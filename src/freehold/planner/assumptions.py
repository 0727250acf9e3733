"""What a comparison of owning and renting rests on: each number with its spread, all of them shown with every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

from freehold.domain.economics import Spread


class Draws(Protocol):
    """A source of random numbers; ``random.Random`` is one."""

    def triangular(self, low: float, high: float, mode: float, /) -> float:
        """A number of the triangle."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """One value of each assumption. The order of the fields is the order in which they are drawn.

    Attributes:
        capex: Price of the hardware.
        life_months: How long it is used.
        residual: Share of its price that it is worth in the end.
        wacc: What capital costs, a year.
        idle_w: Power when idle, at the wall.
        busy_w: Power when busy, at the wall.
        pue: Power of the site for each watt of the hardware.
        kwh: Price of a kilowatt hour.
        hosting_kw: Price of space a month, for each kilowatt when busy.
        support: Share of its price that contracts cost, a year.
        fte: People that it takes.
        salary: What one of them costs, a year.
        busy: Share of the time in which it is busy.
        software: Licences, a month.
        accept: Share of the tokens whose answers are good enough at home.
        escalate: Share of those that are asked again in the cloud all the same.
        batchable: Share of the cloud's tokens that could go as a batch.
        batch_disc: What is off the price of a batch.
        cached: Share of the cloud's input tokens that would be cached.
        cache_price: Their price, as a share of the input price.
        commit_disc: What is off for a commitment.
        price_drift: How the cloud's price changes in a year, as a share.
        in_share: Share of all tokens that are input.
    """

    capex: float
    life_months: float
    residual: float
    wacc: float
    idle_w: float
    busy_w: float
    pue: float
    kwh: float
    hosting_kw: float
    support: float
    fte: float
    salary: float
    busy: float
    software: float
    accept: float
    escalate: float
    batchable: float
    batch_disc: float
    cached: float
    cache_price: float
    commit_disc: float
    price_drift: float
    in_share: float


NAMES = tuple(each.name for each in fields(Assumed))

ABOUT = {
    "capex": "price of the hardware, $",
    "life_months": "months that it is used",
    "residual": "share of its price left in the end",
    "wacc": "cost of capital, a year",
    "idle_w": "watts when idle",
    "busy_w": "watts when busy",
    "pue": "power of the site, for each watt",
    "kwh": "price of a kWh, $",
    "hosting_kw": "space, $ a month for a kW",
    "support": "contracts, share of its price a year",
    "fte": "people that it takes",
    "salary": "cost of one of them, $ a year",
    "busy": "share of the time that it is busy",
    "software": "licences, $ a month",
    "accept": "share good enough at home",
    "escalate": "share of those asked again",
    "batchable": "share that could go as a batch",
    "batch_disc": "off the price of a batch",
    "cached": "share of input that is cached",
    "cache_price": "price of cached input, as a share",
    "commit_disc": "off for a commitment",
    "price_drift": "change of the cloud's price, a year",
    "in_share": "share of tokens that are input",
}
"""What each of them is, in the few words that a table has room for."""

_SHARE, _AMOUNT = (0.0, 1.0), (0.0, 1e12)
BOUNDS = {
    **dict.fromkeys(NAMES, _SHARE),
    **dict.fromkeys(("capex", "idle_w", "busy_w", "kwh", "hosting_kw", "fte", "salary", "software"), _AMOUNT),
    "life_months": (1, 600),
    "pue": (0, 100),
    "wacc": (0, 10),
    "support": (0, 10),
    "cache_price": (0, 10),
    "price_drift": (-0.99, 10),
}
"""Between what each of them can be; beyond it nothing that follows means anything."""

_SERVER = {
    "capex": (32_000, 42_000, 55_000),
    "life_months": (36, 48, 60),
    "residual": (0.05, 0.20, 0.35),
    "wacc": (0.06, 0.10, 0.14),
    "idle_w": (150, 250, 350),
    "busy_w": (600, 750, 950),
    "pue": (1.15, 1.4, 1.7),
    "kwh": (0.08, 0.13, 0.25),
    "hosting_kw": (0, 120, 200),
    "support": (0.03, 0.06, 0.12),
    "fte": (0.05, 0.20, 0.50),
    "salary": (140_000, 200_000, 280_000),
    "busy": (0.05, 0.20, 0.50),
    "software": (0, 0, 500),
    "accept": (0.5, 0.75, 0.95),
    "escalate": (0.02, 0.10, 0.25),
    "batchable": (0, 0.2, 0.5),
    "batch_disc": (0.5, 0.5, 0.5),
    "cached": (0.1, 0.35, 0.7),
    "cache_price": (0.05, 0.10, 0.25),
    "commit_disc": (0, 0, 0.15),
    "price_drift": (-0.60, -0.30, 0),
    "in_share": (0.70, 0.80, 0.95),
}
"""One server with one H100, 2026: judgement, to be replaced by one's own numbers."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """A spread for each name of ``NAMES``, in that order.

    Attributes:
        spreads: All of them.
    """

    spreads: tuple[Spread, ...]

    @classmethod
    def of_a_server(cls) -> Assumptions:
        """The shipped ones."""
        return cls(tuple(Spread(low=low, mode=mode, high=high) for low, mode, high in map(_SERVER.__getitem__, NAMES)))

    def replaced(self, changes: Mapping[str, Spread]) -> Assumptions:
        """With other spreads for some names.

        Raises:
            KeyError: There is no assumption of that name.
        """
        for name in changes:
            if name not in NAMES:
                raise KeyError(name)
        return Assumptions(tuple(changes.get(name, old) for name, old in zip(NAMES, self.spreads, strict=True)))

    def spread(self, name: str) -> Spread:
        """Of one name."""
        return self.spreads[NAMES.index(name)]

    def modes(self) -> Assumed:
        """The most likely value of each."""
        return Assumed(**{name: each.mode for name, each in zip(NAMES, self.spreads, strict=True)})

    def drawn(self, draws: Draws) -> Assumed:
        """One value of each, at random; what is known exactly takes no number from ``draws``."""
        triangular = draws.triangular
        return Assumed(
            **{
                name: each.low if each.low == each.high else triangular(each.low, each.high, each.mode)
                for name, each in zip(NAMES, self.spreads, strict=True)
            }
        )
