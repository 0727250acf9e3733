"""Redacting, and how far it lowers a label."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.declassified import Act
from freehold.domain.findings import Finding, Scan
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN
from freehold.policy.redact import lowered, redact

LABEL = Label(
    level=Level.CONFIDENTIAL,
    kinds=frozenset({"pii"}),
    zones=frozenset({DEVICE, LAN}),
    readers=frozenset({"ann"}),
    trusted=False,
)
CLEAN = Scan(findings=((),))
PII = frozenset({"pii"})


def again(label: Label = LABEL, *, kinds: frozenset[str] = PII, scan: Scan = CLEAN, unread: int = 0) -> Label:
    done = lowered(label, act=Act.REDACT, kinds=kinds, counts={"EMAIL": 2}, again=scan, unread=unread)
    assert done.before == label
    assert done.reason
    assert done.lowered == (done.label != label)
    return done.label


def test_findings_become_their_word() -> None:
    text = "Ann <ann@example.com> wrote"
    found = [
        Finding(start=0, end=3, kind="pii", type="PERSON"),
        Finding(start=5, end=20, kind="pii", type="EMAIL"),
        Finding(start=9, end=20, kind="pii", type="DOMAIN_NAME"),
    ]
    done = redact([text, "Ann"], [found, []])
    assert done.texts == ("[PERSON] <[EMAIL]> wrote", "Ann")
    assert done.counts == {"PERSON": 1, "EMAIL": 1}
    assert done.kinds == PII
    with pytest.raises(ValueError, match="have findings of"):
        redact(["a"], [])


def test_confidential_becomes_internal_and_nothing_else_changes() -> None:
    assert again() == replace(LABEL, level=Level.INTERNAL, kinds=frozenset())


def test_a_kind_that_was_not_taken_out_keeps_the_level() -> None:
    label = replace(LABEL, kinds=frozenset({"pii", "contract"}))
    assert again(label) == replace(label, kinds=frozenset({"contract"}))


@pytest.mark.parametrize("level", [Level.PUBLIC, Level.INTERNAL])
def test_a_lower_level_stays(level: Level) -> None:
    assert again(replace(LABEL, level=level)).level is level


@pytest.mark.parametrize(
    "against",
    [
        {"scan": Scan(findings=((Finding(start=0, end=1, kind="pii", type="X"),),))},
        {"scan": Scan(findings=((Finding(start=0, end=1, kind="other", type="X"),),))},
        {"scan": Scan(findings=((),), complete=False, why="out of time")},
        {"unread": 1},
        {"kinds": frozenset[str]()},
        {"kinds": frozenset({"phi"})},
        {"kinds": frozenset({"pii", "secret"})},
        {"label": replace(LABEL, level=Level.RESTRICTED)},
        {"label": replace(LABEL, kinds=frozenset({"pii", "secret"}))},
        {"label": replace(LABEL, kinds=frozenset())},
    ],
)
def test_nothing_is_lowered(against: dict[str, object]) -> None:
    label = against.get("label", LABEL)
    assert again(**against) == label  # type: ignore[arg-type]
