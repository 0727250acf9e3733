"""Several workers on one port: bounds hold over all of them, whatever dies is replaced, and nothing recorded is lost."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.audit.proofs import verify_receipt_proof
from freehold.audit.shards import further_shards
from freehold.audit.verify import VerifyReport, verify_shards
from tests.integration.test_drain import Client, GatedServer
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.ports import free_port
from tests.support.processes import children_of
from tests.support.server import Gateway, eventually, refused_start, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = {drain_s}
workers = {workers}

[deployments.one]
engine = "openai"
model = "{model}"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
slots = {slots}
queue_max = {queue_max}

[routes.plain]
deployments = ["one"]
signals = false
"""


def config(server: OpenAIServer, **changes: object) -> str:
    values = {"drain_s": 20, "workers": 2, "model": "first", "slots": 64, "queue_max": 64} | changes
    return CONFIG.format(base_url=server.base_url, **values)


class CountedServer(OpenAIServer):
    """Holds each call until it is let go, and counts how many it holds at once."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Exchange] = []
        self.peak = 0
        self.permits = asyncio.Semaphore(0)

    def let_go_of(self, calls: int) -> None:
        def release() -> None:
            for _ in range(calls):
                self.permits.release()

        self._loop.call_soon_threadsafe(release)

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        self.held.append(exchange)
        self.peak = max(self.peak, len(self.held))
        try:
            await self.permits.acquire()
            await super()._complete(exchange, mode)
        finally:
            self.held.remove(exchange)


def workers_of(gateway: Gateway) -> list[int]:
    """Process ids of its workers."""
    return children_of(gateway.pid, b"freehold.app.worker")


def owner(workers: list[int], port: int) -> int:
    """The worker whose connection has this local port."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in table if line[1].endswith(f":{port:04X}")}
    for pid in workers:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since the folder was read
                if str(each.readlink()) in inodes:
                    return pid
    raise AssertionError(f"no worker has the port {port}")


def ask(gateway: Gateway) -> str:
    """One question on a connection of its own; the id of its receipt."""
    with gateway.http() as client:
        reply = client.post(
            "/v1/chat/completions", json={"model": "plain", "messages": [{"role": "user", "content": "Hi"}]}
        )
    assert reply.status_code == 200, reply.text
    return reply.headers["freehold-receipt"]


def verified(gateway: Gateway) -> list[VerifyReport]:
    return verify_shards(gateway.audit_folder)


def test_all_workers_serve_one_port_and_know_each_others_receipts(tmp_path: Path) -> None:
    with in_thread(OpenAIServer()) as server:
        with running(config(server), tmp_path) as gateway:
            assert len(workers_of(gateway)) == 2
            asked: list[str] = []
            logs: Counter[str] = Counter()
            while len(logs) < 2:
                asked.append(ask(gateway))
                # At once, and on another connection: any worker may be asked.
                logs[gateway.get(f"/v1/receipts/{asked[-1]}")["audit_log"]] += 1
                assert len(asked) < 60, logs
                assert {row["id"] for row in gateway.get("/v1/receipts?limit=100")["data"]} == set(asked)
            assert set(logs) == {"freehold.local/audit", "freehold.local/audit/1"}
            keys = {
                folder.name: (folder / "log.vkey").read_text()
                for folder in (gateway.audit_folder, *further_shards(gateway.audit_folder).values())
            }
            for receipt_id in asked:

                def proved(receipt_id: str = receipt_id) -> dict[str, object] | None:
                    return gateway.get(f"/v1/receipts/{receipt_id}")["proof"]

                proof = eventually(proved, what="a proof")
                name = "audit-1" if gateway.get(f"/v1/receipts/{receipt_id}")["audit_log"].endswith("/1") else "audit"
                assert verify_receipt_proof(proof, vkey=keys[name]).request_id == receipt_id
            secret, key_id = gateway.new_key(tenant="default")
            with gateway.key_ring() as ring:
                ring.revoke(key_id)

            def is_revoked_in_all() -> bool:
                with gateway.http(secret) as client:
                    statuses = {
                        client.get("/v1/models", headers={"connection": "close"}).status_code for _ in range(20)
                    }
                return statuses == {401}

            eventually(is_revoked_in_all, what="the end of the key in both workers")
            page = eventually(lambda: _page_of_both(gateway), what="metrics of both workers")
            served = [line for line in page.splitlines() if line.startswith("freehold_requests_total{")]
            assert sum(float(line.rsplit(" ", 1)[1]) for line in served) >= len(asked) - 1
        assert "Traceback" not in gateway.log
        before = verified(gateway)
        assert [each.origin for each in before] == ["freehold.local/audit", "freehold.local/audit/1"]
        assert not any(each.orphans or each.pending for each in before)
        # Fewer workers than before: what the others left is there all the same.
        with running(config(server, workers=1), tmp_path) as gateway:
            assert {row["id"] for row in gateway.get("/v1/receipts?limit=100")["data"]} == set(asked)
            found = [gateway.get(f"/v1/receipts/{each}") for each in asked]
            assert all(each["proof"]["checkpoint"].startswith(f"{each['audit_log']}\n") for each in found)
            assert not (gateway.data / "receipts-1").exists()


