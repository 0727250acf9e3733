"""``freehold audit report``: what an authority, a customer or a works council asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import ConfigFile
from freehold.config.load import data_folder

if TYPE_CHECKING:
    from freehold.audit.report import Terms
    from freehold.config.schema import Config
    from freehold.domain.receipt import AuditRecord

AUDIT_FOLDER = "audit"

From = Annotated[
    str, Parameter(name="--from", help="First day by UTC, like 2026-11-01; all that is there if not given.")
]
To = Annotated[str, Parameter(name="--to", help="Last day by UTC; today if not given.")]
Format = Annotated[Literal["csv", "html"], Parameter(name="--format", help="csv, or html: one page without scripts.")]


def report(
    *,
    kind: Literal["processing", "transfers", "who"],
    start: From = "",
    end: To = "",
    form: Format = "csv",
    config: ConfigFile = "",
) -> int:
    """Print a report that is read from the audit log, which is verified first. It holds no prompts and no answers.

    Args:
        kind: processing (what was processed for whom, by which models, where), transfers (what left this device, to whom,
            under which terms), who (every single sending).
    """
    from freehold.audit.export import logs_of, sealed_entries  # lazy: loads cryptography
    from freehold.audit.report import Kind, Span
    from freehold.audit.report import report as make
    from freehold.audit.report_page import Source, as_csv, as_page
    from freehold.audit.verify import verify_shards
    from freehold.cli.configured import loaded_or_default

    first, last = _day(start, "--from"), _day(end, "--to") or _today()
    span = Span(
        start_ms=0 if first is None else int(first.timestamp() * 1000),
        end_ms=int((last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp() * 1000),
    )
    main = data_folder() / AUDIT_FOLDER
    reports = verify_shards(main)

    def read() -> Iterator[tuple[str, int, AuditRecord]]:
        for each, folder in zip(reports, logs_of(main), strict=True):
            for index, _, record in sealed_entries(folder, each.checkpoint):
                yield each.origin, index, record

    table = make(Kind(kind), read, span, _terms(loaded_or_default(config).config))
    if form == "csv":
        output.say(as_csv(table), end="")
        return output.OK
    sources = [Source(origin=each.origin, size=each.size, root=each.root, pruned=each.pruned) for each in reports]
    since = "From the beginning" if first is None else f"From {first:%Y-%m-%d}"
    output.say(as_page(table, of=f"{since} to {last:%Y-%m-%d}", sources=sources), end="")
    return output.OK


def _terms(config: Config) -> dict[str, Terms]:
    from freehold.audit.report import Terms

    found: dict[str, Terms] = {}
    for name, each in config.deployments.items():
        days, trains, evidence = each.retention_days, each.trains, each.evidence
        found[name] = Terms(
            contracts=", ".join(each.contracts),
            retention="not said" if days is None else f"{days} days",
            trains="not said" if trains is None else ("yes" if trains else "no"),
            evidence=evidence.url,
            checked="" if evidence.checked is None else evidence.checked.isoformat(),
            expires="" if evidence.expires is None else evidence.expires.isoformat(),
        )
    return found


def _today() -> datetime:
    from freehold.hostinfo.clock import SystemClock

    return datetime.fromtimestamp(SystemClock().unix_ms() / 1000, UTC)


def _day(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise output.UsageError(f"{option} {text!r} is no day; one is written like 2026-11-30.") from error
