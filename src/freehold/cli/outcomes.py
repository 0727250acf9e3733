"""``freehold outcomes``: what became of judged answers, from the database directly, also while no server runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from freehold.api.learning_documents import outcome_document
from freehold.cli import output
from freehold.cli.key_ring import this_user
from freehold.cli.learnt import open_learnt
from freehold.cli.options import ConfigFile, Json
from freehold.domain.errors.replay import NothingToReplay
from freehold.evals.replay.own import NOTHING_KEPT
from freehold.evals.replay.tables import write_tables

app = App(name="outcomes", help="What became of judged answers: list, export and erase.")

_ALL = 1 << 40
_LIMIT_MAX = 100_000


@app.command(name="list")
def list_outcomes(
    *,
    tenant: str = "",
    workload: str = "",
    deployment: str = "",
    labelled: bool = False,
    limit: int = 20,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """List the newest outcomes.

    Args:
        tenant: Only this tenant's.
        workload: Only of this workload.
        deployment: Only of this deployment.
        labelled: Only those of which it is known whether they were right.
        limit: Most that are listed, 1 to 100,000; 20 if not given.
    """
    if not 1 <= limit <= _LIMIT_MAX:
        raise output.UsageError(f"--limit is {limit}; 1 to {_LIMIT_MAX:,} are taken.")
    with open_learnt(config) as learnt:
        outcomes = asyncio.run(
            learnt.outcomes.read(tenant=tenant, workload=workload, deployment=deployment, labelled=labelled, most=limit)
        )
    if as_json:
        output.print_json([outcome_document(each) for each in outcomes])
        return output.OK
    if not outcomes:
        output.say("No outcomes yet: routes of more than one deployment that measure leave them.")
        return output.OK
    rows = [
        (
            each.request_id,
            each.tenant,
            each.deployment,
            each.scored_on.workload,
            "-" if each.probability is None else f"{each.probability:.2f}",
            "yes" if each.accepted else "no",
            "-" if each.right is None else "right" if each.right else "wrong",
            each.label_kind or "-",
        )
        for each in outcomes
    ]
    head = ("receipt", "tenant", "deployment", "workload", "probability", "accepted", "was", "going by")
    output.say(output.table(rows, head=head))
    return output.OK


@app.command(name="export")
def export_outcomes(
    folder: Annotated[str, Parameter(name="FOLDER")],
    /,
    *,
    name: str = "own",
    form: Annotated[Literal["jsonl", "parquet"], Parameter(name="--format")] = "jsonl",
    tenant: str = "",
    workload: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Write outcomes as two tables, which "freehold replay" reads: NAME.queries and NAME.outcomes. No texts are in them.

    Args:
        folder: Where to; made if it is not there.
        name: What the files are called; "own" if not given.
        form: jsonl, or parquet with the extra replay; jsonl if not given.
        tenant: Only this tenant's.
        workload: Only of this workload.
    """
    if not name or "." in name or "/" in name:
        raise output.UsageError(f"--name is {name!r}; it is a word without points and slashes.")
    with open_learnt(config) as learnt:
        outcomes = asyncio.run(learnt.outcomes.read(tenant=tenant, workload=workload, most=_ALL))
    if not outcomes:
        of = " and ".join(f"the {what} {said!r}" for what, said in (("tenant", tenant), ("workload", workload)) if said)
        raise NothingToReplay(reason=f"no outcomes of {of} are kept" if of else NOTHING_KEPT)
    target = Path(folder).expanduser()
    target.mkdir(parents=True, exist_ok=True)
    files = write_tables(outcomes, target, name, suffix=f".{form}")
    if as_json:
        output.print_json({"outcomes": len(outcomes), "files": [str(files.queries), str(files.outcomes)]})
    else:
        output.say(f"{len(outcomes):,} outcomes are in {files.queries} and {files.outcomes}.")
    return output.OK


@app.command(name="erase")
def erase_outcomes(
    *,
    tenant: Annotated[str, Parameter(required=True)],
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Erase all that was learnt from a tenant: outcomes, certificates made from them, watches and gold questions.

    What is remembered of its restricted texts goes too. What was written is overwritten. A running server follows within
    a second. Receipts and the audit log stay.

    Args:
        tenant: Whose; it may be one that the configuration does not have any more.
    """
    with open_learnt(config) as learnt:
        unix_ms = learnt.clock.unix_ms()
        erased = asyncio.run(learnt.outcomes.erase(tenant=tenant, by=this_user("outcomes"), unix_ms=unix_ms))
    if as_json:
        output.print_json({"tenant": tenant, "outcomes": erased})
    else:
        output.say(f"{erased:,} outcomes of {tenant} are erased, with all that was made from them.")
    return output.OK
