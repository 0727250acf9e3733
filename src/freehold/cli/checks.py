"""The checks of ``freehold doctor`` that need no engine. Each says what it found, and what to do if that is wrong."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from freehold.cli.pulling import registry_of
from freehold.cli.server_call import FIRST_KEY_FILE
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.config.load import LoadedConfig
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.server import BindRefused, DataFolderLocked
from freehold.domain.hardware import HardwareProfile
from freehold.domain.zones import DEVICE, LAN, WORLD
from freehold.engines.onnx.packages import INSTALL, PACKAGES, missing_packages
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker
from freehold.planner import wording
from freehold.planner.choose import unusable_reason
from freehold.serving.registry import ModelRegistry
from freehold.storage.folder import DataFolder

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_DISK_FREE_BYTES_MIN = 1_000_000_000
_EARLIEST_UNIX_S = 1_767_225_600
"""1 January 2026: no clock that is right shows an earlier time."""

_CLOCK_SLACK_S = 300
_UNROUTED = "https://192.0.2.1"
"""An address for documentation (RFC 5737): nobody is there, should the broker fail to refuse."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        state: ``NOTE`` is something to know that is not wrong.
        detail: What was found and, where that is wrong, what to do.
    """

    name: str
    state: State
    detail: str


def good(name: str, detail: str) -> Check:
    """A check that found what it should."""
    return Check(name=name, state=State.OK, detail=detail)


def bad(name: str, detail: str) -> Check:
    """A check that failed."""
    return Check(name=name, state=State.FAILED, detail=detail)


def remark(name: str, detail: str) -> Check:
    """Something to know."""
    return Check(name=name, state=State.NOTE, detail=detail)


def guarded(name: str, look: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    """The findings of ``look``; an error of ours is a finding too, so that the other checks still run."""
    try:
        return look()
    except FreeholdError as error:
        return [bad(name, f"{error.code}: {error.message}")]
    except OSError as error:
        return [bad(name, str(error))]


def check_bind_address(loaded: LoadedConfig) -> list[Check]:
    """Whether the server would listen where strangers can read along."""
    from freehold.app.server import check_bind, is_loopback  # lazy: loads the server's libraries

    server = loaded.config.server
    where = f"{server.host}:{server.port}"
    try:
        check_bind(server, insecure_bind=False)
    except BindRefused as error:
        return [bad("bind address", error.message)]
    reach = "this machine only" if is_loopback(server.host) else "open to the network"
    return [good("bind address", f"{where}, {reach}"), _tls(server.tls_certificate, server.tls_key)]


def _tls(certificate: str, key: str) -> Check:
    if not certificate:
        return good("TLS", "not needed: nothing leaves this machine on the way to the server")
    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            return bad("TLS", f"{path} cannot be read; check [server] tls_certificate and tls_key")
    return good("TLS", certificate)


def check_folder(folder: Path) -> list[Check]:
    """The data folder: there, private, and free or in use by the running server."""
    if not folder.is_dir():
        return [remark("data folder", f'{folder} is not there yet; "freehold up" makes it')]
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return [bad("data folder", f"others may write to {folder} (mode {mode:04o}); run: chmod 700 {folder}")]
    if mode & _OTHERS:
        return [bad("data folder", f"others may look into {folder} (mode {mode:04o}); run: chmod 700 {folder}")]
    try:
        DataFolder.open(folder).close()
    except DataFolderLocked as error:
        return [good("data folder", f"{folder}, in use by the server (process {error.values['pid']})")]
    return [good("data folder", f"{folder}, not in use")]


def check_key_file(folder: Path) -> list[Check]:
    """Whether the first key can be read by its owner alone."""
    path = folder / FIRST_KEY_FILE
    if not path.exists():
        return [remark("key file", f"{path} is not there; the first start makes it, or its owner keeps it elsewhere")]
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        return [bad("key file", f"others can read {path} (mode {mode:04o}); run: chmod 600 {path}")]
    return [good("key file", f"{path}, mode {mode:04o}")]


def check_disk(folder: Path) -> list[Check]:
    """Whether audit, receipts and models have room."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < _DISK_FREE_BYTES_MIN:
        return [
            bad("disk", f"{wording.size(free)} is free at {place}; free some: without room nothing can be recorded")
        ]
    return [good("disk", f"{wording.size(free)} free at {place}")]


def check_processor(profile: HardwareProfile) -> list[Check]:
    """Whether the embedded engine can run at all."""
    if reason := unusable_reason(profile):
        return [bad("processor", reason)]
    return [good("processor", f"{profile.cpu_name}; {wording.machine(profile)}")]


def check_models(folder: Path, compiled: Compiled) -> Iterator[Check]:
    """Whether every model file still has its digest, and every deployment its model, signed where that is asked for."""
    registry = _trusted(folder, compiled)
    for path in registry.damaged():
        yield bad("model", f"{path} cannot be read; pull the model again")
    wanted = [plan.deployment.model.name for plan in compiled.deployments if _has_own_file(plan)]
    for name in dict.fromkeys([*wanted, *(model.name for model in registry.installed())]):
        try:
            model = registry.resolve(name)
            registry.verify(model, fresh=True)
            if name in wanted:
                registry.check_signed(model)
        except FreeholdError as error:
            yield bad(f"model {name}", f"{error.code}: {error.message}")
        else:
            yield good(f"model {name}", f"{model.digest[:19]}, {wording.size(model.size_bytes)}")


