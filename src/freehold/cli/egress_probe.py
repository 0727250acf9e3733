"""``freehold doctor --egress``: what can get out of this machine, asked of the kernel and of the audit log."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.cli import checks
from freehold.cli.checks import Check, bad, good, remark
from freehold.cli.jailed_child import asked_in_jail
from freehold.net.ways_out import Doors, Tried

if TYPE_CHECKING:
    from freehold.audit.destinations import Destination
    from freehold.config.compile import Compiled

_TIMEOUT_S = 60.0
_KINDS = (("embedded engine", False), ("onnx engine", False), ("engine that is a program of yours", True))
"""Processes that see texts and models, and whether they become another program."""

_CLOSE_THE_NETWORK = frozenset({"no network", "no connections"})
_REMEDY = (
    "the system grants workers neither a network namespace nor a system-call filter. In a container allow one of them "
    "(user namespaces, or prctl with PR_SET_SECCOMP); on a system that has neither, run the server where its own "
    "network is closed: docs/how-to/harden.md"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one kind of process could do.

    Attributes:
        name: Which kind.
        measures: What it gave up: name, whether that holds, and how.
        tried: The ways out that it tried.
    """

    name: str
    measures: tuple[tuple[str, bool, str], ...]
    tried: tuple[Tried, ...]

    def checks(self) -> Iterator[Check]:
        """One finding a way out, and what to do where one is open."""
        held = [f"{name} ({detail})" for name, holds, detail in self.measures if holds and name in _CLOSE_THE_NETWORK]
        for each in self.tried:
            finding = good if each.refused else bad
            yield finding(f"{self.name}, {each.name}", f"{'refused' if each.refused else 'OPEN'}: {each.answer}")
        if all(each.refused for each in self.tried):
            yield good(self.name, f"closed by: {', '.join(held) or 'this machine, which has no network'}")
        else:
            lacking = [f"{name}: {detail}" for name, holds, detail in self.measures if not holds]
            yield bad(self.name, f"{'; '.join(lacking) or 'every measure says that it holds'}. {_REMEDY}")


def probe_processes() -> list[Probed]:
    """Start one process of each kind, which tries every way out and ends. Takes a second where all are closed.

    Raises:
        OSError: No process could be started, or it failed before it had told.
    """
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder, Doors.open(folder) as doors:
        return [
            Probed(name="this command, which is in no jail", measures=(), tried=doors.tried()),
            *(_probe(name, doors, executes=executes) for name, executes in _KINDS),
        ]


def _probe(name: str, doors: Doors, *, executes: bool) -> Probed:
    readable = [sys.prefix, sys.base_prefix]
    order = {"readable": readable, "executes": executes, "port": doors.port, "path": doors.path}
    try:
        lines = asked_in_jail("freehold.engines.process.probe", timeout_s=_TIMEOUT_S, **order)
        measures, tried = (json.loads(line) for line in lines[:2])
        return Probed(
            name=name,
            measures=tuple((each["name"], each["holds"], each["detail"]) for each in measures),
            tried=tuple(Tried(**each) for each in tried),
        )
    except (subprocess.SubprocessError, ValueError, TypeError, KeyError) as error:
        raise OSError(f"the process that was to try it failed: {error}") from error


def findings(probed: list[Probed]) -> Iterator[Check]:
    """What the kernel answered; the first one tells whether the targets were there at all."""
    control, *workers = probed
    lost = [f"{each.name}: {each.answer}" for each in control.tried if each.refused]
    if lost:
        yield bad(control.name, f"{'; '.join(lost)}; so a refusal below proves nothing")
    else:
        yield good(control.name, f"reaches {' and '.join(each.name for each in control.tried)}, as it should")
    for worker in workers:
        yield from worker.checks()


def check_server(compiled: Compiled) -> list[Check]:
    """What holds the server itself, which is the one process with a network."""
    refused = checks.check_egress()
    far = sorted(plan.deployment.name for plan in compiled.deployments if not plan.deployment.is_on_device)
    if far:
        what = f"it needs a network for {', '.join(far)}, and its broker alone holds it to its permits"
    else:
        what = "no deployment is beyond this device, so it needs no network: close it by the unit in deploy/systemd"
    return [*refused, remark("server", f"{what} (docs/how-to/harden.md)")]


def sent_of_last_run(folder: Path) -> tuple[int | None, list[Destination]]:
    """When the audit log was last opened (Unix milliseconds), and what was sent where since.

    Raises:
        AuditBroken: The log cannot be read.
    """
    from freehold.audit.destinations import destinations, last_opened_unix_ms  # lazy: loads cryptography

    since = last_opened_unix_ms(folder)
    return (None, []) if since is None else (since, destinations(folder, since_unix_ms=since))


def check_sent(since_unix_ms: int | None, sent: list[Destination]) -> list[Check]:
    """The same, for people."""
    if since_unix_ms is None:
        return [remark("sent", "nothing is recorded yet")]
    began = datetime.fromtimestamp(since_unix_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")
    if not sent:
        return [good("sent", f"nothing beyond this device since {began}, by the audit log")]
    return [
        good(
            "sent",
            f"{each.sent:,} to {each.origin} (zone {each.zone}), {each.body_bytes:,} bytes: "
            + ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(each.outcomes.items())),
        )
        for each in sent
    ] + [remark("sent", f"counted since {began}, from the audit log; each had an intent on disk before")]


def document(probed: list[Probed], since_unix_ms: int | None, sent: list[Destination]) -> dict[str, Any]:
    """What a program reads beside the checks."""
    return {
        "processes": [
            {
                "name": each.name,
                "measures": [{"name": name, "holds": holds, "detail": detail} for name, holds, detail in each.measures],
                "tried": [asdict(tried) for tried in each.tried],
            }
            for each in probed
        ],
        "since_unix_ms": since_unix_ms,
        "sent": [asdict(each) for each in sent],
    }
