"""``freehold up``."""

from __future__ import annotations

import os
from pathlib import Path

from freehold.cli import output
from freehold.cli.detected import show_detected
from freehold.cli.first_start import first_start
from freehold.cli.hub import hub_in
from freehold.cli.options import ConfigFile, Json
from freehold.cli.snippets import snippets
from freehold.config.load import LoadedConfig, data_folder, find_file, load
from freehold.domain.errors.config import ConfigMissing
from freehold.policy.text import parse_label


def up(
    *,
    config: ConfigFile = "",
    host: str = "",
    port: int | None = None,
    model: str = "",
    yes: bool = False,
    insecure_bind: bool = False,
    detect: bool = False,
    as_json: Json = False,
) -> int:
    """Start the server. The first start says what this machine is and what fits, and asks one question.

    Args:
        host: Address to listen on, instead of the configuration's.
        port: Port to listen on, instead of the configuration's.
        model: Model of the first start, instead of the best that fits.
        yes: Do not ask at the first start.
        insecure_bind: Allow an address that is not loopback without TLS, for something in front that does TLS.
        detect: Only show the model servers that run on this machine, and what would add them.
    """
    if detect:
        return show_detected(as_json=as_json)
    # Loads the server's libraries, which only this command needs.
    from freehold.app.server import Announcement, check_bind, serve

    folder = data_folder()
    flags: dict[str, object] = {}
    if host:
        flags["server.host"] = host
    if port is not None:
        flags["server.port"] = port
    path = _config_path(config)
    # What cannot be started is refused before anything is fetched.
    loaded = load(path, flags=flags, check_label=parse_label)
    check_bind(loaded.config.server, insecure_bind=insecure_bind)
    if path is None:
        path = first_start(folder, model=model, yes=yes, as_json=as_json, hub=hub_in(loaded.config))
        if path is None:
            return output.FAILED
        loaded = load(path, flags=flags, check_label=parse_label)
    elif model:
        raise output.UsageError(f"--model is for the first start; {path} says which models run.")

    def announce(announcement: Announcement) -> None:
        _announce(announcement.url, announcement.key_path, announcement.is_new_key, loaded, as_json=as_json)
        if not as_json and announcement.key_path is not None:
            # Other commands look where the configuration says, and know of no flag of this one.
            elsewhere = f" --url {announcement.url}" if flags or config else ""
            output.say(f'\nOr: freehold ask{elsewhere} "What is the capital of France?"')

    return serve(loaded, data_folder=folder, announce=announce, insecure_bind=insecure_bind)


def _config_path(config: str) -> Path | None:
    """The configuration, or ``None`` where this is the first start.

    Raises:
        ConfigMissing: One was asked for and is not there.
    """
    try:
        return find_file(config or None)
    except ConfigMissing:
        if config or os.environ.get("FREEHOLD_CONFIG"):
            raise
        return None


def _announce(url: str, key_path: Path | None, is_new_key: bool, loaded: LoadedConfig, *, as_json: bool) -> None:  # noqa: FBT001 - passed on as it comes
    if as_json:
        output.print_json(
            {"url": url, "key_path": None if key_path is None else str(key_path), "is_new_key": is_new_key},
            one_line=True,
        )
        return
    output.say(f"Freehold listens at {url} (stop it with Ctrl-C).")
    if key_path is None:
        output.say('Use a key of "freehold keys list", or make one: freehold keys new NAME')
        return
    made = ", made now" if is_new_key else ""
    output.say(f"API key: in {key_path} (readable by you alone{made}).")
    output.say()
    output.say(snippets(url=url, key_path=str(key_path), certificate=loaded.config.server.tls_certificate))
