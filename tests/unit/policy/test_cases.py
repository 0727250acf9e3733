"""Cases that a site writes about its rules: read whole or not at all, and held against what would be decided."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import replace

import pytest

from freehold.domain.deployment import Route
from freehold.domain.errors.policy import CasesUnreadable
from freehold.domain.labels import Level
from freehold.policy.cases import CASES_MAX, Case, read_cases, run_case
from freehold.policy.site import Site
from tests.support.labels import ON_DEVICE, cloud
from tests.support.rules import rulebook

EXPIRES = dt.date(2027, 2, 1)
EXPIRES_MS = int(dt.datetime.combine(EXPIRES, dt.time(), dt.UTC).timestamp() * 1000)
CLOUD = cloud(clearance=Level.INTERNAL, expires_unix_ms=EXPIRES_MS)
SITE = Site(
    policy=rulebook(ON_DEVICE, CLOUD, tenants=("acme", "clinic")),
    deployments={"home": ON_DEVICE, "cloud": CLOUD},
    routes={
        "auto": Route(name="auto", deployments=("home", "cloud")),
        "far": Route(name="far", deployments=("cloud",)),
    },
    route_labels={"far": "internal;kinds=pii"},
    tenants={"acme": "internal", "clinic": "confidential"},
)


def failure(**values: object) -> str:
    case = Case(name="c", **{"allow": True, **values})
    return run_case(case, SITE, unix_ms=0).failure


def test_cases_that_hold() -> None:
    assert failure(deployment="cloud") == ""
    assert failure(deployment="cloud", rule="level") == ""
    assert failure(deployment="cloud", label="confidential", allow=False, rule="level") == ""
    assert failure(deployment="cloud", tenant="clinic", allow=False) == ""
    assert failure(route="auto", tenant="clinic") == ""
    assert failure(route="far", tenant="clinic", allow=False, rule="zone") == ""
    assert failure(deployment="cloud", audit_ready=False, allow=False, rule="audit") == ""
    assert failure(deployment="cloud", scan_complete=False, allow=False, rule="scan") == ""
    assert failure(route="auto", scan_complete=False) == ""
    assert failure(deployment="cloud", on=EXPIRES - dt.timedelta(days=1)) == ""
    assert failure(deployment="cloud", on=EXPIRES, allow=False, rule="evidence") == ""


def test_cases_that_do_not_hold_say_what_is_otherwise() -> None:
    assert failure(deployment="cloud", allow=False) == "internal;zones=world is allowed: cloud allows it"
    said = failure(route="auto", label="restricted;kinds=secret", allow=False)
    assert said.startswith(
        "restricted;zones=device;kinds=secret is allowed: home allows it; cloud denies it by zone, level"
    )
    assert failure(deployment="cloud", label="confidential", allow=False, rule="audit").endswith(
        "is denied by level, zone, not by audit"
    )
    assert failure(deployment="clod") == "there is no deployment 'clod'; did you mean 'cloud'?"
    assert failure(route="none").startswith("there is no route 'none'")
    assert failure(deployment="cloud", tenant="nobody").startswith("there is no tenant 'nobody'")
    assert "cannot be read" in failure(deployment="cloud", label="secretish")


GOOD = '[[case]]\nname = "a"\nlabel = "public"\ndeployment = "cloud"\nexpect = "allow"\non = 2027-01-31\naudit_ready = false\nscan_complete = false\n'


def test_a_file_is_read_whole() -> None:
    (case,) = read_cases(tomllib.loads(GOOD), path="cases.toml")
    assert case == Case(
        name="a",
        label="public",
        deployment="cloud",
        allow=True,
        audit_ready=False,
        scan_complete=False,
        on=dt.date(2027, 1, 31),
    )
    (plain,) = read_cases(tomllib.loads(GOOD.replace("false", "true")), path="cases.toml")
    assert (plain.audit_ready, plain.scan_complete) == (True, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no [[case]]"),
        ("case = []", "it has no [[case]]"),
        ("case = 1", "it has no [[case]]"),
        ("cases = 1\n" + GOOD, "'cases' means nothing here"),
        ("case = [1]", "case 1: it is no table"),
        (GOOD.replace('name = "a"', ""), "it has no name"),
        (GOOD.replace('"a"', "1"), "'name' is a text"),
        (GOOD.replace('"allow"', '"allowed"'), "'expect' is 'allow' or 'deny'"),
        (GOOD + 'route = "auto"', "a deployment or a route, and not both"),
        (GOOD.replace('deployment = "cloud"', ""), "a deployment or a route, and not both"),
        (GOOD + 'lable = "x"', "'lable' is none of"),
        (GOOD.replace("2027-01-31", "2027-01-31T00:00:00Z"), "'on' is a day"),
        (GOOD.replace("audit_ready = false", "audit_ready = 0"), "'audit_ready' is true or false"),
        (GOOD.replace("scan_complete = false", "scan_complete = 0"), "'scan_complete' is true or false"),
        (GOOD + GOOD, "two cases are called 'a'"),
    ],
)
def test_a_file_that_is_wrong_is_not_run_in_parts(text: str, said: str) -> None:
    with pytest.raises(CasesUnreadable) as refused:
        read_cases(tomllib.loads(text), path="cases.toml")
    assert said in refused.value.message


def test_too_many_cases_are_refused() -> None:
    with pytest.raises(CasesUnreadable, match="at most"):
        read_cases({"case": [{}] * (CASES_MAX + 1)}, path="cases.toml")


def test_a_case_on_a_site_with_other_rules() -> None:
    own = '@id("no") forbid (principal, action, resource == Freehold::Deployment::"cloud");'
    site = replace(SITE, policy=rulebook(ON_DEVICE, CLOUD, tenants=("acme", "clinic"), own=own))
    case = Case(name="c", deployment="cloud", allow=False, rule="no")
    assert run_case(case, site, unix_ms=0).holds
    assert not run_case(case, SITE, unix_ms=0).holds
