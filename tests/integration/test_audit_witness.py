"""Witnesses over real connections: one of the tests' own, and ``aics-witness`` (PyPI, Python 3.12 or later).

The latter's command is looked for on the path, or where ``FREEHOLD_WITNESS`` says.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from freehold.app import witnesses as witnesses_module
from freehold.app.witnesses import Witness, Witnesses
from freehold.audit.cosignature import COSIGNED
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.audit.verify import Quorum, verify_folder
from freehold.config.schema_audit import WitnessSection
from freehold.domain.errors.audit import AuditBroken
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from tests.servers.witness import Seen, WitnessServer
from tests.support.audit import record
from tests.support.ports import free_port

KEY = b"k" * 32
FOREIGN = os.environ.get("FREEHOLD_WITNESS") or shutil.which("aics-witness")


@pytest.fixture
def stores(tmp_path: Path):
    clock = SystemClock()
    audit = TransparencyLog.open(tmp_path / "audit", origin="test/audit", clock=clock)
    yield SimpleNamespace(
        clock=clock,
        ids=SystemIds(clock),
        audit=audit,
        journal=Journal(audit, clock, SystemIds(clock), KEY),
        broker=Broker(clock=clock, permit_key=KEY),
        folder=tmp_path / "audit",
    )
    audit.close()


def asked(stores, *servers: WitnessServer, zone: str = "device") -> Witnesses:
    return Witnesses(
        tuple(
            Witness(
                server.name,
                WitnessSection(url=f"http://127.0.0.1:{server.port}", vkey=server.vkey, zone=zone),
                stores,
            )
            for server in servers
        ),
        stores,
    )


def run(scene):
    return asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_quorum_of_witnesses_cosigns_and_verifies(stores) -> None:
    async def scene():
        vkey = stores.audit.vkey
        async with WitnessServer(vkey) as one, WitnessServer(vkey, name="witness.test/w2", now_s=1_800_000_000) as two:
            witnesses = asked(stores, one, two)
            for number in range(300):
                stores.audit.append(record(number))
            assert await witnesses.ask() == 2
            assert await witnesses.ask() == 0  # nothing new to ask about
            for number in range(300, 307):
                stores.audit.append(record(number))
            assert await witnesses.ask() == 2
            assert [each.exchanges[-1].raw.split(b"\n")[0] for each in (one, two)] == [b"old 300"] * 2
            await stores.broker.close()
            return one.vkey, two.vkey

    one, two = run(scene)
    stores.audit.append(record(307))
    stores.audit.close()
    vkey = stores.audit.vkey
    report = verify_folder(stores.folder, vkey, quorum=Quorum((one, two), 2))
    assert report.witnesses == {"witness.test/w1": 1_700_000_000, "witness.test/w2": 1_800_000_000}
    assert report.cosigned is not None
    assert (report.cosigned.size, report.size) == (307, 308)
    stranger = WitnessServer(name="witness.test/w3").vkey
    assert verify_folder(stores.folder, vkey, quorum=Quorum((one, stranger), 1)).witnesses
    for vkeys, least in (((one, stranger), 2), ((stranger,), 1)):
        with pytest.raises(AuditBroken, match="witnesses cosigned"):
            verify_folder(stores.folder, vkey, quorum=Quorum(vkeys, least))
    with pytest.raises(AuditBroken, match="same name or the same key"):
        verify_folder(stores.folder, vkey, quorum=Quorum((one, one), 2))


def test_a_cosigned_checkpoint_shows_a_roll_back(stores, tmp_path: Path) -> None:
    async def scene():
        async with WitnessServer(stores.audit.vkey) as witness:
            stores.audit.append(record(0))
            await stores.audit.checkpoint()
            shutil.copytree(stores.folder, tmp_path / "old", ignore=shutil.ignore_patterns("lock"))
            stores.audit.append(record(1))
            assert await asked(stores, witness).ask() == 1
            await stores.broker.close()
            return witness.vkey

    vkey = run(scene)
    shutil.copy(stores.folder / COSIGNED, tmp_path / "old")
    with pytest.raises(AuditBroken, match="rolled back from 2 to 1"):
        verify_folder(tmp_path / "old", quorum=Quorum((vkey,), 1))
    (tmp_path / "old" / COSIGNED).unlink()
    with pytest.raises(AuditBroken, match="no witness has cosigned"):
        verify_folder(tmp_path / "old", quorum=Quorum((vkey,), 1))


def test_a_changed_byte_of_the_cosigned_checkpoint_is_noticed(stores) -> None:
    async def scene():
        async with WitnessServer(stores.audit.vkey) as witness:
            stores.audit.append(record(0))
            assert await asked(stores, witness).ask() == 1
            await stores.broker.close()
            return witness.vkey

    vkey = run(scene)
    path = stores.folder / COSIGNED
    good = path.read_bytes()
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(AuditBroken):
            verify_folder(stores.folder, quorum=Quorum((vkey,), 1))


def test_beyond_this_device_every_asking_is_recorded_first_and_is_no_reason_to_ask_again(stores) -> None:
    async def scene():
        async with WitnessServer(stores.audit.vkey) as witness:
            witnesses = asked(stores, witness, zone="lan")
            stores.audit.append(record(0))
            assert await witnesses.ask() == 1
            assert await witnesses.ask() == 0
            await stores.broker.close()

    run(scene)
    stores.audit.close()
    assert verify_folder(stores.folder).events == {"test": 1, "egress.intent": 1, "egress.done": 1}


@pytest.mark.parametrize("mood", ["lies", "dies", "404", "403", "422", "500", "200", "409", "hangs"])
def test_whatever_a_witness_does_nothing_of_it_is_kept(stores, mood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses_module, "_TIMEOUT_S", 0.2)

    async def scene():
        async with WitnessServer(stores.audit.vkey, mood=mood) as witness:
            stores.audit.append(record(0))
            assert await asked(stores, witness).ask() == 0
            await stores.broker.close()

    run(scene)
    assert not (stores.folder / COSIGNED).exists()
    assert stores.audit.healthy


def test_a_witness_that_has_seen_more_is_told_loudly(stores, caplog: pytest.LogCaptureFixture) -> None:
    async def scene():
        async with WitnessServer(stores.audit.vkey) as witness:
            witness.seen["test/audit"] = Seen(99, b"x" * 32)
            stores.audit.append(record(0))
            assert await asked(stores, witness).ask() == 0
            await stores.broker.close()

    with caplog.at_level(logging.ERROR):
        run(scene)
    assert "has seen 99 entries of the audit log, which has 1: it was rolled back" in caplog.text


@pytest.mark.skipif(FOREIGN is None, reason="aics-witness is not installed (pipx install aics-witness, Python 3.12)")
def test_a_foreign_witness_cosigns_our_checkpoints(stores, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "witness.json"

    def command(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(FOREIGN), name, "--config", str(config), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    told = command("init", "--name", "witness.test/aics", "--listen", f"127.0.0.1:{port}")
    found = re.search(r"witness\.test/aics\+[0-9a-f]{8}\+\S+", told + command("status"))
    assert found is not None, told
    vkey = found[0].rstrip('",')
    command("add-log", "--origin", "test/audit", "--vkey", stores.audit.vkey)
    serving = subprocess.Popen(
        [str(FOREIGN), "serve", "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:

        async def scene() -> None:
            section = WitnessSection(url=f"http://127.0.0.1:{port}", vkey=vkey, zone="device")
            witnesses = Witnesses((Witness("aics", section, stores),), stores)
            for number in range(400):
                stores.audit.append(record(number))
            for _ in range(100):
                if await witnesses.ask():
                    break
                stores.audit.append(record(0))
                await asyncio.sleep(0.1)  # until it listens
            for number in range(300):
                stores.audit.append(record(number))
            assert await witnesses.ask() == 1
            await stores.broker.close()

        run(scene)
    finally:
        serving.terminate()
        serving.wait(10)
    report = verify_folder(stores.folder, stores.audit.vkey, quorum=Quorum((vkey,), 1))
    assert list(report.witnesses) == ["witness.test/aics"]