def _page_of_both(gateway: Gateway) -> str | None:
    with gateway.http() as client:
        page = client.get("/metrics").text
    return page if all(f'freehold_requests_total{{worker="{each}"' in page for each in (0, 1)) else None


def test_slots_and_queue_hold_over_all_workers_and_a_killed_one_gives_them_back(tmp_path: Path) -> None:
    clients, slots, queue_max = 20, 3, 14
    with ExitStack() as stack:
        server = stack.enter_context(in_thread(CountedServer()))
        text = config(server, workers=4, slots=slots, queue_max=queue_max)
        gateway = stack.enter_context(running(text, tmp_path))
        waiting = [Client.ask(gateway) for _ in range(clients)]
        for client in waiting:
            stack.callback(client.connection.close)
        refused = heard_by(waiting, clients - slots - queue_max)
        for client in refused:
            client.hear(b"FH-ADMIT-001")
            assert b"FH-ADMIT-001" in client.heard, client.heard
            waiting.remove(client)
        eventually(lambda: len(server.held) == slots, what="all slots in use")
        workers = workers_of(gateway)
        assert len(workers) == 4
        victim = owner(workers, server.held[0].writer.get_extra_info("peername")[1])
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in workers_of(gateway), what="the end of the killed one")
        eventually(lambda: len(server.held) == slots, what="its slots in use by others")
        server.let_go_of(1_000)
        whole = 0
        for client in waiting:
            with_end = b"data: [DONE]"
            try:
                client.hear(with_end)
            except ConnectionError:
                continue  # it was the killed one's
            whole += with_end in client.heard
        assert slots <= whole < len(waiting)
        assert server.peak == slots
        eventually(lambda: len(workers_of(gateway)) == 4, within_s=60, what="four workers again")
        assert all(ask(gateway) for _ in range(10))
        gateway.stop()
        assert "it was killed by signal 9; it is started again" in gateway.log
        assert not any(each.orphans for each in verified(gateway))


def heard_by(clients: list[Client], count: int) -> list[Client]:
    """Those that get an answer first, once there are so many."""

    def answered() -> list[Client]:
        ready, _, _ = select.select([client.connection for client in clients], [], [], 0)
        return [client for client in clients if client.connection in ready]

    return eventually(lambda: found if len(found := answered()) >= count else None, what=f"{count} answers")


@contextmanager
def streams(gateway: Gateway, server: GatedServer, count: int) -> Generator[list[Client]]:
    """Streams that wait at the gate."""
    clients = [Client.ask(gateway) for _ in range(count)]
    for client in clients:
        client.hear(b"data: ")
    eventually(lambda: len(server.exchanges) == count, what="all streams at the upstream")
    yield clients
    for client in clients:
        client.connection.close()


def unready(gateway: Gateway) -> bool:
    with gateway.http("") as client:
        return client.get("/readyz").status_code == 503


def test_a_stop_lets_the_streams_of_all_workers_end(tmp_path: Path) -> None:
    with in_thread(GatedServer()) as server, running(config(server), tmp_path) as gateway:
        with streams(gateway, server, 12) as clients:
            os.kill(workers_of(gateway)[0], signal.SIGHUP)  # meant for the parent; a worker takes no notice
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: all(unready(gateway) for _ in range(10)), what="not being ready")
            server.open_gate()
            for client in clients:
                client.hear(b"0\r\n\r\n")
                assert client.is_whole
        assert gateway.process.wait(15) == 0
        assert "Traceback" not in gateway.log


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    with in_thread(GatedServer()) as server, running(config(server, drain_s=600), tmp_path) as gateway:
        with streams(gateway, server, 12) as clients:
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: unready(gateway), what="not being ready")
            gateway.process.send_signal(signal.SIGTERM)
            for client in clients:
                client.hear(b"never")
                assert b"FH-SERVER-010" in client.heard
        assert gateway.process.wait(15) == 0


