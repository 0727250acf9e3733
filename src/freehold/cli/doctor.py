"""``freehold doctor``."""

from __future__ import annotations

import os
from collections.abc import Iterator

from freehold.cli import checks, output
from freehold.cli.checks import Check, State, guarded
from freehold.cli.configured import loaded_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, data_folder
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.config import ConfigError, ConfigInvalid
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.probe import probe

_MARKS = {State.OK: "✓ ok    ", State.NOTE: "· note  ", State.FAILED: "✗ FAILED"}
_MS = 1000


def doctor(*, engine: bool = False, egress: bool = False, config: ConfigFile = "", as_json: Json = False) -> int:
    """Check this installation, one line a check. Ends with 1 if any check failed; changes nothing.

    Args:
        engine: Also start one engine and generate a token; the server must be stopped for that.
        egress: Instead try every way out from inside each kind of process, and count what was sent in the last run.
    """
    found: list[Check] = []
    more: dict[str, object] = {}
    for each in _egress_checks(config, more) if egress else _checks(config, engine=engine):
        found.append(each)
        if not as_json:
            output.say(f"{_MARKS[each.state]}  {each.name}: {each.detail}")
    failed = sum(1 for each in found if each.state is State.FAILED)
    if as_json:
        shown = [{"name": each.name, "state": each.state.value, "detail": each.detail} for each in found]
        output.print_json({"ok": not failed, "checks": shown, **more})
    else:
        output.say()
        output.say("All is well." if not failed else f"{failed} check{'' if failed == 1 else 's'} failed.")
    return output.FAILED if failed else output.OK


def _checks(config: str, *, engine: bool) -> Iterator[Check]:
    folder = data_folder()
    profile = probe()
    yield from checks.check_processor(profile)
    yield from guarded("disk", lambda: checks.check_disk(folder))
    yield from guarded("data folder", lambda: checks.check_folder(folder))
    yield from guarded("key file", lambda: checks.check_key_file(folder))
    yield from guarded("clock", lambda: checks.check_clock(folder, unix_s=SystemClock().unix_ms() / _MS))
    yield from guarded("audit log", lambda: checks.check_audit(folder))
    yield from guarded("egress", checks.check_egress)
    yield from guarded("engine jail", _jail)
    try:
        loaded = loaded_or_default(config)
        compiled = compile_config(loaded, environment=os.environ)
    except ConfigInvalid as error:
        for mistake in error.mistakes:
            yield checks.bad("configuration", mistake)
        return
    except ConfigError as error:
        yield checks.bad("configuration", f"{error.code}: {error.message}")
        return
    yield from _configured(loaded, compiled, engine=engine)


def _egress_checks(config: str, more: dict[str, object]) -> Iterator[Check]:
    """The findings about ways out; ``more`` gets what a program reads beside them."""
    from freehold.cli import egress_probe  # lazy: as for the jail

    try:
        probed = egress_probe.probe_processes()
    except OSError as error:
        yield checks.bad("egress", str(error))
        return
    yield from egress_probe.findings(probed)
    audit = data_folder() / "audit"
    try:
        compiled = compile_config(loaded_or_default(config), environment=os.environ)
        if compiled.broker:
            from freehold.cli.egress_broker import check_brokered  # lazy: as for the jail

            yield from check_brokered(compiled, data_folder(), more)
        else:
            yield from egress_probe.check_server(compiled)
        since, sent = egress_probe.sent_of_last_run(audit)
    except FreeholdError as error:
        yield checks.bad("egress", f"{error.code}: {error.message}")
        return
    yield from egress_probe.check_sent(since, sent)
    more.update(egress_probe.document(probed, since, sent))


def _configured(loaded: LoadedConfig, compiled: Compiled, *, engine: bool) -> Iterator[Check]:
    folder = data_folder()
    where = "none yet, defaults hold" if loaded.path is None else str(loaded.path)
    yield checks.good("configuration", f"{where}; {len(compiled.deployments)} deployments")
    yield from guarded("bind address", lambda: checks.check_bind_address(loaded))
    yield from guarded("database", lambda: checks.check_database(folder, compiled))
    yield from guarded("vaults", lambda: list(checks.check_vaults(folder, compiled)))
    yield from guarded("egress broker", lambda: _broker(compiled))
    yield from guarded("tools", lambda: checks.check_tools(compiled))
    yield from guarded("packages", lambda: checks.check_packages(compiled))
    yield from guarded("names", lambda: checks.check_names(folder, compiled))
    yield from guarded("model", lambda: list(checks.check_models(folder, compiled)))
    if engine:
        from freehold.cli.engine_check import check_engine  # lazy: loads the engine's modules

        yield from guarded("engine", lambda: check_engine(folder, loaded, compiled))


def _broker(compiled: Compiled) -> list[Check]:
    from freehold.cli.egress_broker import check_answers  # lazy: as for the jail

    return check_answers(compiled)


def _jail() -> list[Check]:
    from freehold.cli.jail_probe import check_jail  # lazy: keeps the import graph of checks small

    return check_jail()
