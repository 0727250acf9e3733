"""How a caller stands with its limits, in the header fields that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.api.exchange import Headers
from freehold.domain.limits import Measure, Standing

_S_PER_MINUTE = 60
_MINUTES_PER_HOUR = 60


def limit_headers(standings: Sequence[Standing]) -> Headers:
    """``x-ratelimit-*`` of requests and of tokens, for whichever of the caller's limits on each has least left."""
    headers: Headers = []
    for measure in (Measure.REQUESTS, Measure.TOKENS):
        found = [each for each in standings if each.limit.measure is measure]
        if found:
            least = min(found, key=lambda each: each.remaining)
            values = (("limit", least.limit.amount), ("remaining", least.remaining), ("reset", _shown(least.reset_s)))
            headers += [(f"x-ratelimit-{name}-{measure}".encode(), str(said).encode()) for name, said in values]
    return headers


def _shown(seconds: int) -> str:
    """A time as OpenAI writes it: ``7s``, ``6m0s``, ``26h0m3s``."""
    minutes, seconds = divmod(seconds, _S_PER_MINUTE)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
