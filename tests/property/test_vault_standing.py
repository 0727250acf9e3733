"""Documents that change between the search and the sending: what may not be in a prompt any more is in none that goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Uncalibrated
from freehold.domain.errors.engine import EngineNotReady
from freehold.domain.errors.vault import VaultChanged, VaultError
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Passage, Readers
from freehold.domain.zones import WORLD
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.fake_vault import FakeVault, passage
from tests.support.gateway import House
from tests.unit.gateway.test_pipeline import engine, house
from tests.unit.gateway.test_retrieving import asked

SECRET = passage("The Alder contract ends on 3 May.", document="alder", label="restricted")
PLAIN = passage("The canteen opens at noon.", document="canteen", label="public")
OTHER = passage("Nobody knows.", document="other", level=Level.RESTRICTED, names=frozenset({"user:ana"}))

Change = Callable[[tuple[Passage, ...]], tuple[Passage, ...]]


def _of(name: str, change: Callable[[Document], Document | None]) -> Change:
    def changed(kept: tuple[Passage, ...]) -> tuple[Passage, ...]:
        made = [(each, change(each.document) if each.document.id == name else each.document) for each in kept]
        return tuple(replace(each, document=document) for each, document in made if document is not None)

    return changed


def _closed(document: Document) -> Document:
    return replace(document, readers=Readers(level=document.readers.level, names=frozenset({"user:ana"})))


def _labelled(label: str) -> Callable[[Document], Document]:
    return lambda document: replace(document, label=label)


BAD: dict[str, Change] = {
    "erased": _of("canteen", lambda _: None),
    "closed": _of("canteen", _closed),
    "another text": _of("canteen", lambda document: replace(document, sha256="cd" * 32)),
}
RAISES: dict[str, Change] = {
    "raised": _of("canteen", _labelled("restricted;zones=device")),
    "raised a little": _of("canteen", _labelled("internal")),
    "of another kind": _of("canteen", _labelled("public;kinds=pii")),
    "unreadable": _of("canteen", _labelled("no such label")),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda kept: kept,
    "another is erased": _of("other", lambda _: None),
    "another is opened": _of("other", lambda each: replace(each, readers=Readers(level=Level.PUBLIC))),
    "moved": _of("canteen", lambda each: replace(each, source="file:///elsewhere.txt", title="Elsewhere")),
    "opened": _of("canteen", lambda each: replace(each, readers=Readers(level=Level.PUBLIC, owner="user:x"))),
}
EVERY = {**BAD, **RAISES, **HARMLESS}


@dataclass
class Turning(FakeVault):
    """Changes what it holds after a number of questions to it.

    Attributes:
        after: How many.
        turn: What becomes of it.
    """

    after: int = 1
    turn: Change = HARMLESS["nothing"]

    def _turned(self) -> None:
        self.after -= 1
        if self.after == 0:
            self.kept = self.turn(self.kept)

    async def search(self, query: Any) -> Any:
        found = await super().search(query)
        self._turned()
        return found

    async def documents(self, vault: str, **more: Any) -> Any:
        found = await super().documents(vault, **more)
        self._turned()
        return found


def _house(vault: FakeVault, **route: Any) -> tuple[House, FakeEngine, FakeEngine]:
    cloud, small = engine("cloud", zone=WORLD), engine("small")
    at = house(cloud, small, **{"uncalibrated": Uncalibrated.ACCEPT, **route})
    at.vault = vault
    return at, cloud, small


@settings(max_examples=120, deadline=None)
@given(what=st.sampled_from(sorted(EVERY)), with_secret=st.booleans(), stream=st.booleans(), only=st.booleans())
def test_what_changed_before_it_was_sent_is_not_sent(what: str, *, with_secret: bool, stream: bool, only: bool) -> None:
    kept = (*((SECRET,) if with_secret else ()), PLAIN, OTHER)
    searches = 2 if only and with_secret else 1
    at, cloud, small = _house(Turning(kept=kept, after=searches, turn=EVERY[what]))
    request = asked(stream=stream, vault={"only_what_may_leave": only})
    # Beside a restricted document the decision was for the strictest label there is: no other one asks for more.
    is_bad = what in BAD or (what in RAISES and (what == "of another kind" or not with_secret or only))
    if not is_bad:
        sink = asyncio.run(at.ask(request))
        assert sink.text.startswith("answer of")
        assert at.receipt.outcome is Outcome.COMPLETE
        assert len(cloud.calls) + len(small.calls) == 1
        return
    try:
        asyncio.run(at.ask(request))
    except VaultChanged as error:
        assert "canteen" not in error.message
    else:
        raise AssertionError(f"{what}: it was answered")
    assert cloud.calls == small.calls == []
    receipt = at.receipt
    assert (receipt.outcome, receipt.error_code) == (Outcome.REFUSED, VaultChanged.code)
    assert receipt.bytes_left == 0
    assert "egress.intent" not in at.audit.events()
    assert all(count == 0 for count in at.admission.out.values())


@settings(max_examples=40, deadline=None)
@given(what=st.sampled_from(sorted({**BAD, **RAISES})), stream=st.booleans())
def test_a_second_attempt_is_looked_at_anew(what: str, *, stream: bool) -> None:
    vault = Turning(
        kept=(PLAIN,), after=2, turn=EVERY[what]
    )  # the search and the look before the first attempt are good
    at, cloud, small = _house(vault)
    cloud.default = FakeAnswer(error=EngineNotReady(deployment="cloud", detail="down", retry_s=1))
    try:
        asyncio.run(at.ask(asked(stream=stream)))
    except VaultError as error:
        assert error.code == VaultChanged.code
    else:
        raise AssertionError("it was answered")
    assert small.calls == []
