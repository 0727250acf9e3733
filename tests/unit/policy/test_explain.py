"""Why a text may or may not go somewhere, and who made it so."""

from __future__ import annotations

import json

from freehold.domain.labels import LabelSource, Level
from freehold.domain.zones import DEVICE, LAN
from freehold.policy.explain import Explanation, explain
from tests.support.labels import EU, ON_DEVICE, cloud, label
from tests.support.rules import rulebook

SOURCES = (
    LabelSource(origin="tenant", rule="tenant:acme", label=label(Level.INTERNAL, EU)),
    LabelSource(origin="key", rule="key:finance", label=label(Level.CONFIDENTIAL, LAN)),
)


def explained(*, audit_ready: bool = True, scan_complete: bool = True) -> Explanation:
    place = cloud(EU, clearance=Level.INTERNAL)
    return explain(
        SOURCES,
        (ON_DEVICE, place),
        policy=rulebook(ON_DEVICE, place),
        tenant="acme",
        unix_ms=0,
        audit_ready=audit_ready,
        scan_complete=scan_complete,
    )


def test_lines_name_the_rule_and_the_source_that_set_it() -> None:
    assert explained().lines() == (
        "label confidential;zones=lan",
        "  tenant:acme asks for internal;zones=eu,lan",
        "  key:finance asks for confidential;zones=lan",
        "home (zone device): allowed",
        "cloud (zone eu): denied",
        "  zone: runs in zone eu, the text may be processed in: device, lan (set by key:finance)",
        "  level: is cleared up to internal, the text is confidential (set by key:finance)",
    )


def test_what_holds_for_any_text_is_nobodys_doing() -> None:
    way = explained(audit_ready=False, scan_complete=False).ways[1]
    assert {saying.rule: saying.because_of for saying in way.rules} == {
        "zone": ("key:finance",),
        "level": ("key:finance",),
        "audit": (),
        "scan": (),
    }


def test_sources_that_only_together_forbid_are_not_blamed_alone() -> None:
    sources = (
        LabelSource(origin="tenant", rule="tenant:a", label=label(readers=frozenset({"ann"}))),
        LabelSource(origin="key", rule="key:b", label=label(readers=frozenset({"bob"}))),
    )
    way = explain(sources, (ON_DEVICE,), policy=rulebook(ON_DEVICE), tenant="acme", unix_ms=0, audit_ready=True).ways[0]
    assert [(saying.rule, saying.because_of) for saying in way.rules] == [("readers", ())]


def test_json_says_the_same() -> None:
    shown = json.loads(json.dumps(explained().to_json()))
    assert shown["label"] == "confidential;zones=lan"
    assert [source["rule"] for source in shown["sources"]] == ["tenant:acme", "key:finance"]
    home, away = shown["deployments"]
    assert home["allowed"] is True
    assert home["rules"][0] == {
        "rule": "zone",
        "reason": "runs in a zone that the label names",
        "because_of": [],
    }
    assert (away["deployment"], away["zone"], away["allowed"]) == ("cloud", "eu", False)
    assert away["rules"][1]["because_of"] == ["key:finance"]


def test_without_sources_the_text_stays_here() -> None:
    explanation = explain(
        (), (ON_DEVICE, cloud(LAN)), policy=rulebook(ON_DEVICE, cloud(LAN)), tenant="", unix_ms=0, audit_ready=True
    )
    assert explanation.label == label(Level.CONFIDENTIAL, DEVICE)
    assert [way.allowed for way in explanation.ways] == [True, False]
