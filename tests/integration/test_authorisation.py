"""Who may do what: every route × method × caller × object, against what the table's ``Access`` alone says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from itertools import product

import pytest

from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES
from freehold.domain.identity import Scope
from freehold.identity.access import INFER, Access, Reach
from tests.support.inside import Answer, Inside, inside
from tests.support.objects import BODIES, Kind, kind_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TENANTS = ("ours", "theirs")
OWNERS = (*TENANTS, "nobody")
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

GOOD = {
    "infer": {Scope.INFER},
    "manage": {Scope.MANAGE},
    "admin": {Scope.ADMIN},
    "infer and manage": {Scope.INFER, Scope.MANAGE},
}
BAD = ("none", "malformed", "unknown", "revoked", "expired", "of a tenant that is gone")

TABLE: dict[str, dict[str, Access]] = {route.path.decode(): {"POST": INFER} for route in INFERENCE_ROUTES}
for row in VIEW_ROUTES:
    TABLE.setdefault(row.path, {})[row.method] = row.access


@dataclass(frozen=True)
class Case:
    path: str
    method: str
    role: str
    tenant: str
    owner: str
    """Whose object the path names; empty for a path without one."""


def named_by(path: str) -> str:
    """The parameter of a path that names the object: the last; empty for a path without one."""
    return ["", *PARAMETER.findall(path)][-1]


def cases() -> list[Case]:
    every: list[Case] = []
    for path in TABLE:
        owners = OWNERS if named_by(path) else ("",)
        every += [Case(path, *rest) for rest in product(METHODS, (*BAD, *GOOD), TENANTS, owners)]
    return every


def expected(case: Case) -> str:
    """The oracle: what the table says of a case. It knows nothing of how the gateway decides."""
    rows = TABLE[case.path]
    access = rows.get("GET" if case.method == "HEAD" else case.method)
    if access is None:
        return "no such method"
    if access.scope is not None:
        if case.role in BAD:
            return "who are you"
        scopes = GOOD[case.role]
        if access.scope not in scopes and not (access.scope is Scope.MANAGE and Scope.ADMIN in scopes):
            return "you may not"
        of_all = access.reach is Reach.MANAGED and Scope.ADMIN in scopes
    else:
        of_all = False
    name = named_by(case.path)
    if not name:
        return "served"
    if kind_of(name, case.path).is_everybodys:
        return "nothing there" if case.owner == "nobody" and name != "kind" else "served"
    reached = case.owner == case.tenant or (of_all and case.owner != "nobody")
    return "served" if reached else "nothing there"


def told(case: Case, answer: Answer) -> str:
    """What the gateway said of it."""
    by_status = {404: "nothing there", 405: "no such method", 401: "who are you"}
    if answer.status == 403 and (case.method == "HEAD" or answer.code == "FH-AUTH-003"):
        return "you may not"
    if answer.status in by_status:
        return by_status[answer.status]
    # What a caller may ask for may still be asked for in a wrong way; what it may not give away is another question.
    withheld = answer.code in {"FH-AUTH-005", "FH-VAULT-081"}
    fine = answer.status < 400 or answer.status in {400, 406, 409, 422, 501} or withheld
    return "served" if fine else f"{answer.status} {answer.code}"


@dataclass
class World:
    """A gateway with a key of every role, and objects of two tenants."""

    gateway: Inside
    keys: dict[tuple[str, str], str | None]
    makers: dict[str, str]
    kept: dict[tuple[Kind, str], str]

    def object_of(self, case: Case, *, fresh: bool) -> str:
        """The id that the case's path names. What may change an object gets one of its own."""
        parameter = named_by(case.path)
        if not parameter:
            return ""
        kind = kind_of(parameter, case.path)
        if case.owner == "nobody":
            return kind.missing
        place = (kind, case.owner)
        if fresh or place not in self.kept:
            made = kind.make(self.gateway, self.makers[case.owner], "marked")
            if fresh:
                return made
            self.kept[place] = made
        return self.kept[place]

    def ask(self, case: Case, named: str) -> Answer:
        body = BODIES.get((case.method, case.path), {}) if case.method in {"POST", "PUT", "PATCH"} else None
        around = PARAMETER.findall(case.path)[:-1]
        values = {name: kind_of(name, case.path).make(self.gateway, "", "") for name in around}
        values[named_by(case.path)] = named
        target = PARAMETER.sub(lambda found: values[found[1]], case.path)
        return self.gateway.ask(case.method, target, key=self.keys[case.role, case.tenant], body=body)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    with inside(tmp_path_factory.mktemp("inside")) as gateway:
        yield make_world(gateway)


