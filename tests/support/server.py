"""Starts the real gateway as a process on a free port with a folder of its own, and stops it in good order."""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from freehold.app.snapshot import tenants_of
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.keys import KeyRing
from freehold.policy.lattice import bottom
from freehold.policy.text import parse_label
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from tests.support.warm import HAS_COPIES, Copy, warm_gateway

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
START_S = 30.0
STOP_S = 15.0
READY_S = 120.0
_PAUSE_S, _PAUSE_S_MAX = 0.01, 0.05


@functools.cache
def _trust() -> ssl.SSLContext:
    """What clients of a gateway trust, read once: a client of its own mind reads all authorities, 30 ms of CPU each."""
    return ssl.create_default_context()


def eventually(look: Callable[[], T | None], *, within_s: float = 5.0, what: str = "the condition") -> T:
    """The first truthy value of ``look``, which another process makes true.

    What has taken long is looked at less often: a request a look, 100 times a second, is a quarter of a core, which that
    process may need.
    """
    begun_s = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        waited_s = time.monotonic() - begun_s
        assert waited_s < within_s, f"{what} did not come true within {within_s} s"
        select.select([], [], [], min(max(_PAUSE_S, waited_s / 10), _PAUSE_S_MAX))


@dataclass
class Gateway:
    """A gateway that runs."""

    base_url: str
    key: str
    data: Path
    config: Path
    log_path: Path
    process: subprocess.Popen[bytes] | Copy
    clients: list[OpenAI] = field(default_factory=list[OpenAI])
    is_killed: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def audit_folder(self) -> Path:
        return self.data / "audit"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.base_url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def openai(self, key: str | None = None) -> OpenAI:
        """The official client; it never tries again, so that a test sees every answer."""
        client = OpenAI(
            api_key=key or self.key,
            base_url=f"{self.base_url}/v1",
            max_retries=0,
            timeout=60,
            http_client=DefaultHttpxClient(verify=_trust()),
        )
        self.clients.append(client)
        return client

    def close_clients(self) -> None:
        """End the connections of the clients that it gave."""
        while self.clients:
            self.clients.pop().close()

    def async_openai(self) -> AsyncOpenAI:
        """The official asynchronous client, for ``async with``."""
        return AsyncOpenAI(
            api_key=self.key,
            base_url=f"{self.base_url}/v1",
            max_retries=0,
            timeout=60,
            http_client=DefaultAsyncHttpxClient(verify=_trust()),
        )

    def http(self, key: str | None = None) -> httpx2.Client:
        """A plain client, for ``with``; an empty key sends none."""
        secret = self.key if key is None else key
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        return httpx2.Client(base_url=self.base_url, headers=headers, timeout=60, verify=_trust())

    def get(self, path: str, *, key: str | None = None) -> Any:
        """JSON of a route that must answer 200."""
        with self.http(key) as client:
            reply = client.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def receipt(self, receipt_id: str) -> dict[str, Any]:
        """A receipt, as soon as it is there: of a cancelled request nobody waited for it."""
        with self.http() as client:

            def look() -> dict[str, Any] | None:
                reply = client.get(f"/v1/receipts/{receipt_id}")
                return reply.json() if reply.status_code == 200 else None

            return eventually(look, what=f"receipt {receipt_id}")

    def newest_receipt(self) -> dict[str, Any]:
        """The newest one of the first key's tenant."""
        return self.get("/v1/receipts?limit=1")["data"][0]

    @contextmanager
    def key_ring(self) -> Generator[KeyRing]:
        """The keys, as another process on this machine sees and changes them."""
        compiled = compile_config(load(self.config), environment=os.environ)
        database = Database.open(self.data / "freehold.db")
        clock = SystemClock()
        try:
            yield KeyRing(
                SqliteKeys(database),
                tenants_of(compiled),
                parse_label=lambda text: parse_label(text, compiled.tree),
                bottom=bottom(compiled.tree),
                clock=clock,
                ids=SystemIds(clock),
            )
        finally:
            database.close()

    def new_key(self, *, tenant: str, scopes: Sequence[str] = ("infer",), label: str = "") -> tuple[str, str]:
        """Make a key in another process's way, and wait until the server knows it: the secret and its id."""
        with self.key_ring() as ring:
            secret, record = ring.new(name="test", tenant=tenant, scopes=scopes, label=label)

        def known() -> bool:
            with self.http(secret) as client:
                return client.get("/v1/models").status_code != 401

        eventually(known, what="the new key")
        return secret, record.id

    def ready(self) -> bool:
        with self.http("") as client:
            return client.get("/readyz").status_code == 200

    def kill(self) -> None:
        """End it in the middle of what it does, as a power switch would, but for what the kernel has."""
        self.is_killed = True
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_S)

    def stop(self) -> None:
        """Tell it to stop, unless a test did; it must end in good order."""
        if self.is_killed:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == 0, self.log

    def resident_bytes(self) -> int:
        """Memory of the gateway's own process that is in RAM now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """Most memory that it ever had."""
        line = next(x for x in Path(f"/proc/{self.pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


@contextmanager
def running(
    config: str,
    folder: Path,
    *,
    prefix: Sequence[str] = (),
    python: str = sys.executable,
    wait_ready: bool = True,
    pass_fds: Sequence[int] = (),
) -> Generator[Gateway]:
    """Run the gateway with the text of a freehold.toml; it must end with exit code 0 on SIGTERM.

    Args:
        config: The configuration; it should say ``port = 0``.
        folder: A folder of the test's; one that a gateway ran in before has its data.
        prefix: A command to run the gateway under, for example ``unshare``.
        python: The interpreter that it runs on, with this one's packages.
        wait_ready: Whether to wait until ``/readyz`` says yes.
        pass_fds: Descriptors that it inherits.
    """
    config_path, data, log_path = folder / "freehold.toml", folder / "data", folder / "log"
    config_path.write_text(config, encoding="utf-8")
    with log_path.open("ab") as log:
        process: subprocess.Popen[bytes] | Copy
        if prefix or pass_fds or python != sys.executable or not HAS_COPIES:
            command = [*prefix, python, "-m", "tests.support.gateway_process", str(config_path), str(data)]
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        else:
            process = warm_gateway(str(config_path), str(data), root=ROOT, environment=environment(), log=log.fileno())
    try:
        told = _first_line(process, log_path)
        key = Path(told["key_path"]).read_text(encoding="ascii").strip()
        gateway = Gateway(told["url"], key, data, config_path, log_path, process)
        if wait_ready:
            eventually(gateway.ready, within_s=READY_S, what=f"readiness; log: {gateway.log}")
        yield gateway
        gateway.close_clients()
        gateway.stop()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def refused_start(config: str, folder: Path) -> dict[str, str]:
    """What a gateway says that must not start: its code and message."""
    config_path, data = folder / "freehold.toml", folder / "data"
    config_path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.gateway_process", str(config_path), str(data)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, timeout=START_S, check=False)
    assert done.returncode == 2, done.stderr.decode()
    return json.loads(done.stdout)


def environment() -> dict[str, str]:
    """Ours without any setting of Freehold's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    return kept | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONWARNINGS": "error::ResourceWarning"}


def _first_line(process: subprocess.Popen[bytes] | Copy, log_path: Path) -> dict[str, str]:
    stdout = process.stdout
    assert stdout is not None
    ready, _, _ = select.select([stdout], [], [], START_S)
    line = stdout.readline() if ready else b""
    assert line, f"the gateway did not start: {log_path.read_text(encoding='utf-8')}"
    told = json.loads(line)
    assert "url" in told, told
    return told
