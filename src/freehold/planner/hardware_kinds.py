"""Hardware that people buy, as assumptions to begin with. Judgement of 2026, to be replaced by one's own numbers."""

from __future__ import annotations

from freehold.domain.economics import Spread
from freehold.planner.assumptions import Assumptions

_WORKSTATION = {
    "capex": (12_000, 14_500, 18_000),
    "idle_w": (60, 90, 140),
    "busy_w": (450, 600, 800),
    "pue": (1, 1.1, 1.4),
    "hosting_kw": (0, 0, 60),
    "support": (0.01, 0.03, 0.06),
    "fte": (0.02, 0.05, 0.15),
}
_CLUSTER = {
    "capex": (1.3e6, 1.62e6, 2e6),
    "idle_w": (8_000, 12_000, 18_000),
    "busy_w": (32_000, 45_000, 55_000),
    "fte": (1, 2, 4),
    "busy": (0.15, 0.35, 0.6),
    "software": (0, 3_000, 10_000),
}
KINDS = {
    "server": "one server with one H100",
    "workstation": "a workstation with one card of 96 GB",
    "cluster": "five servers of eight cards",
}


def assumptions_of(kind: str) -> Assumptions:
    """Those of one of ``KINDS``.

    Raises:
        KeyError: There is no such kind.
    """
    changes = {"server": {}, "workstation": _WORKSTATION, "cluster": _CLUSTER}[kind]
    spreads = {name: Spread(low=low, mode=mode, high=high) for name, (low, mode, high) in changes.items()}
    return Assumptions.of_a_server().replaced(spreads)
