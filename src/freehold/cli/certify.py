"""``freehold certify``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from freehold.api.learning_documents import certified_document
from freehold.cli import output
from freehold.cli.key_ring import this_user
from freehold.cli.learnt import open_learnt
from freehold.cli.options import ConfigFile, Json
from freehold.domain.certificates import SHARE_MAX, SHARE_MIN, LabelKind
from freehold.gateway.certifier import Certifier, Wish
from freehold.routing.certificate import Aim


def certify(
    name: Annotated[str, Parameter(name="ROUTE-OR-WORKLOAD")] = "general",
    /,
    *,
    risk: float = 0.1,
    sure: float = 0.9,
    labels: Literal["gold", "feedback", "agreement", ""] = "",
    tenant: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Certify how often an accepted answer of a local model is wrong, from answers of which that is known.

    First it says how much must be escalated at least, whatever is done. A certificate that can be proven is in force within
    a second, also in a running server, and in the audit log. The exit code is 1 where nothing could be certified.

    Args:
        name: A route or a workload; "general" if not given.
        risk: At most this share of accepted answers may be wrong, above 0 and below 1; 0.1 if not given.
        sure: How sure that has to be, above 0 and below 1; 0.9 if not given.
        labels: gold (known answers), feedback, or agreement with a stronger model, which certifies disagreement and not
            error. Gold where there is enough, else agreement, if not given.
        tenant: Only this tenant's answers; each tenant's for itself if not given.
    """
    for option, share in (("--risk", risk), ("--sure", sure)):
        if not SHARE_MIN <= share <= SHARE_MAX:
            raise output.UsageError(f"{option} is {share}; it is between {SHARE_MIN} and {SHARE_MAX}, for example 0.1.")
    with open_learnt(config) as learnt:
        certifier = Certifier(outcomes=learnt.outcomes, certificates=learnt.certificates, routes=learnt.compiled.routes)
        wish = Wish(
            name=name,
            tenant=learnt.tenant(tenant) if tenant else None,
            aim=Aim(risk_max=risk, delta=1.0 - sure),
            kind=LabelKind(labels) if labels else None,
            days=learnt.compiled.learning.certificate_days,
            by=this_user("certify"),
        )
        done = asyncio.run(certifier.certify(wish, unix_ms=learnt.clock.unix_ms()))
    found = [certified_document(each, risk_max=risk) for each in done]
    if as_json:
        output.print_json(found)
    else:
        output.say("\n\n".join(_text(each, risk) for each in found))
    return output.OK if all(each["certificate"] for each in found) else output.FAILED


def _text(done: dict[str, Any], risk: float) -> str:
    lines = [f"{done['deployment']}, workload {done['workload']}, tenant {done['tenant']}"]
    least = done["least_escalated"]
    if least is not None:
        lines.append(
            f"  at least {least['value']:.1%} must be escalated to have at most {risk:.1%} wrong (95 %: {least['low']:.1%} to"
            f" {least['high']:.1%}), going by {done['n']} labels ({done['labels']}), {done['errors']} of them wrong"
        )
    certificate = done["certificate"]
    if certificate is None:
        lines.append(f"  not certified: {done['says']}")
    else:
        share = certificate["accepted"] / certificate["n"]
        lines.append(f"  certified: {done['says']}")
        lines.append(
            f"  answers of a probability of at least {certificate['threshold']:.3f} are accepted: {share:.1%} of those seen"
        )
        lines.append(f"  certificate {certificate['id']}")
    return "\n".join(lines)