def test_a_reload_reaches_all_workers_and_a_bad_one_none(tmp_path: Path) -> None:
    with in_thread(OpenAIServer()) as server, running(config(server), tmp_path) as gateway:
        good = config(server, model="second")
        gateway.config.write_text(good, encoding="utf-8")
        gateway.process.send_signal(signal.SIGHUP)

        def models() -> set[str]:
            server.exchanges.clear()
            for _ in range(12):
                ask(gateway)
            return {each.body["model"] for each in server.exchanges if each.raw}

        eventually(lambda: models() == {"second"}, within_s=20, what="the new model in both workers")
        gateway.config.write_text(good.replace("slots", "slost"), encoding="utf-8")
        gateway.process.send_signal(signal.SIGHUP)
        eventually(lambda: "was not changed" in gateway.log, what="the refusal")
        # One that is started anew gets the configuration that works.
        victim = workers_of(gateway)[0]
        os.kill(victim, signal.SIGKILL)
        eventually(
            lambda: len(found := workers_of(gateway)) == 2 and victim not in found, within_s=30, what="a new worker"
        )
        assert models() == {"second"}


@dataclass
class Parent:
    """A gateway that may be killed."""

    process: subprocess.Popen[bytes]
    gateway: Gateway


def start_parent(folder: Path) -> Parent:
    command = [
        sys.executable,
        "-m",
        "tests.support.gateway_process",
        str(folder / "freehold.toml"),
        str(folder / "data"),
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    key = Path(told["key_path"]).read_text().strip()
    gateway = Gateway(told["url"], key, folder / "data", folder / "freehold.toml", folder / "log", process)
    return Parent(process, gateway)


def test_workers_whose_parent_was_killed_end_in_good_order(tmp_path: Path) -> None:
    with in_thread(GatedServer()) as server:
        text = config(server, drain_s=600)
        (tmp_path / "freehold.toml").write_text(text, encoding="utf-8")
        parent = start_parent(tmp_path)
        with parent.process, streams(parent.gateway, server, 8) as clients:
            workers = workers_of(parent.gateway)
            parent.process.kill()
            parent.process.wait()
            # They still have the folder; a second gateway must not write into their logs.
            assert refused_start(text, tmp_path)["code"] == "FH-SERVER-002"
            server.open_gate()
            for client in clients:
                client.hear(b"0\r\n\r\n")
                assert client.is_whole
            eventually(lambda: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in workers), what="their end")
        with running(text, tmp_path) as gateway:
            assert {row["id"] for row in gateway.get("/v1/receipts")["data"]} == {each.receipt_id for each in clients}


def test_what_cannot_work_is_refused_with_its_reason(tmp_path: Path) -> None:
    with in_thread(OpenAIServer()) as server:
        embedded = config(server).replace("openai", "embedded").replace(f'base_url = "{server.base_url}"', "")
        told = refused_start(embedded.replace('zone = "lan"', ""), tmp_path)
        assert told["code"] == "FH-CONFIG-001"
        assert "deployments.one.engine" in told["message"]
        assert "set workers = 1" in told["message"]
        taken = refused_start(config(server).replace("port = 0", f"port = {server.port}"), tmp_path)
        assert taken["code"] == "FH-SERVER-003"
        shard = tmp_path / "data" / "audit-1"
        shard.mkdir(mode=0o700, parents=True)
        (shard / "log.key").write_text("nonsense")
        (shard / "log.key").chmod(0o600)
        broken = refused_start(config(server), tmp_path)
        assert broken["code"] == "FH-SERVER-011"
        assert "Worker 1 cannot serve: FH-AUDIT-002" in broken["message"]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_port_that_was_asked_for_is_the_one_that_is_served(tmp_path: Path, workers: int) -> None:
    with in_thread(OpenAIServer()) as server:
        port = free_port()
        text = config(server, workers=workers).replace("port = 0", f"port = {port}")
        with running(text, tmp_path, wait_ready=False) as gateway:
            assert gateway.address[1] == port
        with running(text, tmp_path, wait_ready=False) as gateway:  # at once again
            assert gateway.address[1] == port
            assert refused_start(text, tmp_path / "..")["code"] in {"FH-SERVER-003", "FH-SERVER-002"}
