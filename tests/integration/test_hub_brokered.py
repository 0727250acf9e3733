"""Models are read through the broker's process: from what it names, as recorded, and from where the hub points to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.app.broker import broker_state
from freehold.audit.compare import compare
from freehold.cli.fit_remote import HubBeginnings
from freehold.cli.hub import Hub, with_hub
from freehold.domain.errors.audit import EgressBrokerAway
from freehold.domain.errors.model import HubRefused, HubUnreachable, ModelUnknown
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.model_ports import HubFile, HubNotes
from freehold.net.hub import HubSource
from freehold.net.hub_ranges import HubRanges, RemoteFile
from freehold.serving.looked_at import LookedAt, look_at
from tests.servers.hub_server import COMMIT, HubBehaviour, HubServer
from tests.support.audit import open_log
from tests.support.brokered import Broker
from tests.support.hub import GGUF, MODEL, WRONG, Wrong, behaving, hub_with_models
from tests.support.safetensors_files import TINY_BYTES
from tests.support.server import ROOT, STOP_S, environment, eventually
from tests.support.site import closed_port

CONFIG = """
[egress]
broker = "{place}"
hub = ["{hub}", "{storage}"]
hub_zone = "lan"
"""


@dataclass
class House:
    """A hub, a broker's process that may read from it, and the command line's way there."""

    hub: HubServer
    broker: Broker
    way: Hub
    config: str

    def look(self, filename: str = "model.gguf", repo: str = "org/repo", *, way: Hub | None = None) -> LookedAt:
        async def look(source: HubSource) -> LookedAt:
            return await look_at(HubBeginnings(HubRanges(source), repo=repo, revision="main"), filename)

        return with_hub(way or self.way, look)

    def asked(self) -> list[str]:
        """What the broker's log says was asked."""
        return [each["asked"] for each in self.broker.records() if each["event"] == "egress.intent"]

    def freehold(self, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        config = folder / "freehold.toml"
        folder.mkdir(exist_ok=True)
        config.write_text(self.config, encoding="utf-8")
        names = {"FREEHOLD_HOME": str(folder), "FREEHOLD_CONFIG": str(config)}
        command = [sys.executable, "-m", "freehold", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment() | names | variables, text=True, capture_output=True,
            timeout=8 * STOP_S, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with hub_with_models() as hub, tempfile.TemporaryDirectory(prefix="fhb-") as home:
        place = f"unix://{home}/broker.sock"
        config = CONFIG.format(place=place, hub=hub.endpoint, storage=hub.storage)
        broker = Broker(config, tmp_path_factory.mktemp("hub-broker"), place, {})
        try:
            broker.start()
            addresses = (hub.endpoint, hub.storage)
            way = Hub(endpoint=hub.endpoint, broker=place, addresses=addresses, zone="lan")
            yield House(hub, broker, way, config)
        finally:
            broker.close()


@pytest.fixture
def house(running: House) -> House:
    running.hub.behaviour = HubBehaviour()
    running.hub.seen.clear()
    running.hub.ranges.clear()
    running.hub.sent_bytes = 0
    return running


def test_a_header_is_read_in_parts_and_each_is_on_record(house: House) -> None:
    before = len(house.broker.records())
    assert house.look().shape.layers == 2
    assert house.hub.ranges[0] == f"bytes=0-{(1 << 22) - 1}"
    assert len(house.hub.ranges) == 2
    assert house.hub.headers["storage"]["accept-encoding"] == "identity"
    assert not {"authorization", "x-amzn-trace-id"} & (house.hub.headers["hub"].keys() | house.hub.headers["storage"])
    records = house.broker.records()[before:]
    intents = [each for each in records if each["event"] == "egress.intent"]
    assert [(each["deployment"], each["asked"]) for each in intents] == [
        ("model hub", "HEAD /org/repo/resolve/main/model.gguf"),
        *(("model storage 1", f"GET /{GGUF} {each}") for each in house.hub.ranges),
    ]
    assert {(each["label"], each["zone"], each["body_bytes"]) for each in intents} == {("public", "lan", 0)}
    assert "signature" not in json.dumps(records), "whoever has it may read for an hour"
    # Each is on disk before it is sent, and its end behind it.
    assert [each["event"] for each in records[:2]] == ["egress.intent", "egress.done"]


def test_safetensors_of_several_files(house: House) -> None:
    found = house.look("", "org/tensors")
    assert found.shape.file_bytes == TINY_BYTES
    assert any(f"/resolve/{COMMIT}/config.json" in each for each in house.asked())


def test_a_file_is_fetched_whole_and_goes_on_where_it_broke_off(house: House, tmp_path: Path) -> None:
    house.hub.behaviour.cut_after = [3_000_000, None]
    digest = hashlib.sha256(MODEL).hexdigest()

    async def fetch(source: HubSource) -> tuple[HubFile, str]:
        file = await source.describe(repo="org/repo", filename="model.gguf", revision="main")
        impatient = HubSource(endpoint=source.endpoint, retry_wait_s=0.0)
        return file, await impatient.fetch(file, target=str(tmp_path / "model"), progress=lambda _: None)

    file, got = with_hub(house.way, fetch)
    assert (file.sha256, file.size_bytes, got) == (digest, len(MODEL), digest)
    assert house.hub.ranges == ["", "bytes=3000000-"]


def test_what_is_written_of_a_version(house: House) -> None:
    house.hub.files["org/repo/README.md"] = b"---\nlicense: mit\n---\n" + b"Words. " * 20_000
    house.hub.commits = [(COMMIT, "newer"), ("a" * 40, "older")]

    async def notes(source: HubSource) -> HubNotes:
        return await source.notes(repo="org/repo", revision=COMMIT, since="a" * 40)

    found = with_hub(house.way, notes)
    assert (found.license, found.changes) == ("mit", ("2026-11-29 newer",))
    assert 60_000 < len(found.text) <= 1 << 16
    assert f"GET /api/models/org/repo/commits/{COMMIT}" in house.asked()


def test_a_digest_that_only_the_list_of_files_has(house: House) -> None:
    """Asked by the library's calls that block, in threads."""
    house.hub.behaviour.plain_etag = True

    async def describe(source: HubSource) -> HubFile:
        return await source.describe(repo="org/repo", filename="model.gguf", revision="main")

    assert with_hub(house.way, describe).sha256 == hashlib.sha256(MODEL).hexdigest()


def test_the_commands_go_that_way(house: House, tmp_path: Path) -> None:
    sized = house.freehold(tmp_path, "fit", f"hf:{GGUF}", "--ctx", "512", "--users", "1", "--json")
    assert (sized.returncode, json.loads(sized.stdout)["source"]) == (0, "formula"), sized.stderr
    pulled = house.freehold(tmp_path, "pull", f"hf:{GGUF}", "--json")
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(pulled.stdout)["digest"] == "sha256:" + hashlib.sha256(MODEL).hexdigest()
    asked = house.asked()
    assert f"GET /{GGUF} bytes=0-{(1 << 22) - 1}" in asked
    assert f"GET /{GGUF}" in asked
    # The command line keeps no log: what the broker read for it is no disagreement.
    open_log(tmp_path / "ours").close()
    found = compare(tmp_path / "ours", house.broker.audit_folder)
    assert (found.agree, found.same) == (True, 0)
    assert found.reads == len(house.asked())


def test_offline_nothing_is_asked(house: House, tmp_path: Path) -> None:
    before = len(house.broker.records())
    told = house.freehold(tmp_path, "fit", f"hf:{GGUF}", HF_HUB_OFFLINE="1")
    assert told.returncode == 1
    assert "HF_HUB_OFFLINE is set" in told.stderr
    assert house.hub.seen == []
    assert len(house.broker.records()) == before


WRONG_HERE: dict[str, Wrong] = WRONG | {
    "always cut": (
        behaving("cut_after", [100] * 9),
        HubUnreachable,
        "in the middle of its answer, through the egress broker",
    ),
    "no such range": (behaving("storage_status", 416), HubRefused, "416"),
}


@pytest.mark.parametrize("case", WRONG_HERE)
def test_a_wrong_hub_is_refused_with_its_reason(case: str, house: House) -> None:
    spoil, error, reason = WRONG_HERE[case]
    spoil(house.hub)
    with pytest.raises(error, match=reason):
        house.look()
    assert house.hub.sent_bytes < len(MODEL)
    house.hub.behaviour = HubBehaviour()
    assert house.look().shape.layers == 2, "one failure closes nothing"


def test_what_is_not_there(house: House) -> None:
    with pytest.raises(ModelUnknown):
        house.look("other.gguf")


def test_a_storage_that_ignores_ranges_is_cut_off(house: House) -> None:
    house.hub.behaviour.ignore_range = True
    assert house.look().shape.layers == 2
    assert house.hub.sent_bytes < 1.6 * len(MODEL)
    eventually(lambda: "cancelled" in [each.get("outcome") for each in house.broker.records()], what="the record of it")


def test_a_silent_storage_is_given_up(house: House) -> None:
    house.hub.behaviour.hang_after = 1_000

    async def look(_: HubSource) -> LookedAt:
        source = HubSource(endpoint=house.hub.endpoint, stall_s=0.2)
        return await look_at(HubBeginnings(HubRanges(source), repo="org/repo", revision="main"), "model.gguf")

    with pytest.raises(HubUnreachable, match="through the egress broker"):
        with_hub(house.way, look)


def test_a_redirect_to_a_place_that_is_not_named_is_not_followed(house: House) -> None:
    narrow = Hub(endpoint=house.hub.endpoint, broker=house.way.broker, addresses=(house.hub.endpoint,), zone="lan")
    with pytest.raises(EgressDenied, match="none of the addresses") as caught:
        house.look(way=narrow)
    assert caught.value.values["origin"] == house.hub.storage
    assert "Add it to them" in caught.value.message
    assert house.hub.ranges == []


def test_the_broker_goes_by_its_own_list(house: House) -> None:
    """A command line that names more than the broker does is refused there, on record."""
    elsewhere = f"http://127.0.0.1:{closed_port()}"
    wide = Hub(endpoint=elsewhere, broker=house.way.broker, addresses=(elsewhere,), zone="lan")
    with pytest.raises(EgressDenied, match="has another address for model hub"):
        house.look(way=wide)
    eventually(lambda: house.broker.records()[-1]["event"] == "egress.refused", what="the record of it")


async def _read(source: HubSource, url: str) -> bytes:
    file = RemoteFile(repo="org/repo", filename="model.gguf", revision="main", size_bytes=len(MODEL), url=url)
    return await HubRanges(source).read(file, start=0, count=4)


@pytest.mark.parametrize(
    ("at", "path", "why"),
    [
        ("storage", "/org/repo/model.gguf?signature=guessed", "has not pointed there"),
        ("storage", "/a-secret-in-a-path", "has not pointed there"),
        ("hub", "/a-secret-in-a-path", "no read of a model's files"),
        ("hub", "/org/repo/resolve/main/../../../model.gguf", "no read of a model's files"),
        ("hub", "/org/repo/resolve/main/model.gguf?secret=1", "no read of a model's files"),
    ],
)
def test_nothing_is_said_by_a_path(house: House, at: str, path: str, why: str) -> None:
    """Whoever has the socket may say nothing to anybody by what is asked."""
    house.look()  # the hub points to the storage
    seen = len(house.hub.seen), len(house.hub.ranges)
    host = house.hub.storage if at == "storage" else house.hub.endpoint

    async def read(source: HubSource) -> bytes:
        return await _read(source, host + path)

    with pytest.raises(EgressDenied, match=why):
        with_hub(house.way, read)
    assert (len(house.hub.seen), len(house.hub.ranges)) == seen


def test_without_the_broker_nothing_is_asked(house: House) -> None:
    house.broker.stop()
    try:
        with pytest.raises(EgressBrokerAway):
            house.look()
        assert house.hub.seen == []
    finally:
        house.broker.start()
    assert house.look().shape.layers == 2


def test_the_state_tells_of_it(house: House) -> None:
    house.look()
    told = {each.name: each for each in asyncio.run(broker_state(house.broker.place)).destinations}
    assert told["model hub"].calls > 0
    assert told["model storage 1"].answer_bytes > 1 << 22
