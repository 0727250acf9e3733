"""What to change so that a model fits: the least first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from freehold.domain.hardware import FitReport, Gpu, HardwareProfile, ModelShape
from freehold.planner.fit import Launch, fit

_CONTEXT_LEAST = 2_048
_BATCH_SMALL = 128
_TOGETHER = "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change after which it fits.

    Attributes:
        text: What to change.
        launch: How it would then be started.
        report: What that takes.
    """

    text: str
    launch: Launch
    report: FitReport


def remedies(
    shape: ModelShape, launch: Launch, profile: HardwareProfile, *, gpu: Gpu | None = None
) -> tuple[Remedy, ...]:
    """Each change that is enough on its own; else what is enough together; none where the weights alone are too large."""
    single = [
        remedy
        for changes in (_batch(launch), _cache(launch), _context(launch), _users(launch))
        if (remedy := _first(changes, shape, profile, gpu)) is not None
    ]
    if single:
        return tuple(single)
    together = _first(_all(launch), shape, profile, gpu)
    return () if together is None else (together,)


def _first(
    changes: Iterable[tuple[str, Launch]], shape: ModelShape, profile: HardwareProfile, gpu: Gpu | None
) -> Remedy | None:
    """The first change that is enough."""
    for text, changed in changes:
        report = fit(shape, changed, profile, gpu=gpu)
        if report.fits:
            return Remedy(text=text, launch=changed, report=report)
    return None


def _batch(launch: Launch) -> tuple[tuple[str, Launch], ...]:
    if launch.batch_tokens <= _BATCH_SMALL:
        return ()
    return ((f"read prompts {_BATCH_SMALL} tokens at once", replace(launch, batch_tokens=_BATCH_SMALL)),)


def _cache(launch: Launch) -> tuple[tuple[str, Launch], ...]:
    if launch.cache_type == "q8_0":
        return ()
    return (("keep the cache in 8 bits (q8_0)", replace(launch, cache_type="q8_0")),)


def _context(launch: Launch) -> tuple[tuple[str, Launch], ...]:
    return tuple(
        (f"a context of {tokens:,} tokens", replace(launch, context_tokens=tokens))
        for tokens in _halves(launch.context_tokens, _CONTEXT_LEAST)
    )


def _users(launch: Launch) -> tuple[tuple[str, Launch], ...]:
    return tuple((f"{slots} at once", replace(launch, slots=slots)) for slots in _halves(launch.slots, 1))


def _all(launch: Launch) -> tuple[tuple[str, Launch], ...]:
    """Both buffers as small as they go, then fewer users, then less context: no more than it takes."""
    small = replace(launch, batch_tokens=min(launch.batch_tokens, _BATCH_SMALL), cache_type="q8_0")
    users = [replace(small, slots=slots) for slots in (launch.slots, *_halves(launch.slots, 1))]
    fewest = users[-1]
    contexts = [replace(fewest, context_tokens=tokens) for tokens in _halves(launch.context_tokens, _CONTEXT_LEAST)]
    return tuple(
        (f"{_TOGETHER}: 8 bits, {each.context_tokens:,} tokens, {each.slots} at once", each)
        for each in (*users, *contexts)
    )


def _halves(number: int, least: int) -> Iterator[int]:
    while number // 2 >= least:
        number //= 2
        yield number
