"""No raise of a label opens a way: checked over every label, flag, tenant and deployment there is, exactly.

A way that is closed to a text and open to the same text one step stricter is a hole: whoever wants the text out would
label it higher. All one-step raises of all states are looked at; they span the lattice. Cedar answers each rule only
for what that rule looks at, which is little; the rest is a table of bits, one for each state, as one long integer: a
rule's table is repeated along what it does not look at, rules are joined by ``|``, and all raises of one kind are one
shift. Kinds that no rule names are alike for it, so that two of those a deployment is cleared for, and one of those it
is not, stand for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label, Level
from freehold.domain.zones import Zone, ZoneTree
from freehold.policy.cedar import TENANT, Answer, Entities, PolicySet, Question, Schema
from freehold.policy.reads import ALL, KIND, READER, CannotEnumerateError
from freehold.policy.rules import Rule
from freehold.policy.text import format_label

BITS_MAX = 23
"""Most that the rules may look at together, as the power of two of states of one deployment and tenant."""

ASKED_BITS_MAX = 14
"""The same for one rule."""

ASKED_MAX = 200_000
"""Most questions that Cedar is asked for one check: about twenty seconds."""

_LEVEL_BITS = ("level0", "level1")
_ALIKE = 2
_BATCH = 4_096
_ZONE = "zone:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A way that a stricter label opens.

    Attributes:
        rule: Id of the rule that allows it then.
        text: The example, in words.
    """

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was looked at.

    Attributes:
        states: Labels and flags, times tenants, times deployments.
        asked: Questions that Cedar answered for it.
        hole: The first one found; ``None`` where there is none.
    """

    states: int
    asked: int
    hole: Hole | None


def check(rules: Sequence[Rule], deployments: Sequence[Deployment], *, tree: ZoneTree, schema: Schema) -> Checked:
    """Look for a way that a raise opens.

    Raises:
        CannotEnumerateError: The rules look at too much together.
    """
    checker = _Checker(rules, deployments, tree, schema)
    states = 0
    for deployment in checker.different():
        for tenant in checker.tenants:
            space = _Space.of(rules, deployment, tree, checker.kinds, checker.readers)
            states += 1 << len(space.bits)
            hole = checker.hole(space, tenant)
            if hole is not None:
                return Checked(states=states, asked=checker.asked, hole=hole)
    return Checked(states=states, asked=checker.asked, hole=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Space:
    """All states of one deployment: a bit each, set where the state is the stricter one. Levels are two bits."""

    deployment: Deployment
    tree: ZoneTree
    bits: tuple[str, ...]

    @classmethod
    def of(
        cls,
        rules: Sequence[Rule],
        deployment: Deployment,
        tree: ZoneTree,
        kinds: frozenset[str],
        readers: frozenset[str],
    ) -> _Space:
        read = {each for rule in rules for each in rule.reads.variables}
        bits = [*_LEVEL_BITS]
        if any(each.startswith(KIND) for each in read):
            cleared = deployment.terms.kinds or frozenset()
            unnamed = sorted(cleared - kinds)[:_ALIKE]
            bits += [KIND + each for each in (*sorted(kinds), *unnamed, _fresh("other", kinds | cleared))]
        if "zones" in read:
            bits += [_ZONE + each for each in sorted(tree.zones)]
        bits += [each for each in ("trusted", "anyone", "audit_ready", "scan_complete") if each in read]
        if any(each.startswith(READER) for each in read):
            bits += [READER + each for each in (*sorted(readers), _fresh("somebody", readers))]
        if "evidence_valid" in read and deployment.terms.expires_unix_ms is not None:
            bits.append("evidence_valid")
        if len(bits) > BITS_MAX:
            raise CannotEnumerateError(
                f"all rules together look at {len(bits)} things of a text ({', '.join(bits[len(_LEVEL_BITS) :])}); at most"
                f" {BITS_MAX} can be checked"
            )
        return cls(deployment=deployment, tree=tree, bits=tuple(bits))

    def read_by(self, rule: Rule) -> frozenset[str]:
        """The bits that a rule looks at."""
        found: set[str] = set()
        for each in rule.reads.variables:
            if each == "level":
                found.update(_LEVEL_BITS)
            elif each == "zones":
                found.update(bit for bit in self.bits if bit.startswith(_ZONE))
            elif each in {KIND + ALL, READER + ALL}:
                found.update(bit for bit in self.bits if bit.startswith(each[:-1]))
            elif each in self.bits:
                found.add(each)
        return frozenset(found)

    def question(self, on: frozenset[str], tenant: str, *, own_permits: bool) -> Question:
        """The state in which these bits are set."""
        readers = frozenset(bit.removeprefix(READER) for bit in self.bits if bit.startswith(READER) and bit not in on)
        label = Label(
            level=Level(sum(1 << place for place, bit in enumerate(_LEVEL_BITS) if bit in on)),
            kinds=frozenset(bit.removeprefix(KIND) for bit in on if bit.startswith(KIND)),
            zones=self.tree.zones - {Zone(bit.removeprefix(_ZONE)) for bit in on if bit.startswith(_ZONE)},
            readers=readers if "anyone" in on else None,
            trusted="trusted" not in on,
        )
        return Question(
            tenant=tenant,
            deployment=self.deployment.name,
            label=label,
            evidence_valid="evidence_valid" not in on,
            audit_ready="audit_ready" not in on,
            scan_complete="scan_complete" not in on,
            own_permits=own_permits,
        )

    def states(self, read: frozenset[str]) -> Iterator[frozenset[str]]:
        """Every state of the bits in ``read``, the first of them changing fastest; the others are not set."""
        bits = [bit for bit in self.bits if bit in read]
        for number in range(1 << len(bits)):
            yield frozenset(bit for place, bit in enumerate(bits) if number >> place & 1)

    def table(self, values: Sequence[bool], read: frozenset[str]) -> int:
        """One bit for every state there is, from those of the states of ``read``."""
        blocks, size = [int(each) for each in values], 1
        for bit in self.bits:
            if bit in read:
                blocks = [low | high << size for low, high in zip(blocks[::2], blocks[1::2], strict=True)]
            else:
                blocks = [block | block << size for block in blocks]
            size *= 2
        return blocks[0]

    def raises(self) -> Iterator[tuple[str, int, int]]:
        """Each kind of raise: its bit, how far it is to the raised state, and the states that can be raised so."""
        yield "level", 1, self.table([True, True, True, False], frozenset(_LEVEL_BITS))
        for place, bit in enumerate(self.bits[len(_LEVEL_BITS) :], start=len(_LEVEL_BITS)):
            yield bit, 1 << place, self.table([True, False], frozenset({bit}))

    def state(self, number: int) -> frozenset[str]:
        """The bits that are set in a state."""
        return frozenset(bit for place, bit in enumerate(self.bits) if number >> place & 1)


class _Checker:
    """Rules over deployments."""

    def __init__(
        self, rules: Sequence[Rule], deployments: Sequence[Deployment], tree: ZoneTree, schema: Schema
    ) -> None:
        self._rules = rules
        self._deployments = deployments
        self._schema = schema
        self._entities = Entities(deployments, tree=tree, schema=schema)
        self._whole = PolicySet({rule.id: rule.tree for rule in rules}, schema=schema)
        self._sets: dict[tuple[str, ...], PolicySet] = {}
        self._tables: dict[tuple[str, tuple[str, ...], str, bool], list[Answer]] = {}
        self.asked = 0
        self.kinds = frozenset(kind for rule in rules for kind in rule.reads.kinds)
        self.readers = frozenset(reader for rule in rules for reader in rule.reads.readers)
        named = {name for rule in rules for name in rule.reads.names[TENANT]}
        self._narrowed = frozenset(
            name for rule in rules if rule.permits and rule.is_own for name in rule.reads.names[TENANT]
        )
        self.tenants = (*sorted(named), _fresh("another", named))

    def different(self) -> Iterator[Deployment]:
        """Deployments that a rule could tell apart: of those with the same zone and terms the first."""
        named = {
            name for rule in self._rules for kind, names in rule.reads.names.items() for name in names if kind != TENANT
        }
        seen: set[object] = set()
        for each in self._deployments:
            key = (each.zone, each.terms, each.name if each.name in named else "")
            if key not in seen:
                seen.add(key)
                yield each

    def hole(self, space: _Space, tenant: str) -> Hole | None:
        """The first way that a raise opens."""
        permits = forbids = 0
        key = {rule.id: sorted(space.read_by(rule)) for rule in self._rules}
        ordered = sorted(self._rules, key=lambda rule: (rule.permits, key[rule.id]))
        for (is_permit, read), group in groupby(ordered, key=lambda rule: (rule.permits, key[rule.id])):
            answers = self._answers(space, tenant, tuple(group), frozenset(read))
            satisfied = [bool(each.permits if is_permit else each.forbids) for each in answers]
            failed = space.table([bool(each.failed) for each in answers], frozenset(read))
            found = space.table(satisfied, frozenset(read))
            permits, forbids = (permits | found, forbids | failed) if is_permit else (permits, forbids | found | failed)
        everything = (1 << (1 << len(space.bits))) - 1
        allowed = permits & ~forbids & everything
        for bit, distance, raisable in space.raises():
            opened = (everything ^ allowed) & (allowed >> distance) & raisable
            if opened:
                low = (opened & -opened).bit_length() - 1
                return self._told(space, tenant, bit, space.state(low), space.state(low + distance))
        return None

    def _answers(self, space: _Space, tenant: str, group: tuple[Rule, ...], read: frozenset[str]) -> list[Answer]:
        if len(read) > ASKED_BITS_MAX:
            raise CannotEnumerateError(
                f"the rule {group[0].id} looks at {len(read)} things of a text ({', '.join(sorted(read))}); at most"
                f" {ASKED_BITS_MAX} can be checked"
            )
        ids = tuple(rule.id for rule in group)
        # What does not ask who sends the text says the same of every tenant.
        whose = tenant if any("tenant" in rule.reads.variables for rule in group) else self.tenants[-1]
        if self.asked > ASKED_MAX:
            raise CannotEnumerateError(f"more than {ASKED_MAX:,} questions would have to be asked")
        known = (space.deployment.name, ids, whose, "evidence_valid" in space.bits)
        if known not in self._tables:
            if ids not in self._sets:
                self._sets[ids] = PolicySet({rule.id: rule.tree for rule in group}, schema=self._schema)
            questions = [space.question(on, whose, own_permits=whose in self._narrowed) for on in space.states(read)]
            answers: list[Answer] = []
            for start in range(0, len(questions), _BATCH):
                answers += self._sets[ids].ask(questions[start : start + _BATCH], self._entities)
            self.asked += len(questions)
            self._tables[known] = answers
        return self._tables[known]

    def _told(self, space: _Space, tenant: str, bit: str, low: frozenset[str], high: frozenset[str]) -> Hole:
        own_permits = tenant in self._narrowed
        below, above = (space.question(on, tenant, own_permits=own_permits) for on in (low, high))
        denied, allowed = self._whole.ask([below, above], self._entities)
        why = ", ".join(sorted(denied.forbids)) or ("a rule fails" if denied.failed else "no rule permits it")
        by = ", ".join(sorted(allowed.permits))
        whose = f" of tenant {tenant}" if len(self.tenants) > 1 and tenant != self.tenants[-1] else ""
        flags = [text for each, text in _FLAGS.items() if each in low]
        when = f" while {' and '.join(flags)}" if flags else ""
        return Hole(
            rule=min(allowed.permits),
            text=(
                f"a text{whose} labelled {format_label(below.label)} may not go to {space.deployment.name}{when} ({why}),"
                f" and the same text {_raised(bit, above)} may, by the rule {by}"
            ),
        )


_FLAGS = {
    "audit_ready": "the audit log cannot be written",
    "evidence_valid": "the evidence for its terms has expired",
    "scan_complete": "the text could not be looked through",
}


def _raised(bit: str, above: Question) -> str:
    """What a raise did, in words."""
    prefix, _, name = bit.partition(":")
    words = {
        "kind": f"with the kind {name}",
        "zone": f"without the zone {name}",
        "reader": f"without the reader {name}",
        "level": f"made {above.label.level.word}",
        "trusted": "no longer trusted",
        "anyone": "with readers named",
    }
    return words.get(prefix) or f"once {_FLAGS[bit]}"


def _fresh(word: str, taken: frozenset[str] | set[str]) -> str:
    """A name that stands for all that no rule names."""
    while word in taken:
        word += "-"
    return word
