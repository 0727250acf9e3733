"""``freehold queue``."""

from __future__ import annotations

from typing import Any

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, get

_PRIORITIES = ("normal", "low", "batch")


def queue(*, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Show what runs and waits at each deployment, who is next, and how long each may still expect to wait.

    The key needs the scope manage, which shows its own tenant's requests, or admin, which shows those of all. With
    several workers the requests listed are those of the worker that answers; the numbers above them are of all.
    """
    found: list[dict[str, Any]] = get(find_server(url=url, key_file=key_file), "/v1/admin/queue")["data"]
    if as_json:
        output.print_json(found)
        return output.OK
    rows = [
        (
            str(each["deployment"]),
            f"{each['running']} of {each['slots']}",
            str(each["waiting"]),
            ", ".join(f"{each['waiting_by_priority'][word]} {word}" for word in _PRIORITIES),
            "-" if each["hold_s"] is None else f"{each['hold_s']:.1f} s",
        )
        for each in found
    ]
    output.say(output.table(rows, head=("deployment", "running", "waiting", "of them", "a request takes")))
    waiting = [(str(each["deployment"]), one) for each in found for one in each["requests"]]
    if waiting:
        output.say()
        rows = [
            (
                name,
                str(one["position"]),
                str(one["tenant"]),
                str(one["priority"]),
                f"{one['waited_s']:.1f} s",
                f"{one['expected_s']:.1f} s",
            )
            for name, one in waiting
        ]
        output.say(output.table(rows, head=("deployment", "place", "tenant", "priority", "waited", "expected")))
    return output.OK