def check_packages(compiled: Compiled, *, missing: Callable[[], tuple[str, ...]] = missing_packages) -> list[Check]:
    """Whether what only some engines need is installed; nothing where none of them is configured."""
    if not any(plan.deployment.engine is EngineKind.ONNX for plan in compiled.deployments):
        return []
    if names := missing():
        return [bad("packages", f"engine onnx needs {', '.join(names)}; install them with: {INSTALL}")]
    return [good("packages", f"engine onnx has {', '.join(PACKAGES)}")]


def check_names(folder: Path, compiled: Compiled) -> list[Check]:
    """Whether names are looked for in what may leave; nothing where nothing may, or nobody looks."""
    inside = {"device": {DEVICE}, "lan": {DEVICE, LAN}}.get(compiled.detect.beyond)
    if inside is None or all(plan.deployment.zone in inside for plan in compiled.deployments):
        return []
    from freehold.app.scanning import name_model  # lazy: it reads the model's digest

    wanted = compiled.detect.names
    if wanted == "off":
        return [remark("names", "not looked for in texts that leave (detect.names)")]
    model, why = name_model(_trusted(folder, compiled))
    if model is not None:
        return [good("names", f"looked for in texts that leave, with {model.version}")]
    if wanted == "required":
        return [bad("names", f"every text stays on this device: {why}")]
    return [remark("names", f"not looked for in texts that leave: {why}")]


def _trusted(folder: Path, compiled: Compiled) -> ModelRegistry:
    """The models of a data folder, as far as the configuration trusts them."""
    from freehold.app.model_trust import trust_of  # lazy: loads cryptography

    registry = registry_of(folder)
    registry.trust = trust_of(compiled.models)
    return registry


_OURS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER, EngineKind.ONNX})


def _has_own_file(plan: DeploymentPlan) -> bool:
    return plan.deployment.engine in _OURS and not plan.settings.base_url


def check_tools(compiled: Compiled) -> list[Check]:
    """Whether anybody has said what the tools do that agents bring along."""
    from freehold.app.check import remark_on_tools  # lazy: loads the rules' engine

    if said := remark_on_tools(compiled):
        return [remark("tools", said)]
    return [good("tools", f"{count} declared")] if (count := len(compiled.trust.tools)) else []


def check_vaults(folder: Path, compiled: Compiled) -> Iterator[Check]:
    """Whether every vault that has something in it has its key; nothing where there is none."""
    from freehold.app.vault_opening import check_key, has_content, vault_path  # lazy: loads the vault's modules

    for plan in compiled.vaults.values():
        path, name = vault_path(folder, plan.name), f"vault {plan.name}"
        if not has_content(path):
            continue
        try:
            check_key(folder, plan)
        except FreeholdError as error:
            yield bad(name, f"{error.code}: {error.message}")
        else:
            yield good(name, f"{path}, its key is there")


def check_clock(folder: Path, *, unix_s: float) -> list[Check]:
    """Whether the time can be right: not before this program was written, and not before what was recorded."""
    if unix_s < _EARLIEST_UNIX_S:
        return [bad("clock", "it shows a time before 2026; set it: certificates and expiry dates depend on it")]
    written = [path.stat().st_mtime for path in (folder / "freehold.db", folder / "audit") if path.exists()]
    ahead_s = max(written, default=0.0) - unix_s
    if ahead_s > _CLOCK_SLACK_S:
        return [bad("clock", f"the newest records are {ahead_s:.0f} s in the future; the clock went back, set it")]
    return [good("clock", "plausible")]


def check_audit(folder: Path) -> list[Check]:
    """Whether the audit log verifies and can be written."""
    from freehold.audit.verify import verify_shards  # lazy: loads cryptography

    audit = folder / "audit"
    if not audit.is_dir():
        return [remark("audit log", "nothing is recorded yet")]
    if not os.access(audit, os.W_OK):
        return [bad("audit log", f"{audit} cannot be written; nothing could leave this machine")]
    found: list[Check] = []
    for report in verify_shards(audit):
        found.append(good("audit log", f"verifies: {report.entries} entries, root {report.root[:16]}…"))
        if report.orphans:
            orphans = f"{len(report.orphans)} egress intents have no end: cut off, or running now"
            found.append(remark("audit log", orphans))
    return found


def check_database(folder: Path, compiled: Compiled) -> list[Check]:
    """Whether the database is whole and every key opens something."""
    from freehold.cli.key_ring import open_ring  # lazy: the database's modules

    path = folder / "freehold.db"
    if not path.exists():
        return [remark("database", "not there yet")]
    with open_ring(folder, compiled) as (ring, database):
        wrong = database.check()
        problems = ring.problems
        count = sum(1 for record in ring.list() if record.revoked_unix_ms is None)
    found = [bad("database", f"{path}: {wrong}")] if wrong else [good("database", f"{path} is whole")]
    found += [bad("keys", problem) for problem in problems]
    return found if problems else [*found, good("keys", f"{count} good")]


def check_egress() -> list[Check]:
    """Whether the only way out refuses to go out without a permit."""
    return [asyncio.run(_try_to_leave())]


async def _try_to_leave() -> Check:
    clock = SystemClock()
    broker = Broker(clock=clock, permit_key=secrets.token_bytes(32))
    try:
        client = broker.client(name="doctor", base_url=_UNROUTED, zone=WORLD)
        reply = await client.request(method="GET", path="/", permit=None, deadline_s=clock.monotonic_s() + 1.0)
        reply.abort()
    except EgressDenied:
        return good("egress", "a call without a permit was refused")
    except FreeholdError as error:
        return bad("egress", f"a call without a permit was tried ({error.code}); please report this")
    finally:
        await broker.close()
    return bad("egress", "a call without a permit went out; please report this")
