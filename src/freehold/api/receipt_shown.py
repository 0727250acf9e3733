"""Receipts as a caller may see them: which documents a request found is told to the key that asked, and to ``admin``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from freehold.domain.identity import Principal, Scope

_VAULT = "vault"
"""Origin of a label's source that is a document (``gateway.retrieving.ORIGIN``); its rule has the document's id."""


def receipt_shown(found: Mapping[str, object], principal: Principal) -> dict[str, object]:
    """A receipt of the caller's tenant.

    Another key of that tenant need not read with the same eyes as the one that asked: it is told neither the documents
    that were found, nor how many were left out, nor how well they answer; nor is it given the proof of its record, since
    the record says all that, and by a record's hash it could be tried for.
    """
    shown = dict(found)
    retrieved = cast("Mapping[str, Any] | None", found.get("retrieved"))
    if retrieved is None or found.get("key_id") == principal.key_id or Scope.ADMIN in principal.scopes:
        return shown
    sources = cast("list[Mapping[str, Any]]", found.get("label_sources") or [])
    shown["label_sources"] = [
        {**each, "rule": _VAULT} if each.get("origin") == _VAULT else dict(each) for each in sources
    ]
    rules = [str(each["rule"]) for each in sources if each.get("origin") == _VAULT]
    decisions = cast("list[Mapping[str, Any]]", found.get("decisions") or [])
    shown["decisions"] = [
        {**each, "reasons": [_without(rules, said) for said in each["reasons"]]} for each in decisions
    ]
    shown["retrieved"] = {**retrieved, "generation": 0, "support": None, "documents": [], "left_out": {}}
    if "proof" in shown:
        shown["proof"] = None
    return shown


def _without(rules: Sequence[str], reason: str) -> str:
    """Why a tool's call was held, which names the document that nobody vouches for."""
    for rule in rules:
        reason = reason.replace(rule, _VAULT)
    return reason
