"""What of private documents a receipt tells another key of its tenant."""

from __future__ import annotations

import json
from dataclasses import replace

from freehold.api.receipt_shown import receipt_shown
from freehold.domain.identity import Principal, Tenant
from tests.support.gateway import PUBLIC

FOUND = {
    "id": "r1",
    "key_id": "key-ana",
    "label_sources": [{"origin": "tenant", "rule": "tenant:ours"}, {"origin": "vault", "rule": "vault:doc-1"}],
    "decisions": [
        {"deployment": "tool:send", "rules": ["untrusted-tool"], "reasons": ["the context is untrusted: vault:doc-1"]}
    ],
    "retrieved": {
        "vault": "archive",
        "generation": 7,
        "support": 0.9,
        "abstained": False,
        "documents": [{"id": "doc-1", "label": "restricted", "passages": 1, "raised": True}],
        "left_out": {"restricted": 2},
    },
}
ANA = Principal(
    key_id="key-ana", key_name="", tenant=Tenant(name="ours", label=PUBLIC), label=PUBLIC, scopes=frozenset({"infer"})
)


def test_who_asked_and_an_admin_are_told_which_documents() -> None:
    assert receipt_shown(FOUND, ANA) == FOUND
    admin = replace(ANA, key_id="key-admin", scopes=frozenset({"admin"}))
    assert receipt_shown(FOUND, admin) == FOUND


def test_another_key_is_told_that_something_was_looked_for_and_nothing_of_what() -> None:
    for scopes in ({"infer"}, {"infer", "manage"}):
        shown = receipt_shown(FOUND, replace(ANA, key_id="key-bo", scopes=frozenset(scopes)))
        text = json.dumps(shown)
        assert "doc-1" not in text
        assert "restricted" not in text
        assert "0.9" not in text
        assert shown["id"] == "r1"
        assert shown["label_sources"] == [
            {"origin": "tenant", "rule": "tenant:ours"},
            {"origin": "vault", "rule": "vault"},
        ]
        assert shown["decisions"] == [
            {"deployment": "tool:send", "rules": ["untrusted-tool"], "reasons": ["the context is untrusted: vault"]}
        ]


def test_the_proof_of_a_record_that_names_documents_is_for_who_asked_and_an_admin() -> None:
    found = {**FOUND, "proof": {"entry": "doc-1", "leaf_hash": "aGFzaA=="}}
    assert receipt_shown(found, ANA) == found
    assert receipt_shown(found, replace(ANA, key_id="key-admin", scopes=frozenset({"admin"}))) == found
    shown = receipt_shown(found, replace(ANA, key_id="key-bo"))
    assert shown["proof"] is None
    assert "doc-1" not in json.dumps(shown)


def test_a_receipt_without_documents_is_as_it_was() -> None:
    plain = {"id": "r2", "key_id": "key-ana", "retrieved": None, "label_sources": [], "proof": {"entry": "{}"}}
    assert receipt_shown(plain, replace(ANA, key_id="key-bo")) == plain
