"""``freehold standings``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from freehold.api.learning_documents import newest_scorings, standing_documents
from freehold.api.learning_views import shadow_shares
from freehold.cli import output
from freehold.cli.learnt import Learnt, open_learnt
from freehold.cli.options import ConfigFile, Json
from freehold.gateway.watch import read_watches


def standings(*, tenant: str = "", config: ConfigFile = "", as_json: Json = False) -> int:
    """Show how far each deployment's answers may be trusted: certificates, alarms, and how soon a breach is noticed.

    Args:
        tenant: Only this tenant's.
    """
    with open_learnt(config) as learnt:
        found = asyncio.run(_found(learnt, learnt.tenant(tenant) if tenant else None))
    if as_json:
        output.print_json(found)
    elif not found:
        output.say('No answers were judged yet. "freehold certify" tells what is needed for a certificate.')
    else:
        output.say("\n\n".join(map(_text, found)))
    return output.OK


async def _found(learnt: Learnt, tenant: str | None) -> list[dict[str, Any]]:
    counted = await learnt.outcomes.counted()
    return standing_documents(
        counted,
        [*learnt.shipped_and_own, *await learnt.certificates.all()],
        await read_watches(learnt.certificates),
        scorings=await newest_scorings(learnt.outcomes, counted),
        shadow_shares=shadow_shares(learnt.compiled.routes),
        run_length=learnt.compiled.learning.alarm_run_length,
        unix_ms=learnt.clock.unix_ms(),
        tenant=tenant,
    )


def _text(standing: dict[str, Any]) -> str:
    lines = [
        f"{standing['deployment']}, workload {standing['workload']}, tenant {standing['tenant']}",
        f"  {standing['outcomes']:,} answers, {standing['accepted']:,} accepted, {standing['labelled']:,} labelled",
    ]
    if standing["alarm"]:
        lines.append(f"  ALARM since {_moment(standing['alarm_unix_ms'])}: {standing['alarm']}")
        lines.append("  nothing of it is accepted until it is certified anew")
    elif standing["certificate"] is None:
        lines.append("  uncertified")
    else:
        certificate, watched = standing["certificate"], standing["watched"]
        lines.append(f"  certified until {_moment(certificate['expires_unix_ms'])} by {certificate['id']}")
        lines.append(f"  {standing['says']}")
        if watched is not None:
            lines.append(f"  watched: {watched['wrong']} of {watched['labels']} labels since then say wrong")
        delay = standing["expected_delay"]
        after = (
            "without shadows nobody would notice"
            if delay["requests"] is None
            else f"{delay['requests']:,} requests in the mean until the alarm"
        )
        lines.append(f"  were {delay['risk']:.1%} wrong: {delay['labels']:,} labels, {after}")
    return "\n".join(lines)


def _moment(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
