"""What documents say of themselves, in four languages, in quotes, in code: it raises, and is never an error."""

from __future__ import annotations

import json
import time

import pytest

from freehold.domain.labels import Level
from freehold.policy.labelling import UNLABELLED
from freehold.policy.lattice import join_all
from freehold.policy.markings import UNKNOWN_MIP, WORDS, Markings
from tests.support.labels import TREE, label

KNOWN = "2096f6a2-d2f7-48be-b329-b73aaa526e5d"
HEALTH = label(Level.RESTRICTED, kinds=frozenset({"phi"}))
MARKINGS = Markings(TREE, mip={KNOWN.upper(): HEALTH})

RESTRICTED = [
    "STRENG VERTRAULICH",
    "Streng vertraulich",
    "**Classification:** `Restricted`",
    "classification: top secret",
    '{"classification": "secret"}',
    "[restricted] Q3 figures",
    "Subject: [STRICTLY CONFIDENTIAL] merger",
    "TLP:RED",
    "tlp: red",
    "SECRET",
    "// RESTRICTED",
    "Dieses Dokument ist streng vertraulich.",
    "Ce document est strictement confidentiel",
    "TRÈS SECRET",
    "Diffusion restreinte",
    "Clasificación: Reservado",
    "Estrictamente confidencial",
]
CONFIDENTIAL = [
    "Classification: Confidential",
    "CONFIDENTIEL",
    "> Confidentialité : confidentiel",
    "CONFIDENCIAL",
    "Este documento es confidencial",
    "Vertraulich",
    "Einstufung: VS-NfD",
    "NUR FÜR DEN DIENSTGEBRAUCH",
    "Sensitivity: Company-Confidential",
    "COMPANY_CONFIDENTIAL",
    "ACME Corp — Confidential — Page 3",
    "Seite 2 | Vertraulich | ACME",
    "ACME   CONFIDENTIAL   p. 2",
    "TLP:AMBER",
    "TLP: AMBER+STRICT",
    "- confidential",
]
INTERNAL = ["Classification: internal use only", "USO INTERNO", "Usage interne", "INTERN", "TLP:GREEN", "[internal]"]
NOTHING = [
    "How do I mark a file confidential?",
    "The restricted area is closed; it is a secret.",
    "secret",
    "internal",
    "the internet of international things",
    "see [internal](https://example.com) and [secret][1]",
    "x = rows[secret]",
    "TLP:CLEAR",
    "Redaction is a skill",
    "",
]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        *((text, Level.RESTRICTED) for text in RESTRICTED),
        *((text, Level.CONFIDENTIAL) for text in CONFIDENTIAL),
        *((text, Level.INTERNAL) for text in INTERNAL),
        *((text, Level.PUBLIC) for text in NOTHING),
    ],
)
@pytest.mark.parametrize("around", ["{}", "First line.\n{}\nLast line.", "{}\r\n\r\nBody"])
def test_a_marking_is_seen_wherever_its_line_stands(text: str, level: Level, around: str) -> None:
    shown = around.format(text)
    found = join_all((source.label for source in MARKINGS.of([shown])), tree=TREE)
    assert found.level == level, MARKINGS.of([shown])
    if level > Level.PUBLIC:
        for raw in (shown.encode(), json.dumps(shown).encode(), json.dumps(shown, ensure_ascii=False).encode()):
            assert MARKINGS.may_be_in(raw)
    if level > Level.INTERNAL:
        assert MARKINGS.may_be_in(shown.encode(), floor=Level.RESTRICTED)


def test_the_words_of_every_language_are_levels_above_public() -> None:
    assert set(WORDS.values()) == {Level.INTERNAL, Level.CONFIDENTIAL, Level.RESTRICTED}
    for word, level in WORDS.items():
        assert [source.label.level for source in MARKINGS.of([f"Classification: {word}"])] == [level], word
        assert [source.label.level for source in MARKINGS.of([f"page 1\n{word.upper()}\n"])] == [level], word


def test_a_header_of_a_pasted_mail_is_a_label_and_one_that_cannot_be_read_stays_here() -> None:
    (read,) = MARKINGS.of(["X-Freehold-Label: confidential;kinds=phi;zones=lan\nDear all"])
    assert (read.rule, read.label.kinds) == ("marking:freehold-label", frozenset({"phi"}))
    (unread,) = MARKINGS.of(["x-freehold-label: confidental"])
    assert unread.label == UNLABELLED
    (both,) = MARKINGS.of(["X-Freehold-Label: internal;kinds=pci\n", "X-Freehold-Label: public;trusted=no\n"])
    assert (both.label.level, both.label.kinds, both.label.trusted) == (Level.INTERNAL, frozenset({"pci"}), False)


@pytest.mark.parametrize("form", ["MSIP_Label_{}_Enabled=true", "msip_labels: MSIP_Label_{}_Name=HR;", "mip:{}"])
def test_labels_of_purview_mean_what_the_configuration_says(form: str) -> None:
    (known,) = MARKINGS.of([form.format(KNOWN)])
    assert (known.rule, known.label) == (f"mip:{KNOWN}", HEALTH)
    (unknown,) = MARKINGS.of([form.format("11111111-2222-3333-4444-555555555555")])
    assert (unknown.rule, unknown.label.level) == (UNKNOWN_MIP, Level.CONFIDENTIAL)


def test_what_everybody_has_anyway_is_not_looked_for() -> None:
    assert MARKINGS.of(["INTERN"], floor=Level.INTERNAL) == ()
    assert not MARKINGS.may_be_in(b"INTERN", floor=Level.INTERNAL)


def test_letters_that_json_writes_as_numbers_are_looked_at() -> None:
    assert MARKINGS.may_be_in(b'"\\u0043onfidentia\\u006c"')
    assert not MARKINGS.may_be_in(b'"d\\u00e9j\\u00e0 vu"')


def test_a_letter_that_grows_in_lower_case_hides_nothing() -> None:
    assert MARKINGS.of(["İİİİİİİİ\nVERTRAULICH"])[0].rule == "marking:confidential"


def test_a_marking_on_a_line_without_end_is_found_and_takes_no_longer_for_it() -> None:
    long = "word " * 20_000 + "Classification: Confidential" + " word" * 20_000
    before = time.process_time()
    assert [source.rule for source in MARKINGS.of([long])] == ["marking:confidential"]
    hostile = "classification " * 5_000 + "tlp tlp " * 5_000 + "[" * 5_000 + "confidential " * 5_000
    MARKINGS.of([hostile])
    assert time.process_time() - before < 3.0
