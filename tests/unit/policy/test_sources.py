"""Where a text comes from: patterns, the rule for what nobody knows, and names that files have."""

from __future__ import annotations

import pytest

from freehold.domain.labels import Label, Level
from freehold.policy.flow import UNKNOWN_FILE, FlowRules, of_memory, of_stored, raising
from freehold.policy.labelling import UNLABELLED
from freehold.policy.sources import in_force, is_source, names_of_file, pattern_of
from tests.support.labels import LAN, TREE, label

LEGAL = label(Level.CONFIDENTIAL, LAN, readers=frozenset({"team:legal"}))
MAIL = label(trusted=False)
SECRET = label(Level.RESTRICTED)
RULES = in_force({"legal": ("file:/legal/**", LEGAL), "mail": ("connector:mail*", MAIL), "pay": ("tool:pay", SECRET)})


def rules_of(*names: str) -> list[tuple[str, Label]]:
    return [(each.rule, each.label) for each in RULES.of(names)]


@pytest.mark.parametrize(
    ("match", "name", "fits"),
    [
        ("file:/legal/**", "file:/legal/a/b.pdf", True),
        ("file:/legal/**", "file:/LEGAL/b.pdf", True),
        ("file:/legal/**", "file:/illegal/b.pdf", False),
        ("file:/legal/*", "file:/legal/a/b.pdf", False),
        ("file:**.xlsx", "file:/a/b.xlsx", True),
        ("file:/a.b", "file:/axb", False),
        ("tool:get_*", "tool:get_salary", True),
        ("tool:get_*", "tool:set_get_salary", False),
        ("connector:**", "connector:share point/x", True),
        ("connector:a", "connector:a\n", False),
    ],
)
def test_patterns(match: str, name: str, fits: bool) -> None:
    assert (pattern_of(match).fullmatch(name) is not None) == fits


def test_every_rule_that_knows_a_source_counts_once_and_is_named() -> None:
    assert rules_of("file:/legal/x.pdf", "tool:pay", "file:/legal/y.pdf") == [
        ("source:legal", LEGAL),
        ("source:pay", SECRET),
    ]
    assert rules_of("tool:search") == []
    assert not in_force({})


def test_what_nobody_knows_has_the_default_where_there_is_one() -> None:
    rules = in_force({"pay": ("tool:pay", SECRET), "default": ("", UNLABELLED)})
    assert [each.rule for each in rules.of(["tool:pay"])] == ["source:pay"]
    assert [(each.rule, each.label) for each in rules.of(["tool:"])] == [("source:default", UNLABELLED)]


def test_the_names_of_a_file_are_paths_whatever_its_owner_calls_it() -> None:
    assert names_of_file("legal/x.pdf", "batch") == ("file:/legal/x.pdf", "purpose:batch")
    assert names_of_file("./legal\\x.pdf") == names_of_file("/legal/x.pdf") == ("file:/legal/x.pdf",)
    assert names_of_file("") == ()
    assert is_source("connector:hr") and not is_source("http") and not is_source("x y:z") and not is_source("a:")


def test_parts_of_a_request() -> None:
    rules = FlowRules(markings=FlowRules.plain(TREE).markings, sources=RULES, unread=LEGAL)
    found = rules.of_parts(
        texts=["TLP:AMBER"],
        names=["connector:mail-in", "nonsense"],
        tools=["pay"],
        filenames=["legal/a"],
        unread=["image"],
    )
    assert [each.rule for each in found] == [
        "marking:tlp-amber", "source:legal", "source:mail", "source:pay", "unread:image",
    ]  # fmt: skip
    assert [each.rule for each in FlowRules.plain(TREE).of_parts(texts=["a"], tools=["pay"], unread=["audio"])] == [
        "unread:audio"
    ]
    assert [each.rule for each in rules.of_file(filename="legal/a", purpose="batch")] == ["source:legal"]


def test_stored_files_memory_and_what_raises() -> None:
    found = of_stored({"file-1": LEGAL, "file-?": None})
    assert [(each.rule, each.label) for each in found] == [("file:file-1", LEGAL), (UNKNOWN_FILE, UNLABELLED)]
    (remembered,) = of_memory({"r-1": SECRET})
    assert (remembered.origin, remembered.rule) == ("memory", "memory:r-1")
    assert raising([remembered], SECRET) == () and raising([remembered], LEGAL) == (remembered,)
