"""Less of a text: what of it goes, what keeps it here, and that nobody waits while it is made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import pytest

from freehold.domain.deployment import Declassify
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.server import DataFolderUnusable
from freehold.domain.receipt import AuditRecord
from freehold.gateway.declassifying import EVENT
from freehold.gateway.runtime import Services, any_key
from tests.support.gateway import House, MemoryAudit
from tests.unit.gateway.test_crossing import MAIL, ask, cloud, house
from tests.unit.gateway.test_pipeline import chat, engine


@dataclass
class Keyed(House):
    """Has another key of pseudonyms."""

    key: Callable[[str], bytes] = any_key

    def services(self) -> Services:
        return replace(super().services(), pseudonym_key=self.key)


def keyed(at: House, key: Callable[[str], bytes]) -> Keyed:
    return Keyed(**{each.name: getattr(at, each.name) for each in fields(at)}, key=key)


@pytest.mark.parametrize(("words", "is_aside"), [(1, False), (5_000, True)])
def test_less_of_a_long_text_is_made_in_a_thread_of_its_own(words: int, is_aside: bool) -> None:
    made_in: list[int] = []

    def key(tenant: str) -> bytes:
        made_in.append(threading.get_ident())
        return any_key(tenant)

    far = cloud()
    ask(keyed(house(far, declassify=Declassify.PSEUDONYMISE), key), chat(f"{MAIL} " + "word " * words))
    assert len(far.calls) == 1 and MAIL not in far.calls[0].body.decode()
    assert made_in and (made_in[0] != threading.get_ident()) is is_aside


def test_a_key_that_cannot_be_read_keeps_the_text_and_loses_no_answer() -> None:
    def key(tenant: str) -> bytes:
        raise DataFolderUnusable(path=tenant, reason="others can read it")

    far = cloud()
    at = keyed(house(engine("home"), far, declassify=Declassify.PSEUDONYMISE), key)
    assert ask(at, chat(f"write to {MAIL}")).text == "answer of home"
    assert not far.calls
    assert any("what is left cannot be made (FH-" in each for each in at.receipt.detours), at.receipt.detours
    alone = keyed(house(far, declassify=Declassify.PSEUDONYMISE), key)
    with pytest.raises(NoPermittedDeployment):
        ask(alone, chat(f"write to {MAIL}"))


def test_what_is_left_does_not_go_where_that_cannot_be_recorded_and_no_answer_is_lost() -> None:
    @dataclass
    class Full(MemoryAudit):
        def append(self, *records: AuditRecord) -> int:
            if any(each.event == EVENT for each in records):
                raise AuditUnwritable(reason="disk full")
            return super().append(*records)

    far = cloud()
    at = house(engine("home"), far, declassify=Declassify.PSEUDONYMISE)
    at.audit = Full()
    assert ask(at, chat(f"write to {MAIL}")).text == "answer of home"
    assert not far.calls
    assert not next(each for each in at.receipt.decisions if each.deployment == "cloud").allowed
    assert any("could not be recorded" in each for each in at.receipt.detours)
