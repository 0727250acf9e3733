"""Cedar behind a narrow door: policies and schema parsed once, and an answer that is an allowance only if nothing failed.

Cedar skips a rule that fails and goes on without it; that it failed stands in a list beside the decision. Here a failure
of any rule is a denial. Without a schema a missing fact would be such a failure; with one the request is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import cedarpy

from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone, ZoneTree

TENANT, ZONE, DEPLOYMENT, ACTION = (f"Freehold::{name}" for name in ("Tenant", "Zone", "Deployment", "Action"))
_SEND = {"type": ACTION, "id": "send"}
_TOLD_MAX = 200
_cedar: Any = cedarpy

Tree = Any
"""Cedar's own JSON of a policy: ``effect``, ``principal``, ``conditions``, ``annotations``…"""


class Answer(NamedTuple):
    """What a set of rules says of one question.

    Attributes:
        permits: Rules that allow, where nothing forbids and nothing failed.
        forbids: Rules that forbid.
        failed: What failed; empty where nothing did. Then nothing is allowed.
    """

    permits: tuple[str, ...]
    forbids: tuple[str, ...]
    failed: str = ""

    @property
    def allowed(self) -> bool:
        """Whether a rule allows, none forbids, and none failed."""
        return bool(self.permits) and not self.forbids and not self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this tenant's text go there? Values as the schema has them.

    Attributes:
        tenant: Whose text.
        deployment: Name of an entity.
        label: The text's label.
        evidence_valid: Whether the evidence for the terms holds.
        audit_ready: Whether what leaves can be recorded.
        scan_complete: Whether detectors saw everything that could forbid the way.
        own_permits: Whether the tenant has permits of its own.
    """

    tenant: str
    deployment: str
    label: Label
    evidence_valid: bool
    audit_ready: bool
    scan_complete: bool
    own_permits: bool

    def to_request(self) -> dict[str, Any]:
        """As Cedar takes it."""
        label = self.label
        context = {
            "label": {
                "level": int(label.level),
                "kinds": sorted(label.kinds),
                "zones": sorted(label.zones),
                "anyone": label.readers is None,
                "readers": sorted(label.readers or ()),
                "trusted": label.trusted,
            },
            "evidence_valid": self.evidence_valid,
            "audit_ready": self.audit_ready,
            "scan_complete": self.scan_complete,
            "own_permits": self.own_permits,
        }
        return {
            "principal": {"type": TENANT, "id": self.tenant},
            "action": _SEND,
            "resource": {"type": DEPLOYMENT, "id": self.deployment},
            "context": context,
        }


class Schema:
    """A parsed schema.

    Args:
        text: In Cedar's syntax for people.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.handle = cedarpy.Schema.from_str(text)

    def mistakes(self, policy: str) -> list[str]:
        """What is wrong with a policy's text by this schema; empty where nothing is."""
        found = _cedar.validate_policies(policy, self.text)
        told = [str(each.error).replace("for policy `policy0`, ", "") for each in found.errors]
        return told if told or found.validation_passed else ["it does not hold by the schema"]


class Entities:
    """Deployments and zones, as rules see them."""

    def __init__(self, deployments: Iterable[Deployment], *, tree: ZoneTree, schema: Schema) -> None:
        known = [_zone(zone, tree) for zone in sorted(tree.zones)]
        document = json.dumps([*known, *(_deployment(each) for each in deployments)])
        self.handle: Any = _cedar.Entities.from_json_str(document, schema.handle)


class PolicySet:
    """Rules parsed once, called by their ids.

    Args:
        trees: Cedar's JSON of each, by id.
        schema: What they were checked against; every question is held to it.

    Raises:
        ValueError: They are no policies.
    """

    def __init__(self, trees: Mapping[str, Tree], *, schema: Schema) -> None:
        # Ids of ours instead of policy0, policy1…, which are places in a text and not names.
        document: dict[str, Any] = {"templates": {}, "staticPolicies": dict(trees), "templateLinks": []}
        self._handle = cedarpy.PolicySet.from_json_str(json.dumps(document))
        self._schema = schema
        self._ids = frozenset(trees)

    def ask(self, questions: Sequence[Question], entities: Entities) -> list[Answer]:
        """The answer to each.

        Raises:
            ValueError: Cedar does not take them.
        """
        requests = [each.to_request() for each in questions]
        found: list[cedarpy.AuthzResult] = _cedar.is_authorized_batch(
            requests, self._handle, entities.handle, self._schema.handle
        )
        if len(found) != len(requests):
            raise ValueError(f"{len(found)} answers to {len(requests)} questions")
        return [self._answer(each) for each in found]

    def _answer(self, result: cedarpy.AuthzResult) -> Answer:
        reasons = tuple(map(str, cast("list[Any]", result.diagnostics.reasons)))
        errors = [str(each) for each in cast("list[Any]", result.diagnostics.errors)]
        decision, failed = result.decision, "; ".join(errors)[:_TOLD_MAX]
        if not self._ids.issuperset(reasons):
            failed = failed or "a rule answered that there is not"
        if decision is cedarpy.Decision.Allow:
            return Answer(permits=reasons, forbids=(), failed=failed)
        if decision is cedarpy.Decision.Deny:
            return Answer(permits=(), forbids=reasons, failed=failed)
        return Answer(permits=(), forbids=(), failed=failed or "the question does not fit the schema")


def parse(policy: str) -> Tree:
    """Cedar's JSON of one policy's text.

    Raises:
        ValueError: It cannot be read, it is not exactly one, or it is a template.
    """
    document = json.loads(cedarpy.policies_to_json_str(policy))
    if document["templates"]:
        raise ValueError(
            "it is a template (?principal, ?resource), which allows and forbids nothing; name what it is for"
        )
    found = list(document["staticPolicies"].values())
    if len(found) != 1:
        raise ValueError(f"it is {len(found)} rules, not one")
    return found[0]


def _zone(zone: Zone, tree: ZoneTree) -> dict[str, Any]:
    parents = {DEVICE: LAN, LAN: tree.site_region, WORLD: None}
    parent = parents.get(zone, WORLD)
    uid = {"type": ZONE, "id": zone}
    return {"uid": uid, "attrs": {}, "parents": [] if parent is None else [{"type": ZONE, "id": parent}]}


def _deployment(deployment: Deployment) -> dict[str, Any]:
    terms = deployment.terms
    return {
        "uid": {"type": DEPLOYMENT, "id": deployment.name},
        "attrs": {
            "zone": deployment.zone,
            "clearance": int(terms.clearance),
            "all_kinds": terms.kinds is None,
            "kinds": sorted(terms.kinds or ()),
            "retention_days": terms.retention_days,
            "trains": terms.trains,
            "contracts": sorted(terms.contracts),
        },
        "parents": [{"type": ZONE, "id": deployment.zone}],
    }
