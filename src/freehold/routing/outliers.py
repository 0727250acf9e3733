"""Which servers of a set fail far more often than their peers (Envoy's success-rate outlier detection). Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final

from freehold.domain.health import CallWindow

PEERS_MIN: Final = 5
CALLS_MIN: Final = 100
DEVIATIONS: Final = 1.9
"""An outlier's success rate is below the mean of its peers by this many standard deviations."""

EJECTED_SHARE_MAX: Final = 0.1
"""Of a set, but always one: a statistic that condemns many condemns the way they are measured."""


def success_rate_outliers(windows: Mapping[str, CallWindow]) -> tuple[str, ...]:
    """Names whose success rate lies far below the others', worst first.

    Args:
        windows: What ended in one window, by name. Who had fewer than ``CALLS_MIN`` calls neither is judged nor counts
            as a peer; with fewer than ``PEERS_MIN`` peers nobody is judged.
    """
    rates = {name: window.success_rate for name, window in windows.items() if window.calls >= CALLS_MIN}
    if len(rates) < PEERS_MIN:
        return ()
    mean = math.fsum(rates.values()) / len(rates)
    deviation = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates.values()) / len(rates))
    bound = mean - DEVIATIONS * deviation
    # Equal rates have no outlier, whatever rounding makes of their mean.
    found = [name for name, rate in rates.items() if rate < bound and not math.isclose(rate, bound)]
    return tuple(sorted(found, key=lambda name: rates[name]))


def ejectable(outliers: Collection[str], *, peers: int, ejected: int) -> tuple[str, ...]:
    """Those of ``outliers`` that may be ejected now, in their order.

    Args:
        outliers: Worst first, none of them ejected yet.
        peers: Size of the set.
        ejected: Of it, how many are ejected already.
    """
    room = max(1, math.floor(EJECTED_SHARE_MAX * peers)) - ejected
    room = min(room, peers - 1 - ejected)  # never the last
    return tuple(outliers)[: max(0, room)]
