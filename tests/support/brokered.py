"""A gateway whose way out is a broker's process: both as processes, in front of scripted servers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from freehold.audit.destinations import egress_records
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer
from tests.support.server import ROOT, STOP_S, Gateway, environment, running
from tests.support.site import CONFIG, Site, SteadyServer, closed_port
from tests.support.upstream import in_thread

KEY = "sk-only-the-broker-has-it"
NEAR = """
[deployments.near]
engine = "openai"
model = "scripted-near"
zone = "device"
base_url = "{near}"
[routes.home]
deployments = ["near"]
[routes.ladder]
deployments = ["near", "large"]
uncalibrated = "escalate"
"""


class Broker:
    """A broker's process, which may be stopped, killed and started again."""

    def __init__(self, config: str, folder: Path, place: str, variables: Mapping[str, str]) -> None:
        self.place = place
        self.folder = folder
        self.data = folder / "data"
        self.config_path = folder / "freehold.toml"
        self.log_path = folder / "log"
        self.announced: dict[str, Any] = {}
        self._variables = dict(variables)
        folder.mkdir(exist_ok=True)
        self.config_path.write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def audit_folder(self) -> Path:
        return self.data / "audit"

    def start(self) -> None:
        command = [sys.executable, "-m", "freehold", "broker", "--config", str(self.config_path), "--json"]
        variables = environment() | self._variables | {"FREEHOLD_HOME": str(self.data)}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.announced = _told(self._process, self.log_path)

    def stop(self) -> None:
        """In good order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == 0, self.log
        self._forget()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOP_S)
        self._forget()

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def _forget(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._process = None

    def records(self) -> list[dict[str, Any]]:
        """What its log says of egress, in order."""
        return records_of(self.audit_folder)

    def status(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "freehold", "broker", "--status", "--config", str(self.config_path), "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment() | self._variables, capture_output=True, timeout=8 * STOP_S, check=False
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return json.loads(done.stdout)


@dataclass
class BrokeredSite(Site):
    """The gateway, its broker, the servers behind that, and one on this device."""

    broker: Broker
    near: OpenAIServer


def records_of(folder: Path) -> list[dict[str, Any]]:
    """What a log says of egress, in order: event, request and detail in one."""
    return [
        {"index": index, "event": record.event, "request": record.request_id, **record.detail}
        for index, record in egress_records(folder)
    ]


def _same(config: str) -> str:
    return config


@contextmanager
def brokered_site(
    folder: Path,
    *,
    at_broker: Callable[[str], str] = _same,
    variables: Mapping[str, str] = MappingProxyType({}),
    prefix: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> Generator[BrokeredSite]:
    """Run all of it.

    Args:
        folder: A folder of the test's.
        at_broker: Makes the broker's own configuration from the server's.
        variables: Of the broker's environment; its credential is one that the server does not get.
        prefix: A command to run the gateway under.
        pass_fds: Descriptors that the gateway inherits.
    """
    with ExitStack() as things:
        home = things.enter_context(tempfile.TemporaryDirectory(prefix="fhb-"))
        place = f"unix://{home}/broker.sock"
        first = things.enter_context(in_thread(OpenAIServer()))
        second = things.enter_context(in_thread(SteadyServer()))
        claude = things.enter_context(in_thread(AnthropicServer()))
        near = things.enter_context(in_thread(SteadyServer()))
        config = CONFIG.format(
            server="", small=first.base_url, large=second.base_url, claude=claude.base_url, closed_port=closed_port()
        )
        key = 'api_key = "env:KEY_OF_THE_BROKER"\n'
        config = config.replace(
            'engine = "openai"\nmodel = "scripted-small"\n', f'engine = "openai"\nmodel = "scripted-small"\n{key}'
        )
        config += NEAR.format(near=near.base_url) + f'\n[egress]\nbroker = "{place}"\n'
        broker = Broker(at_broker(config), folder / "broker", place, {"KEY_OF_THE_BROKER": KEY, **variables})
        things.callback(broker.close)
        broker.start()
        gateway: Gateway = things.enter_context(running(config, folder, prefix=prefix, pass_fds=pass_fds))
        yield BrokeredSite(gateway, first, second, claude, broker, near)


def _told(process: subprocess.Popen[bytes], log_path: Path) -> dict[str, Any]:
    stdout = process.stdout
    assert stdout is not None
    line = stdout.readline()
    assert line, log_path.read_text(encoding="utf-8")
    told = json.loads(line)
    assert "broker" in told, told
    return told
