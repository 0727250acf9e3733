"""The rules in force on one site: the shipped ones and its own, checked as a whole before anything is decided by them."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from functools import cache

from freehold.config.shipped import rules_text, schema_text
from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment
from freehold.domain.errors.policy import RulesInvalid, RulesOpenAWay, RulesUnbounded
from freehold.domain.zones import ZoneTree
from freehold.policy.cedar import DEPLOYMENT, TENANT, ZONE, Answer, Entities, PolicySet, Question, Schema
from freehold.policy.monotone import Checked, check
from freehold.policy.reads import CannotEnumerateError
from freehold.policy.rules import Known, Rule, own_rules, shipped_rules

_KEPT_MAX = 4_096
_ENTITIES_MAX = 256


class Rulebook:
    """Rules that hold, and what they said before.

    Made by ``compile``. What is kept of answers changes nothing of them: the rules are fixed for the life of a rulebook,
    and everything else that is looked at is in the key.

    Attributes:
        rules: In the order in which reasons are given: the shipped ones first.
        tree: The site's zones.
        names: Deployments that there are; nothing goes to another one.
        narrowed: Tenants that have permits of their own.
        digest: ``sha256:…`` of the shipped rules, the schema and the site's own rules.
        checked: What the check of all cases looked at.
    """

    def __init__(
        self, rules: Sequence[Rule], deployments: Sequence[Deployment], *, tree: ZoneTree, digest: str, checked: Checked
    ) -> None:
        self.rules = tuple(rules)
        self.tree = tree
        self.names = frozenset(each.name for each in deployments)
        self.narrowed = frozenset(
            name for rule in rules if rule.permits and rule.is_own for name in rule.reads.names[TENANT]
        )
        self.digest = digest
        self.checked = checked
        self._set = PolicySet({rule.id: rule.tree for rule in rules}, schema=_schema())
        self._kept: dict[Hashable, PolicyDecision] = {}
        self._entities: dict[Hashable, Entities] = {}
        for each in deployments:
            self._entities_of(each)

    @classmethod
    def compile(
        cls,
        *,
        deployments: Sequence[Deployment],
        tree: ZoneTree,
        tenants: Sequence[str] = (),
        own: str = "",
        path: str = "",
        shipped: str | None = None,
    ) -> Rulebook:
        """Read rules and check them: their words, what they look at, and that no raise of a label opens a way.

        Args:
            deployments: With their terms.
            tree: The site's zones.
            tenants: Their names.
            own: Text of the site's own rules; empty for none.
            path: Of the file, for errors.
            shipped: Text of the shipped rules, for tests that leave one out.

        Raises:
            RulesInvalid: They cannot be read, or look at what there is not.
            RulesUnbounded: What they look at cannot be enumerated.
            RulesOpenAWay: A stricter label would open a way.
        """
        schema, text = _schema(), rules_text() if shipped is None else shipped
        rules = list(shipped_rules(text))
        known = Known(
            names={
                DEPLOYMENT: frozenset(each.name for each in deployments),
                TENANT: frozenset(tenants),
                ZONE: frozenset(map(str, tree.zones)),
            }
        )
        added, mistakes = own_rules(own, taken=[rule.id for rule in rules], known=known, schema=schema)
        if mistakes:
            told = [f"{path}:{each.line}: {each.text}" for each in mistakes]
            raise RulesInvalid(path=path, count=len(told), mistakes="; ".join(told), all_mistakes="\n".join(told))
        rules += added
        try:
            checked = check(rules, deployments, tree=tree, schema=schema)
        except CannotEnumerateError as error:
            raise RulesUnbounded(path=path or "this package", reason=error) from error
        except ValueError as error:
            raise RulesInvalid(path=path, count=1, mistakes=error, all_mistakes=error) from error
        if checked.hole is not None:
            rule = next((each for each in rules if each.id == checked.hole.rule), None)
            place = f"{path}:{rule.line}" if rule is not None and rule.is_own else path or "this package"
            raise RulesOpenAWay(path=place, example=checked.hole.text)
        digest = hashlib.sha256("\0".join((text, schema.text, own)).encode()).hexdigest()
        return cls(rules, deployments, tree=tree, digest=f"sha256:{digest}", checked=checked)

    def kept(self, key: Hashable) -> PolicyDecision | None:
        """What was decided before on the same values."""
        return self._kept.get(key)

    def keep(self, key: Hashable, decision: PolicyDecision) -> None:
        """Remember a decision."""
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[key] = decision

    def ask(self, question: Question, deployment: Deployment) -> Answer:
        """What the rules say of a question about a deployment.

        Raises:
            ValueError: Cedar does not take it.
        """
        return self._set.ask((question,), self._entities_of(deployment))[0]

    def _entities_of(self, deployment: Deployment) -> Entities:
        key = (deployment.name, deployment.zone, deployment.terms)
        entities = self._entities.get(key)
        if entities is None:
            if len(self._entities) >= _ENTITIES_MAX:
                self._entities.clear()
            entities = self._entities[key] = Entities((deployment,), tree=self.tree, schema=_schema())
        return entities


@cache
def _schema() -> Schema:
    return Schema(schema_text())
