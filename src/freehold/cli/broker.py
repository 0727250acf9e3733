"""``freehold broker``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.configured import loaded_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder

if TYPE_CHECKING:
    from freehold.app.broker import BrokerAnnouncement
    from freehold.net.brokered.frames import State


def broker(*, status: bool = False, config: ConfigFile = "", as_json: Json = False) -> int:
    """Run the egress broker: the one process that connects beyond this device, for a server that has no network.

    It listens on [egress] broker, reads its own copy of the configuration, and keeps a log of its own in FREEHOLD_HOME,
    which is not the server's.

    Args:
        status: Only show how the running broker stands and what it sent.
    """
    # Loads the server's libraries, which only few commands need.
    from freehold.app.broker import broker_state, serve_broker

    loaded = loaded_or_default(config)
    if status:
        place = loaded.config.egress.broker
        if not place:
            raise output.UsageError("[egress] broker names no socket, so that there is no broker to ask.")
        _show(asyncio.run(broker_state(place)), as_json=as_json)
        return output.OK

    def announce(announcement: BrokerAnnouncement) -> None:
        _announce(announcement, as_json=as_json)

    return serve_broker(loaded, data_folder=data_folder(), announce=announce)


def _announce(announcement: BrokerAnnouncement, *, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "broker": announcement.place,
                "log": announcement.log,
                "vkey": announcement.vkey,
                "destinations": list(announcement.destinations),
            },
            one_line=True,
        )
        return
    output.say(f"The egress broker listens at {announcement.place} (stop it with Ctrl-C).")
    output.say(f"It may connect to: {', '.join(announcement.destinations) or 'nothing'}.")
    output.say(f"Its log is {announcement.log}, with the public key {announcement.vkey}")


def state_json(state: State) -> dict[str, object]:
    """A broker's state for programs."""
    return {
        "healthy": state.healthy,
        "log": state.log,
        "entries": state.entries,
        "config": state.config,
        "since_unix_ms": state.since_unix_ms,
        "running": state.running,
        "destinations": [
            {
                "name": each.name,
                "origin": each.origin,
                "zone": each.zone,
                "calls": each.calls,
                "body_bytes": each.body_bytes,
                "answer_bytes": each.answer_bytes,
                "outcomes": each.outcomes,
            }
            for each in state.destinations
        ],
        "refused": state.refused,
    }


def state_lines(state: State) -> list[str]:
    """What it sent, one line a destination, and what it refused."""
    lines = [
        f"{each.calls:,} to {each.name} at {each.origin} (zone {each.zone}), {each.body_bytes:,} bytes out, "
        f"{each.answer_bytes:,} back" + "".join(f", {count:,} {word}" for word, count in sorted(each.outcomes.items()))
        for each in state.destinations
    ]
    lines += [f"{count:,} refused by {code}" for code, count in sorted(state.refused.items())]
    return lines


def _show(state: State, *, as_json: bool) -> None:
    if as_json:
        output.print_json(state_json(state))
        return
    health = "its log can be written" if state.healthy else "ITS LOG CANNOT BE WRITTEN: nothing leaves"
    output.say(
        f"The egress broker answers: {health}; {state.entries:,} entries in {state.log}, {state.running} running."
    )
    output.say("\n".join(state_lines(state)) or "It may connect to nothing.")
