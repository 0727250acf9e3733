"""What is recorded of what: counts, names and rule ids. Never the text of a prompt or an answer.

Not even what a client sent as ``model`` is recorded, since anybody may write anything there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Label, LabelSource
from freehold.domain.receipt import Attempt, AuditRecord, Receipt
from freehold.storage.fragments import Fragments

REQUEST = "request"

# Keys in order and no white space, as entry.py has it: what a sorted encoder makes of the same values, byte for byte.
_REQUEST = (
    b'{"attempts":%b,"bytes_left":%d,"config":%b,"cost_micros":%b,"currency":%b,"decisions":%b,"error":%b,"key":%b,'
    b'"label":%b,"label_rules":%b,"outcome":"%b"%b,"route":%b,"stream":%b,"task":%b,"total_ms":%d}'
)
_ATTEMPT = (
    b'{"bytes_left":%d,"deployment":%b,"digest":%b,"egress":%b,"error":%b,"input_tokens":%d,"measured":%b,"model":%b,'
    b'"outcome":"%b","output_tokens":%d,"reason":%b,"verdict":%b,"zone":%b}'
)
_TEXTS_MAX = 4_096
_encoder = msgspec.json.Encoder(order="sorted")
_text = lru_cache(_TEXTS_MAX)(_encoder.encode)
_truth = (b"false", b"true")


def request_record(receipt: Receipt) -> AuditRecord:
    """One request: who, how sensitive and why, what policy said, where it ran, what was taken out, how it ended."""
    cost = receipt.cost
    detail = _REQUEST % (
        b"[%b]" % b",".join(map(_attempt, receipt.attempts)),
        receipt.bytes_left,
        _text(receipt.config_digest),
        b"null" if cost is None else b"%d" % cost.micros,
        b"null" if cost is None else _text(cost.currency),
        _decisions(receipt.decisions),
        _text(receipt.error_code),
        _text(receipt.key_id),
        _label(receipt.label),
        _label_rules(receipt.label_sources),
        receipt.outcome.encode(),
        _beside(receipt) if receipt.removed or receipt.retrieved is not None else b"",
        _text(receipt.route),
        _truth[receipt.stream],
        _text(receipt.task),
        round(receipt.total_ms),
    )
    return AuditRecord(
        event=REQUEST,
        unix_ms=receipt.created_unix_ms,
        tenant=receipt.tenant,
        request_id=receipt.id,
        detail={},
        detail_json=detail,
    )


def policy_change_record(*, unix_ms: int, tenant: str, before: str, after: str, source: str) -> AuditRecord:
    """The configuration that decides was replaced: digests before and after, and what replaced it."""
    detail: dict[str, object] = {"before": before, "after": after, "source": source}
    return AuditRecord(event="policy.change", unix_ms=unix_ms, tenant=tenant, detail=detail)


def model_switch_record(
    *, unix_ms: int, tenant: str, deployment: str, before: str, after: str, part: str = ""
) -> AuditRecord:
    """Another version of a model answers from now on: digests of its files before and after.

    ``part`` is ``draft`` where it is the model that guesses for the one that answers; one of both digests may be empty.
    """
    detail: dict[str, object] = {"deployment": deployment, "before": before, "after": after}
    if part:
        detail["part"] = part
    return AuditRecord(event="model.switch", unix_ms=unix_ms, tenant=tenant, detail=detail)


def key_record(
    *, event: str, unix_ms: int, tenant: str, key_id: str, by: str, detail: Mapping[str, object]
) -> AuditRecord:
    """Something that happened to a key or a limit, or was refused: what, whose, and by whom; never the key itself."""
    return AuditRecord(event=event, unix_ms=unix_ms, tenant=tenant, detail={**detail, "key": key_id, "by": by})


def _attempt(attempt: Attempt) -> bytes:
    verdict, egress = attempt.verdict, attempt.egress_index
    return _ATTEMPT % (
        attempt.bytes_left,
        _text(attempt.deployment),
        _text(attempt.model_digest),
        b"null" if egress is None else b"%d" % egress,
        _text(attempt.error_code),
        attempt.usage.input_tokens,
        _truth[attempt.usage.measured],
        _text(attempt.model),
        attempt.outcome.encode(),
        attempt.usage.output_tokens,
        b"null" if verdict is None else _text(verdict.reason),
        b"null" if verdict is None else b'"%b"' % verdict.action.encode(),
        _text(attempt.zone),
    )


def _beside(receipt: Receipt) -> bytes:
    """What was taken out of the answer, and which documents went in; of what was not, as nearly always, nothing is said."""
    removed, retrieved = b"", b""
    if receipt.removed:
        removed = b',"removed":%b' % _encoder.encode(dict(receipt.removed))
    if (found := receipt.retrieved) is not None:
        told = {
            "abstained": found.abstained,
            "documents": [each.id for each in found.documents],
            "generation": found.generation,
            "left_out": dict(found.left_out),
            "vault": found.vault,
        }
        retrieved = b',"retrieved":%b' % _encoder.encode(told)
    return removed + retrieved


def _encode_label(label: Label) -> bytes:
    return _encoder.encode(
        {
            "level": label.level.word,
            "kinds": sorted(label.kinds),
            "zones": sorted(label.zones),
            "readers": None if label.readers is None else sorted(label.readers),
            "trusted": label.trusted,
        }
    )


def _encode_decisions(decisions: tuple[PolicyDecision, ...]) -> bytes:
    return _encoder.encode(
        [
            {"deployment": decision.deployment, "allowed": decision.allowed, "rules": decision.rules}
            for decision in decisions
        ]
    )


def _encode_rules(sources: tuple[LabelSource, ...]) -> bytes:
    return _encoder.encode([source.rule for source in sources])


_label = Fragments(_encode_label)
_decisions = Fragments(_encode_decisions)
_label_rules = Fragments(_encode_rules)
