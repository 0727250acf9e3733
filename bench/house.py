"""What the runs share: the load rig, Freehold in front of its mock, what /proc says, and where results are written."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.bars import with_section

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
CORE_IO, CORE_GATEWAY = "0", "1"
MOCK_PORT = 9100
MOCK_PORTS = range(9100, 9104)
MODEL = "mock-model"
START_S = 60.0
STOP_S = 40.0
_LOOK_EVERY_S = 0.3
_IDLE_SHARE = 0.05

CONFIG = """[server]
port = {port}
log_level = "warning"

[deployments.mock]
engine = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
model = "mock-model"
zone = "device"
slots = 256
context_tokens = 131072

[routes.mock-model]
deployments = ["mock"]
signals = false
stream = "commit"
"""
"""Nothing is switched off but measuring, which the mock could not answer: key, label, policy, route, ledger, audit log,
receipts and metrics work as in service."""


def end_in_order() -> None:
    """Let SIGTERM unwind this program, so that what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def rig_folder() -> Path:
    """The folder of the load rig, from FREEHOLD_BENCH_RIG or beside this checkout."""
    folder = Path(os.environ.get("FREEHOLD_BENCH_RIG") or ROOT.parent / "shared" / "bench").resolve()
    if not (folder / "run.py").exists():
        raise SystemExit(
            f"There is no load rig (run.py, mock.c, load.c) in {folder}. Set FREEHOLD_BENCH_RIG to its folder."
        )
    return folder


def build_folder() -> Path:
    """Where the rig is built and keeps its logs, from FREEHOLD_BENCH_BUILD or in the user's cache."""
    if named := os.environ.get("FREEHOLD_BENCH_BUILD"):
        return Path(named).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "freehold-bench"


def built_rig() -> tuple[Path, Path]:
    """The rig's folder and the folder with its programs, which are compiled where they are missing or old."""
    rig, build = rig_folder(), build_folder()
    build.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["make", "-C", str(rig), f"OUT={build}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The load rig could not be built (it needs make and gcc):\n{done.stderr[-2000:]}")
    for name in ("bodies", "logs", "cwd", "nginx"):
        (build / name).mkdir(exist_ok=True)
    return rig, build


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_free(ports: Iterable[int]) -> None:
    """End with a clear message where one of the rig's ports is taken."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise SystemExit(f"Port {port} is taken; the load rig needs it. Does another run go on?") from None


@dataclass(frozen=True)
class Setup:
    """A folder with a configuration, the data and the first key.

    Attributes:
        command: What starts it.
        environment: What it needs to be set.
    """

    folder: Path
    port: int
    command: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def key(self) -> str:
        return (self.data / "first-key").read_text().strip()

    @property
    def header(self) -> str:
        return f"Authorization: Bearer {self.key}"

    def shell_line(self) -> str:
        """The command with its environment, as one line for a shell."""
        named = [f"{name}={value}" for name, value in self.environment.items()]
        return shlex.join(["env", *named, *self.command])


def set_up(folder: Path, *, more: str = "", upstream: int = MOCK_PORT, environment: Mapping[str, str] = {}) -> Setup:
    """Write a configuration, with ``more`` at its end."""
    port = free_port()
    config = folder / "freehold.toml"
    config.write_text(CONFIG.format(port=port, upstream=upstream) + more)
    command = (sys.executable, "-m", "freehold", "up", "--yes", "--config", str(config))
    own = {"PYTHONPATH": str(ROOT / "src"), "FREEHOLD_HOME": str(folder / "home")}
    return Setup(folder, port, command, own | dict(environment))


@contextlib.contextmanager
def running(setup: Setup, *, core: str | None = CORE_GATEWAY) -> Generator[subprocess.Popen[bytes]]:
    """Freehold, ready; it must end in good order."""
    pinned = ["taskset", "-c", core] if core else []
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")} | dict(setup.environment)
    with setup.log.open("ab") as log:
        process = subprocess.Popen(
            [*pinned, *setup.command], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_ready(setup, process)
        yield process
        process.send_signal(signal.SIGTERM)
        if process.wait(STOP_S):
            raise SystemExit(f"Freehold ended with {process.returncode}: {setup.log.read_text()[-2000:]}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_ready(setup: Setup, process: subprocess.Popen[bytes]) -> None:
    url, until_s = f"http://127.0.0.1:{setup.port}/readyz", time.monotonic() + START_S
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as reply:
            if reply.status == 200 and (setup.data / "first-key").exists():
                return
        time.sleep(0.05)
    raise SystemExit(f"Freehold did not become ready: {setup.log.read_text()[-2000:]}")


@contextlib.contextmanager
def mock(build: Path, *profiles: str) -> Generator[subprocess.Popen[bytes]]:
    """The rig's upstream; a profile is PORT:FIRST_US:INTER_US:CHUNKS, chosen by ``@@P<n>`` in a prompt."""
    require_free([MOCK_PORT])
    listening = [word for profile in profiles for word in ("-l", profile)]
    with subprocess.Popen(["taskset", "-c", CORE_IO, str(build / "mock"), *listening]) as process:
        try:
            time.sleep(0.3)
            if process.poll() is not None:
                raise SystemExit("The mock did not start.")
            yield process
        finally:
            process.terminate()


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    pids = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                pids += tree(int(child))
    return pids


def busy_s(pids: list[int]) -> float:
    """Processor time that these processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def until_idle(pids: list[int], *, within_s: float) -> bool:
    """Wait until these processes do nothing any more, so that what they still had to write is written."""
    until_s, before_s = time.monotonic() + within_s, busy_s(pids)
    while time.monotonic() < until_s:
        time.sleep(_LOOK_EVERY_S)
        now_s = busy_s(pids)
        if now_s - before_s <= _IDLE_SHARE * _LOOK_EVERY_S:
            return True
        before_s = now_s
    return False


def resident_kib(pids: list[int]) -> int:
    """Memory of these processes.

    Not the proportional set size, which divides a page by all processes that map it: by megabytes it falls when any other
    Python starts on the machine, and rises when one ends.
    """
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(re.findall(r"^Rss:\s+(\d+)", text, re.MULTILINE)[0]) for text in texts)


def open_files(pids: list[int]) -> list[str]:
    """What the descriptors of these processes lead to."""
    found: list[str] = []
    for pid in pids:
        folder = Path(f"/proc/{pid}/fd")
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.append(os.readlink(folder / name))
    return found


def connections_to(port: int) -> int:
    """TCP connections of this machine to a port on loopback that are open at the connecting end."""
    established_or_half_closed = {"01", "08"}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(1 for each in fields if each[2].endswith(f":{port:04X}") and each[3] in established_or_half_closed)


def machine() -> str:
    """This machine in words, for a result."""
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    cores = os.cpu_count()
    name = names[0] if names else platform.machine()
    return f"{time.strftime('%Y-%m-%d')}, {cores} cores of {name}, CPython {platform.python_version()}"


def write_section(heading: str, body: str) -> None:
    """Put a result into docs/benchmarks.md, in the place of the last one."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n"
    PAGE.write_text(with_section(text, heading, body), encoding="utf-8")
