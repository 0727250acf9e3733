"""``freehold policy replay``: what other rules would have blocked or opened. Nothing is changed."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.app.rules import rulebook_of
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import DATABASE_FILE, unfiled
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.config.rules import read_rules_file
from freehold.domain.errors.policy import RulesInvalid
from freehold.hostinfo.clock import SystemClock
from freehold.policy.replay import Replay
from freehold.storage.database import Database
from freehold.storage.receipt_history import ReceiptHistory

_SINCE = re.compile(r"([1-9][0-9]{0,4})([dh])")
_MS = {"h": 3_600_000, "d": 86_400_000}


def replay(
    *,
    rules: Annotated[str, Parameter(required=True)],
    since: str = "30d",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show what other rules would have blocked or opened, by the receipts stored. Nothing is changed or sent.

    Args:
        rules: File of rules that would stand in the place of [policy] rules; "" for the shipped rules alone.
        since: How far back, in days or hours: 30d, 12h. 30d if not given.
    """
    match = _SINCE.fullmatch(since)
    if match is None:
        raise output.UsageError(f"--since is {since!r}; write days or hours, for example 30d or 12h.")
    compiled = compiled_or_default(config)
    path = Path(rules).expanduser().absolute() if rules else None
    found = Replay(
        now=rulebook_of(compiled),
        new=rulebook_of(replace(compiled, rules=_text(path), rules_path=str(path or ""))),
        deployments={plan.deployment.name: plan.deployment for plan in compiled.deployments},
    )
    _visit(found, span_ms=int(match[1]) * _MS[match[2]])
    changes = found.changes()
    if as_json:
        output.print_json(
            {
                "since": since,
                "requests": found.requests,
                "decisions": found.decisions,
                "gone": found.gone,
                "drifted": found.drifted,
                "opened": sum(each.requests for each in changes if each.opened),
                "blocked": sum(each.requests for each in changes if not each.opened),
                "by_rule": found.by_rule(),
                "changes": [asdict(each) for each in changes],
            }
        )
    else:
        output.say(replay_text(found, since=since))
    return output.OK


def replay_text(found: Replay, *, since: str) -> str:
    """The report in plain lines."""
    changes = found.changes()
    opened, blocked = (sum(each.requests for each in changes if each.opened is kind) for kind in (True, False))
    lines = [f"last {since}: {found.requests:,} requests, {found.decisions:,} decisions"]
    if found.gone:
        lines.append(f"{found.gone:,} were on deployments that there are no more, and were left out")
    if found.drifted:
        lines.append(
            f"{found.drifted:,} would be made otherwise today by the rules in force: facts or rules have changed"
        )
    if not changes:
        return "\n".join([*lines, "The new rules change nothing."])
    lines += [f"opened   {opened:,}", f"blocked  {blocked:,}", ""]
    rows = [
        (
            "opens" if each.opened else "blocks",
            each.tenant,
            each.label,
            each.deployment,
            f"{each.requests:,}",
            f"{each.answered:,}",
            ", ".join(each.rules),
        )
        for each in changes
    ]
    head = ("", "tenant", "label", "deployment", "requests", "answered there", "rules")
    counted = [(rule, f"{number:,}") for rule, number in found.by_rule().items()]
    return "\n".join([*lines, output.table(rows, head=head), "", output.table(counted, head=("rule", "decisions"))])


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return read_rules_file(path)
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else "it is not UTF-8"
        reason = f"it cannot be read: {why}"
        raise RulesInvalid(path=path, count=1, mistakes=reason, all_mistakes=f"{path}: {reason}") from error


def _visit(found: Replay, *, span_ms: int) -> None:
    path = data_folder() / DATABASE_FILE
    if not path.exists():
        return
    now_ms = SystemClock().unix_ms()
    database = Database.open(path)
    try:
        history = ReceiptHistory(database, unfiled=unfiled(path.parent))
        asyncio.run(history.visit(found.see, from_unix_ms=now_ms - span_ms, to_unix_ms=now_ms + 1))
    finally:
        database.close()
