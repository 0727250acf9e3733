"""Cases that a site writes about its own rules: this text may go there, that one may not, and for which reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from freehold.domain.errors.policy import CasesUnreadable, LabelUnreadable
from freehold.policy.decide import decide
from freehold.policy.labelling import join_sources
from freehold.policy.site import Site, UnknownNameError
from freehold.policy.text import format_label

CASES_MAX = 10_000
_TEXTS = ("name", "label", "deployment", "route", "tenant", "expect", "rule")
_FLAGS = ("audit_ready", "scan_complete")
_MEMBERS = (*_TEXTS, *_FLAGS, "on")
_ALLOW, _DENY = "allow", "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One expectation.

    Attributes:
        name: What reports call it.
        label: What a client would send as ``freehold-label``; empty for nothing.
        deployment: Where the text would go; empty where ``route`` says it.
        route: A route: it allows a text if one of its deployments may have it.
        tenant: Whose text; empty for the first tenant's.
        allow: Whether it is expected to be allowed.
        rule: Id of a rule that must be among those that forbid it; for an allowance, that were asked. Empty for any.
        audit_ready: Whether what leaves could be recorded.
        scan_complete: Whether detectors saw everything that could forbid the way.
        on: Day on which it is asked, by UTC, against which evidence expires; ``None`` for today.
    """

    name: str
    label: str = ""
    deployment: str = ""
    route: str = ""
    tenant: str = ""
    allow: bool
    rule: str = ""
    audit_ready: bool = True
    scan_complete: bool = True
    on: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a case.

    Attributes:
        case: It.
        failure: What is otherwise than expected; empty where it holds.
    """

    case: Case
    failure: str

    @property
    def holds(self) -> bool:
        """Whether all is as expected."""
        return not self.failure


def read_cases(document: Mapping[str, Any], *, path: str) -> tuple[Case, ...]:
    """The cases of a file, all of them.

    Args:
        document: The file, read as TOML: an array of tables called ``case``.
        path: Of the file, for errors.

    Raises:
        CasesUnreadable: With everything that is wrong.
    """
    tables: Any = document.get("case")
    extra = [f"{name!r} means nothing here" for name in document if name != "case"]
    if not isinstance(tables, list) or not tables or extra:
        raise CasesUnreadable(path=path, reason="; ".join(extra) or "it has no [[case]]")
    rows = cast("list[Any]", tables)
    if len(rows) > CASES_MAX:
        raise CasesUnreadable(path=path, reason=f"it has {len(rows):,} cases, at most {CASES_MAX:,} are read")
    wrong = [f"case {number}: {text}" for number, row in enumerate(rows, start=1) for text in _wrong(row)]
    names: list[Any] = [cast("dict[str, Any]", row).get("name") for row in rows if isinstance(row, dict)]
    wrong += [f"two cases are called {name!r}" for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if wrong:
        raise CasesUnreadable(path=path, reason="; ".join(wrong))
    return tuple(_case(row) for row in rows)


def run_case(case: Case, site: Site, *, unix_ms: int) -> Result:
    """Hold one case against a site.

    Args:
        case: What is expected.
        site: Where.
        unix_ms: Now, for cases that name no day.
    """
    try:
        tenant = site.tenant(case.tenant)
        label = join_sources(site.sources(label=case.label, route=case.route, tenant=tenant), tree=site.policy.tree)
        ways = site.ways(route=case.route, deployment=case.deployment)
    except UnknownNameError as error:
        return Result(case=case, failure=str(error))
    except LabelUnreadable as error:
        return Result(case=case, failure=error.message)
    if case.on is not None:
        unix_ms = int(dt.datetime.combine(case.on, dt.time(), dt.UTC).timestamp() * 1000)
    found = [
        decide(
            label,
            each,
            policy=site.policy,
            tenant=tenant,
            unix_ms=unix_ms,
            audit_ready=case.audit_ready,
            scan_complete=case.scan_complete,
        )
        for each in ways
    ]
    asked = format_label(label)
    allowed = [each for each in found if each.allowed]
    if bool(allowed) != case.allow:
        told = "; ".join(
            f"{each.deployment} {'allows it' if each.allowed else 'denies it by ' + ', '.join(each.rules)}"
            for each in found
        )
        return Result(case=case, failure=f"{asked} is {'denied' if case.allow else 'allowed'}: {told}")
    rules = sorted({rule for each in (allowed or found) for rule in each.rules})
    if case.rule and case.rule not in rules:
        verb = "allowed" if allowed else "denied"
        return Result(case=case, failure=f"{asked} is {verb} by {', '.join(rules)}, not by {case.rule}")
    return Result(case=case, failure="")


def _wrong(row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "it is no table"
        return
    table = cast("dict[str, Any]", row)
    for name in table.keys() - set(_MEMBERS):
        yield f"{name!r} is none of {', '.join(_MEMBERS)}"
    for name in _TEXTS:
        if name in table and not isinstance(table[name], str):
            yield f"{name!r} is a text"
    if not table.get("name"):
        yield "it has no name"
    if table.get("expect") not in {_ALLOW, _DENY}:
        yield f"'expect' is {_ALLOW!r} or {_DENY!r}"
    if bool(table.get("deployment")) == bool(table.get("route")):
        yield "it names a deployment or a route, and not both"
    for name in _FLAGS:
        if not isinstance(table.get(name, True), bool):
            yield f"{name!r} is true or false"
    if "on" in table and type(table["on"]) is not dt.date:
        yield "'on' is a day, for example 2027-01-31"


def _case(row: Mapping[str, Any]) -> Case:
    values = {name: value for name, value in row.items() if name != "expect"}
    return Case(**values, allow=row["expect"] == _ALLOW)


def counts(results: Sequence[Result]) -> tuple[int, int]:
    """How many hold, and how many do not."""
    failed = sum(not each.holds for each in results)
    return len(results) - failed, failed
