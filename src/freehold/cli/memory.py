"""``freehold ps``, ``freehold load`` and ``freehold unload``."""

from __future__ import annotations

from typing import Any

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, get, post
from freehold.planner.wording import size

_PATH = "/v1/admin/memory"
_LOAD_TIMEOUT_S = 610.0


def ps(*, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Show which models are in memory, what each holds, and which one would leave next and why.

    The key needs the scope admin: what is in use is the work of all tenants.
    """
    return _show(get(find_server(url=url, key_file=key_file), _PATH), as_json=as_json)


def load(name: str, /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Load the model of a deployment now; others make way for it as they would for a request.

    Args:
        name: A deployment.
    """
    path = f"{_PATH}/{name}/load"
    found = post(find_server(url=url, key_file=key_file), path, timeout_s=_LOAD_TIMEOUT_S)
    return _show(found, as_json=as_json)


def unload(name: str, /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Unload the model of a deployment, pinned or not, unless it answers somebody. The next request loads it again.

    Args:
        name: A deployment.
    """
    path = f"{_PATH}/{name}/unload"
    return _show(post(find_server(url=url, key_file=key_file), path), as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        output.print_json(found)
        return output.OK
    rows = [
        (
            str(each["device"]),
            size(each["bytes_max"]),
            _size(each["reserved_bytes"]),
            _size(max(0, each["bytes_max"] - each["reserved_bytes"])),
        )
        for each in found["devices"]
    ]
    output.say(output.table(rows, head=("device", "for models", "set aside", "left")))
    output.say()
    if not found["models"]:
        output.say("No model is loaded by this server.")
        return output.OK
    models = sorted(found["models"], key=lambda each: (each["leaves"] is None, each["leaves"] or 0))
    head = ("leaves", "deployments", "state", "set aside", "measured", "in use", "waiting", "idle", "loads in")
    output.say(output.table([_row(each) for each in models], head=head))
    reasons = [(each["deployments"][0], each["why"]) for each in models if each["why"]]
    if reasons:
        output.say()
        for name, why in reasons:
            output.say(f"{name}: {why}")
    return output.OK


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    reserved = model["reserved_bytes"]
    idle_s, load_s, measured = model["idle_s"], model["load_s"], model["measured_bytes"]
    return (
        "pinned" if model["pinned"] else "-" if model["leaves"] is None else str(model["leaves"]),
        ", ".join(model["deployments"]),
        str(model["state"]),
        " + ".join(f"{size(held)} {device}" for device, held in sorted(reserved.items()) if held) or "-",
        _size(measured or 0),
        str(model["in_use"]),
        str(model["waiting"]),
        "-" if idle_s is None else _duration(idle_s),
        "-" if load_s is None else f"{load_s:.1f} s",
    )


def _size(size_bytes: int) -> str:
    return size(size_bytes) if size_bytes else "-"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