def make_world(gateway: Inside) -> World:
    keys: dict[tuple[str, str], str | None] = {}
    ring = gateway.stores.keys
    tenants = dict(ring._tenants)
    ring.reload({**tenants, "gone": tenants["ours"]})
    for tenant in TENANTS:
        keys |= {(role, tenant): gateway.key(tenant, *scopes)[0] for role, scopes in GOOD.items()}
        revoked, revoked_id = gateway.key(tenant, *Scope)
        ring.revoke(revoked_id)
        expired, expired_id = gateway.key(tenant, *Scope)
        ring.rotate(expired_id, overlap_s=0)
        keys |= {
            ("none", tenant): None,
            ("malformed", tenant): "fh-short",
            ("unknown", tenant): "fh-" + "x" * 43,
            ("revoked", tenant): revoked,
            ("expired", tenant): expired,
            ("of a tenant that is gone", tenant): gateway.key("gone", *Scope)[0],
        }
    ring.reload(tenants)
    makers = {tenant: gateway.key(tenant, "infer", "manage")[0] for tenant in TENANTS}
    return World(gateway, keys, makers, {})


def shape(answer: Answer, named: str) -> bytes:
    """An answer without what differs between any two: its own id, and the id that was asked for."""
    return UUID.sub(b"<id>", answer.raw.replace(named.encode(), b"<named>"))


def test_every_caller_gets_what_the_table_says(world: World) -> None:
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for case in cases():
        want = expected(case)
        named = world.object_of(case, fresh=want == "served" and case.method not in {"GET", "HEAD", "OPTIONS"})
        answer = world.ask(case, named)
        if told(case, answer) != want:
            wrong.append(f"{case}: {want} expected, told {told(case, answer)}: {answer.raw[:300]!r}")
        seen[want] += 1
    assert not wrong, f"{len(wrong)} of {sum(seen.values())}:\n" + "\n".join(wrong[:20])
    # The whole product was walked through, and none of its corners is empty.
    with_object = sum(1 for path in TABLE if named_by(path))
    callers = len(METHODS) * len(BAD + tuple(GOOD)) * len(TENANTS)
    assert sum(seen.values()) == callers * (with_object * len(OWNERS) + len(TABLE) - with_object)
    assert set(seen) == {"served", "who are you", "you may not", "nothing there", "no such method"}


def test_what_is_anothers_is_answered_as_what_does_not_exist(world: World) -> None:
    compared: Counter[str] = Counter()
    for case in cases():
        if case.owner in TENANTS and expected(case) == "nothing there":
            theirs = world.object_of(case, fresh=False)
            nobodys = Case(case.path, case.method, case.role, case.tenant, "nobody")
            never = world.object_of(nobodys, fresh=False)
            assert len(theirs) == len(never), f"{case.path}: an id that never existed must look like one that does"
            assert shape(world.ask(case, theirs), theirs) == shape(world.ask(nobodys, never), never), case
            compared[case.path] += 1
    tenants_own = {
        path
        for path, rows in TABLE.items()
        if (name := named_by(path)) and not kind_of(name, path).is_everybodys and rows
    }
    assert set(compared) == tenants_own


def test_lists_hold_only_what_the_caller_reaches(world: World) -> None:
    names = {(name, path) for path in TABLE if (name := named_by(path))}
    kinds = {name: kind for name, path in names if not (kind := kind_of(name, path)).is_everybodys}
    ids = {
        tenant: [kind.make(world.gateway, key, "marked").encode() for kind in kinds.values()]
        for tenant, key in world.makers.items()
    }
    shown = 0
    for path, rows in TABLE.items():
        if "GET" not in rows or PARAMETER.search(path):
            continue
        for role, scopes in GOOD.items():
            answer = world.ask(Case(path, "GET", role, "ours", ""), "")
            if rows["GET"].reach is not Reach.MANAGED or Scope.ADMIN not in scopes:
                assert not [each for each in ids["theirs"] if each in answer.body], f"{path} for {role}"
            shown += sum(each in answer.body for each in ids["ours"])
    assert shown >= len(kinds), "no list shows what was just made: this test sees nothing"


def test_the_table_is_whole() -> None:
    for path, rows in TABLE.items():
        around = PARAMETER.findall(path)[:-1]
        told = f"{path}: the matrix names one object a path, the last; those before it must be everybody's"
        assert all(kind_of(name, path).is_everybodys for name in around), told
        for method, access in rows.items():
            # A route that shows a tenant's objects asks for a key, and one without a key has nobody's.
            assert (access.scope is None) == (access.reach is Reach.NOBODY), f"{method} {path}"
        for name in PARAMETER.findall(path):
            kind_of(name, path)


def test_a_parameter_that_nobody_knows_is_told_how_to_be_added() -> None:
    with pytest.raises(AssertionError, match=r"/v1/new/\{new_id\} has the parameter 'new_id'.*OBJECTS"):
        kind_of("new_id", "/v1/new/{new_id}")


def test_the_matrix_finds_a_hole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: a view that forgets whose objects it may show is found."""
    monkeypatch.setattr("freehold.api.key_views.reached_tenant", lambda _principal, _access: None)
    hole = Case("/v1/admin/keys/{key_id}", "GET", "manage", "ours", "theirs")
    assert told(hole, world.ask(hole, world.object_of(hole, fresh=False))) != expected(hole)
