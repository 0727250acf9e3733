"""What owning hardware costs against paying for tokens: assumptions, each with its spread, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A number that nobody knows exactly, as a triangle.

    Attributes:
        low: Least that is thought possible.
        mode: Most likely.
        high: Most that is thought possible.
    """

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mode <= self.high:
            raise ValueError(f"{self.low} <= {self.mode} <= {self.high} does not hold")

    @classmethod
    def fixed(cls, value: float) -> Spread:
        """A number that is known."""
        return cls(low=value, mode=value, high=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """List price of a model, in a currency per million tokens.

    Attributes:
        input_per_mtok: Of input tokens.
        output_per_mtok: Of output tokens.
    """

    input_per_mtok: float
    output_per_mtok: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How much is asked for: as tokens, or as what a provider's bill says, which is exact where the mix of tokens is not.

    Attributes:
        mtok_a_month: Million tokens a month; 0 where a bill is given.
        bill_a_month: What they cost in the cloud this month; 0 where tokens are given.
    """

    mtok_a_month: float = 0.0
    bill_a_month: float = 0.0

    def __post_init__(self) -> None:
        if (self.mtok_a_month > 0) == (self.bill_a_month > 0):
            raise ValueError("give either tokens or a bill, above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedMonth:
    """What owned hardware costs in a month.

    Attributes:
        capital: The annuity of what it cost, less what it is still worth in the end.
        energy: Power, idle and busy, with cooling.
        hosting: Space, by the power that is drawn when busy.
        support: Contracts on the hardware.
        staff: People's time.
        software: Licences.
    """

    capital: float
    energy: float
    hosting: float
    support: float
    staff: float
    software: float

    @property
    def running(self) -> float:
        """All but the capital."""
        return self.energy + self.hosting + self.support + self.staff + self.software

    @property
    def total(self) -> float:
        """All of it."""
        return self.capital + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Money over the life of the hardware.

    Attributes:
        npv: Net present value of owning against paying for tokens.
        payback_month: Month in which the discounted savings first cover the price; ``None`` where they never do.
    """

    npv: float
    payback_month: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """A number's spread over the draws.

    Attributes:
        p10: One draw in ten is below.
        p50: The middle.
        p90: One draw in ten is above.
    """

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """What one assumption alone does to a number, with all others at their modes.

    Attributes:
        name: The assumption.
        at_low: The number where it is at its low end.
        at_high: The number where it is at its high end.
    """

    name: str
    at_low: float
    at_high: float

    @property
    def width(self) -> float:
        """How far apart they are."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How often a number fell between two edges.

    Attributes:
        low: First edge.
        high: Last edge; what lies beyond either is in the outermost bin.
        counts: Of bins of equal width.
    """

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Whether owning pays, over all draws.

    Attributes:
        draws: How many.
        seed: Of the draws.
        month: Cost of owning at the modes.
        volume_mtok: Million tokens a month from which owning costs less.
        volume_mtok_mode: The same at the modes.
        volume_at_most: Share of draws in which the volume that is asked about suffices.
        npv: Net present value of the volume that is asked about.
        npv_mode: The same at the modes.
        npv_histogram: Its spread, for a drawing.
        pays: Share of draws in which it is above 0.
        pays_in_a_year: Share in which it is paid back within 11 months.
        payback_months: Payback; 999 stands for never.
        tornado: What each assumption does to the net present value, widest first.
    """

    draws: int
    seed: int
    month: OwnedMonth
    volume_mtok: Quantiles
    volume_mtok_mode: float
    volume_at_most: float
    npv: Quantiles
    npv_mode: float
    npv_histogram: Histogram
    pays: float
    pays_in_a_year: float
    payback_months: Quantiles
    tornado: tuple[Swing, ...]


class Advice(StrEnum):
    """What to do."""

    MOVE = "move"
    STAY = "stay"
    UNDECIDED = "undecided"
    CHEAPER_CLOUD = "cheaper-cloud-first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to serve all that is asked, at the most likely values.

    Attributes:
        name: ``cloud``, ``hybrid`` or ``local``.
        a_month: What it costs in a month.
        cloud_share: Share of the cloud's bill that is paid all the same.
        same_quality: Whether every answer is as good as the cloud's: at home alone those are not that were turned down.
    """

    name: str
    a_month: float
    cloud_share: float
    same_quality: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Repatriation:
    """What to do about a bill, and why.

    Attributes:
        advice: What to do.
        because: The reasons, as sentences.
        demand: What was asked about.
        price: Of the cloud model that owning is compared with.
        price_source: Where that price was read, with its date.
        bill_a_month: The cloud's bill now.
        compared_bill_a_month: The same at ``price``, which may be a cheaper model's that is good enough.
        result: Whether owning pays against that.
        ways: All in the cloud, the doubtful ones in the cloud, and none.
    """

    advice: Advice
    because: tuple[str, ...]
    demand: Demand
    price: TokenPrices
    price_source: str
    bill_a_month: float
    compared_bill_a_month: float
    result: BreakEven
    ways: tuple[Way, ...] = ()
