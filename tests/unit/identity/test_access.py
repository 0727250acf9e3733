"""What a caller may do, and what it may give away."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from freehold.domain.errors.auth import GrantRefused, ScopeMissing
from freehold.domain.identity import Principal, Scope, Tenant
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE
from freehold.identity.access import ADMIN, INFER, MANAGE, OPEN, OWN, authorise, check_end, check_grant, reached_tenant

LABEL = Label(level=Level.PUBLIC, zones=frozenset({DEVICE}))
SETS = [frozenset(each) for each in chain.from_iterable(combinations(Scope, size) for size in range(4))]


def caller(scopes: frozenset[Scope]) -> Principal:
    tenant = Tenant(name="acme", label=LABEL)
    return Principal(key_id="k", key_name="n", tenant=tenant, label=LABEL, scopes=frozenset(scopes))


def passes(check: object, *args: object, **more: object) -> bool:
    try:
        check(*args, **more)  # type: ignore[operator]
    except (GrantRefused, ScopeMissing):
        return False
    return True


@pytest.mark.parametrize("scopes", SETS, ids=lambda scopes: " ".join(sorted(scopes)) or "none")
def test_a_scope_opens_its_rows_and_admin_those_of_manage(scopes: frozenset[Scope]) -> None:
    who = caller(scopes)
    assert passes(authorise, who, OPEN)
    assert passes(authorise, who, INFER) is (Scope.INFER in scopes)
    assert passes(authorise, who, MANAGE) is bool({Scope.MANAGE, Scope.ADMIN} & scopes)
    assert passes(authorise, who, ADMIN) is (Scope.ADMIN in scopes)
    assert reached_tenant(who, MANAGE) == (None if Scope.ADMIN in scopes else "acme")
    assert reached_tenant(who, INFER) == reached_tenant(who, OWN) == "acme"
    assert passes(authorise, who, OWN) is passes(authorise, who, MANAGE)


@pytest.mark.parametrize("scopes", SETS, ids=lambda scopes: " ".join(sorted(scopes)) or "none")
def test_nobody_gives_what_it_does_not_have(scopes: frozenset[Scope]) -> None:
    who = caller(scopes)
    for given in SETS:
        allowed = Scope.ADMIN in scopes or given <= scopes
        assert passes(check_grant, who, scopes=given, lowers_label=False) is allowed
        assert not passes(check_grant, who, scopes=given, lowers_label=True)
        assert passes(check_end, who, scopes=given) is (Scope.ADMIN in scopes or Scope.ADMIN not in given)
