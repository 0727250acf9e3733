"""``freehold doctor`` where a broker's process connects: whether it answers; and, with ``--egress``, what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli.broker import state_json, state_lines
from freehold.cli.checks import Check, bad, good, remark
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import DataFolderLocked
from freehold.net.origin import Origin
from freehold.net.ways_out import try_far_ways
from freehold.storage.folder import DataFolder

if TYPE_CHECKING:
    from freehold.config.compile import Compiled
    from freehold.net.brokered.frames import State

_PROC = Path("/proc")
_LOOPBACK = "lo"
_BROKER = "egress broker"
_CLOSE_IT = (
    "give it none: deploy/systemd/freehold.service.d/brokered.conf (docs/how-to/broker.md). Where packets of its unit are"
    " filtered instead, only a process of that unit can show it"
)


def check_brokered(compiled: Compiled, folder: Path, more: dict[str, object]) -> Iterator[Check]:
    """What holds a server whose way out is another process.

    Args:
        compiled: The server's configuration.
        folder: Its data folder.
        more: Gets what a program reads beside the checks.
    """
    yield check_network(folder)
    state = _asked(compiled)
    if isinstance(state, Check):
        yield state
        return
    more["broker"] = state_json(state)
    yield from check_state(compiled, state)


def check_answers(compiled: Compiled) -> list[Check]:
    """Whether the configured broker answers at its socket and knows what would be sent; nothing where none is configured."""
    if not compiled.broker:
        return []
    state = _asked(compiled)
    found = [state] if isinstance(state, Check) else check_state(compiled, state)
    return [each for each in found if each.name == _BROKER]


def _asked(compiled: Compiled) -> State | Check:
    """What the broker says, or that it says nothing."""
    from freehold.app.broker import broker_state  # lazy: loads the server's libraries

    try:
        return asyncio.run(broker_state(compiled.broker))
    except FreeholdError as error:
        return bad(_BROKER, f"{error.code}: {error.message}")


def check_network(folder: Path, *, proc: Path = _PROC) -> Check:
    """Whether the running server has a network: its process is looked at, not its configuration.

    Args:
        folder: Its data folder, whose lock says which process it is.
        proc: Where the kernel tells of processes.
    """
    pid = _server(folder)
    if not pid:
        return remark("server", "it does not run; of one that runs the kernel says what it can reach")
    try:
        reaches = interfaces(proc / pid) - {_LOOPBACK}
    except OSError as error:
        return bad("server", f"what process {pid} can reach cannot be seen ({error.strerror}); run this as its user")
    if not reaches:
        return good("server", f"process {pid} is in a network of its own that has loopback only: it connects to nobody")
    if _shares_all(proc, pid):
        tried = try_far_ways()
        if all(each.refused for each in tried):
            answers = ", ".join(dict.fromkeys(each.answer for each in tried))
            return good("server", f"the kernel refuses each way out to process {pid}, as to this one: {answers}")
    return bad(
        "server", f"process {pid} has a network ({', '.join(sorted(reaches))}), which it does not need; {_CLOSE_IT}"
    )


def check_state(compiled: Compiled, state: State) -> Iterator[Check]:
    """What the broker says of itself, held against what the server would send."""
    if state.healthy:
        yield good(_BROKER, f"answers, and records what leaves in {state.log} ({state.entries:,} entries)")
    else:
        yield bad(_BROKER, "its log cannot be written, so that nothing leaves; free its disk")
    known = {(each.name, each.origin) for each in state.destinations}
    for plan in compiled.deployments:
        name, url = plan.deployment.name, plan.settings.base_url
        if not plan.deployment.is_on_device and (name, Origin.parse(url).text) not in known:
            yield bad(_BROKER, f"it does not know {name} at this address, and refuses what goes there")

    sent = [line for line in state_lines(state) if not line.startswith("0 ")]
    for line in sent:
        yield good("broker sent", line)
    yield remark("broker sent", "counted by the broker since it began" if sent else "nothing since it began")


def interfaces(process: Path) -> set[str]:
    """Network interfaces that a process sees.

    Raises:
        OSError: There is no such process, or it is somebody else's.
    """
    lines = (process / "net" / "dev").read_text(encoding="ascii", errors="replace").splitlines()
    return {line.partition(":")[0].strip() for line in lines if ":" in line}


def _server(folder: Path) -> str:
    """The process that has the data folder; empty for none."""
    if not folder.is_dir():
        return ""
    try:
        DataFolder.open(folder).close()
    except DataFolderLocked as error:
        pid = str(error.values["pid"])
        return pid if pid.isdecimal() else ""
    return ""


def _shares_all(proc: Path, pid: str) -> bool:
    """Whether what holds for this process holds for that one: one network, and one control group, which filters go by."""
    try:
        one_network = (proc / pid / "ns" / "net").readlink() == (proc / "self" / "ns" / "net").readlink()
        groups = [(proc / each / "cgroup").read_text(encoding="ascii", errors="replace") for each in (pid, "self")]
    except OSError:
        return False
    return one_network and groups[0] == groups[1]
