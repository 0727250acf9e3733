"""What a restricted text says changes nothing that anybody without clearance for it can see.

Two runs of one seed, with all their faults, differ in nothing but the restricted texts and what the model at home makes
of them. Everything that goes to a lower place must be the same bytes: what the other deployment gets, heads and all, at
the same moments; every line of every log; metrics; audit records; receipts; and the answers to everybody else.

What the promise leaves out, the two texts have in common: their length, since counts of bytes and tokens are told, and
how sure the model is of its answer, since that a text was escalated is told.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import zlib
from collections.abc import Coroutine, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import pytest

from freehold.gateway import footing
from freehold.policy.labelling import label_request
from tests.simulation import run, upstream
from tests.simulation.clients import Client
from tests.simulation.house import SimHouse
from tests.simulation.loop import SimLoop
from tests.simulation.run import simulate
from tests.simulation.upstream import Conversation, Script
from tests.simulation.world import Ask, Call, World

SEEDS = 40
SECRETS = ("codename-aurora-4711-ends", "codename-zephyr-0815-ends")
"""Of one length."""

_SAID = re.compile(rb"codename-[a-z]+-[0-9]+-ends")


@dataclasses.dataclass
class Seen:
    """What lower places saw of one run.

    Attributes:
        sent: Every piece that the deployment beyond this device got, with its moment.
        logged: Every line, of every logger and level.
        restricted: Restricted requests that were asked.
        echoed: Answers of the model at home that quote a restricted text: what must not have come here was there.
        findings: What did not hold besides.
    """

    sent: list[tuple[float, bytes]] = dataclasses.field(default_factory=list[tuple[float, bytes]])
    logged: list[str] = dataclasses.field(default_factory=list[str])
    audit: list[str] = dataclasses.field(default_factory=list[str])
    receipts: list[str] = dataclasses.field(default_factory=list[str])
    answers: list[tuple[str, int, bytes, str]] = dataclasses.field(default_factory=list[tuple[str, int, bytes, str]])
    metrics: str = ""
    restricted: int = 0
    echoed: int = 0
    findings: list[str] = dataclasses.field(default_factory=list[str])

    def lower(self) -> dict[str, object]:
        """All that is not for cleared eyes."""
        return {each: getattr(self, each) for each in ("sent", "logged", "audit", "receipts", "answers", "metrics")}


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        more = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        self._lines.append(f"{self.format(record)} {more}")


_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


@contextmanager
def _watched(seen: Seen, secret: str) -> Generator[None]:
    """Record what goes to lower places, and have half of all requests restricted, with ``secret`` in their text."""

    class Confiding(Client):
        def _ask(self, turn: int) -> Ask:
            ask = super()._ask(turn)
            ask.restricted = ask.restricted or zlib.crc32(ask.tag.encode()) % 2 == 0
            if ask.restricted:
                ask.said = f"{secret} "
                seen.restricted += 1
            return ask

    class Echoing(Script):
        """At home the model repeats what it was told."""

        def __init__(self, call: Call, request: dict[str, Any], chance: Any, deployment: str) -> None:
            super().__init__(call, request, chance, deployment)
            if told := _SAID.search(call.body):
                self._words = [f"{word}{told[0].decode()} " for word in self._words]
                seen.echoed += 1

    def received(self: Conversation, data: bytes) -> None:
        if self.name.startswith("big"):
            seen.sent.append((self._loop.time(), data))
        take(self, data)

    take = Conversation.data_received
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Client", Confiding)
        patch.setattr(upstream, "Script", Echoing)
        patch.setattr(Conversation, "data_received", received)
        yield


async def _scenario(world: World, loop: SimLoop, seen: Seen) -> list[str]:
    """One seed's usual run, with every log open."""
    handler = _Lines(seen.logged)
    loggers = [logging.getLogger(name) for name in ("freehold", "uvicorn.error", "uvicorn.access", "asyncio")]
    levels = [logger.level for logger in loggers]
    houses: list[SimHouse] = []
    opened = run.open_house

    async def open_house(*given: Any, **more: Any) -> SimHouse:
        houses.append(await opened(*given, **more))
        return houses[-1]

    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "open_house", open_house)
            findings = await run._live(world, loop)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
    (house,) = houses
    seen.logged[:] = _unordered(seen.logged)
    seen.audit = _unordered(repr(each.record) for each in house.audit.kept)
    seen.receipts = _unordered(repr(each) for each in house.receipts.offered)
    seen.metrics = _counted(house.house._observation._metrics.render())
    seen.answers = [(ask.tag, ask.status, bytes(ask.body), ask.ended) for ask in world.asks if not ask.restricted]
    return findings


_PLACE = re.compile(r"('audit_index': |audit_index=)[0-9]+")


def _unordered(lines: Iterable[str]) -> list[str]:
    """Lines without their order: requests that a stop ends in one moment are recorded in any, whatever they say."""
    return sorted(_PLACE.sub(r"\1…", line) for line in lines)


def _counted(text: str) -> str:
    """Metrics without those of the machine that the test runs on."""
    return "\n".join(line for line in text.splitlines() if "process_" not in line and "python_" not in line)


def seen_of(seed: int, secret: str) -> Seen:
    """One run of a seed."""
    seen = Seen()

    def scenario(world: World, loop: SimLoop) -> Coroutine[Any, Any, list[str]]:
        return _scenario(world, loop, seen)

    with _watched(seen, secret):
        seen.findings = simulate(seed, scenario).findings
    return seen


def _differences(first: Seen, second: Seen) -> list[str]:
    other = second.lower()
    return [name for name, value in first.lower().items() if value != other[name]]


@pytest.mark.parametrize("chunk", range(4))
def test_restricted_texts_change_nothing_that_lower_places_see(chunk: int) -> None:
    restricted = echoed = sent = 0
    for seed in range(chunk * SEEDS // 4, (chunk + 1) * SEEDS // 4):
        first, second = (seen_of(seed, secret) for secret in SECRETS)
        assert first.findings == second.findings == [], seed
        assert _differences(first, second) == [], seed
        everything = repr(first.lower()).encode()
        assert not _SAID.search(everything), seed
        restricted, echoed, sent = restricted + first.restricted, echoed + first.echoed, sent + len(first.sent)
    assert min(restricted, echoed, sent) > 10, "a run in which nothing happens proves nothing"


def test_a_header_that_is_not_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the client's label does not count, and restricted texts go where they should not."""

    def deaf(**given: Any) -> Any:
        return label_request(**{**given, "header": None})

    monkeypatch.setattr(footing, "label_request", deaf)
    assert any("sent" in _differences(*(seen_of(seed, secret) for secret in SECRETS)) for seed in range(6))


def test_a_line_that_quotes_a_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: somebody logs what was asked."""
    taken = SimHouse._watch_pipeline

    def watched(self: SimHouse) -> None:
        taken(self)
        answer = self.house._pipeline.answer

        def quoting(request: Any, *rest: Any, **more: Any) -> Any:
            logging.getLogger("freehold.planted").debug("asked: %s", request.fields)
            return answer(request, *rest, **more)

        self.house._pipeline.answer = quoting  # type: ignore[method-assign]

    monkeypatch.setattr(SimHouse, "_watch_pipeline", watched)
    assert any(_differences(*(seen_of(seed, secret) for secret in SECRETS)) == ["logged"] for seed in range(6))
