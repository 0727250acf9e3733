"""A model of a hub is sized by the beginnings of its files, over a server that speaks the hub's protocol, also wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from freehold.cli.fit_remote import HubBeginnings
from freehold.domain.errors.model import HubRefused, HubUnreachable, ModelUnknown
from freehold.domain.errors.planner import NotSizable
from freehold.net.hub import HubSource
from freehold.net.hub_ranges import HubRanges
from freehold.serving.gguf import read_prefix
from freehold.serving.looked_at import LookedAt, look_at
from tests.servers.hub_server import COMMIT, HubServer
from tests.support.hub import MODEL, WRONG, Wrong, behaving, hub_with_models
from tests.support.ports import closed_port
from tests.support.safetensors_files import SHARDS, TINY_BYTES


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_with_models() as server:
        yield server


def looked(hub: HubServer, filename: str, *, repo: str = "org/repo", revision: str = "main") -> LookedAt:
    source = HubSource(endpoint=hub.endpoint, token="hf_own", stall_s=2.0)
    files = HubBeginnings(HubRanges(source, deadline_s=20.0), repo=repo, revision=revision)
    return asyncio.run(look_at(files, filename))


def test_a_gguf_by_two_reads_of_its_beginning(hub: HubServer) -> None:
    found = looked(hub, "model.gguf")
    assert found.shape == read_prefix(MODEL, size_bytes=len(MODEL), name="x").shape
    assert len(hub.ranges) == 2
    assert hub.ranges[0] == f"bytes=0-{(1 << 22) - 1}"
    assert hub.ranges[1].startswith(f"bytes={1 << 22}-")
    assert hub.sent_bytes <= 1 << 23 < len(MODEL)
    assert [each.split()[0] for each in hub.seen] == ["HEAD"]


def test_safetensors_of_two_files_their_index_and_configuration(hub: HubServer) -> None:
    found = looked(hub, "", repo="org/tensors")
    assert found.shape.file_bytes == TINY_BYTES
    assert found.parameters == sum(a * b for part in SHARDS.values() for _, (a, b) in _matrices(part)) + 2 * 64
    assert (found.shape.layers, found.shape.kv_heads, found.shape.head_dim) == (2, 2, 16)
    assert len(hub.ranges) == 2
    # What is small comes from the hub itself; all of it is of the commit that the first file was found at.
    assert sum(each.startswith("GET") for each in hub.seen) == 2
    assert all(f"/resolve/{COMMIT}/" in each for each in hub.seen[1:])


def _matrices(part: dict[str, tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, int]]]:
    return [(name, (shape[0], shape[1])) for name, (_, shape) in part.items() if len(shape) == 2]


def test_the_token_goes_to_the_hub_alone(hub: HubServer) -> None:
    looked(hub, "model.gguf")
    assert hub.headers["hub"]["authorization"] == "Bearer hf_own"
    assert "authorization" not in hub.headers["storage"]
    assert hub.headers["storage"]["accept-encoding"] == "identity"


def test_a_server_that_ignores_ranges_is_not_read_to_its_end(hub: HubServer) -> None:
    hub.behaviour.ignore_range = True
    assert looked(hub, "model.gguf").shape.layers == 2
    # Of two whole answers, since the second read passes what the first had; and what the sockets hold at a hang-up.
    assert len(hub.ranges) == 2
    assert hub.sent_bytes < 1.5 * len(MODEL)


def test_broken_off_and_redirected_it_is_asked_again(hub: HubServer) -> None:
    hub.behaviour.cut_after = [100, 0, None]
    hub.behaviour.hops = 2
    assert looked(hub, "model.gguf").shape.layers == 2


WRONG_HERE: dict[str, Wrong] = WRONG | {
    "always cut": (behaving("cut_after", [100] * 9), HubUnreachable, "closed"),
    "a status that is no answer": (behaving("storage_status", 400), HubRefused, "400"),
    "a length that is no number": (behaving("total", "9" * 40), HubRefused, "another part"),
    "the hub says longer": (behaving("linked_size", str(len(MODEL) + 1)), HubRefused, "is said to have"),
    "the hub says shorter": (behaving("linked_size", "5000000"), HubRefused, "is said to have"),
    "no length": (behaving("linked_size", "0"), HubRefused, "states a size"),
    "a length of all the disks": (behaving("linked_size", str(1 << 60)), HubRefused, "states a size"),
}


@pytest.mark.parametrize("case", WRONG_HERE)
def test_a_wrong_hub_is_refused_with_its_reason(case: str, hub: HubServer) -> None:
    spoil, error, reason = WRONG_HERE[case]
    spoil(hub)
    with pytest.raises(error, match=reason):
        looked(hub, "model.gguf")
    assert hub.sent_bytes < len(MODEL)


def test_a_storage_behind_a_firewall_is_named(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub answers, so that nobody would look for another host by an error that names the hub alone."""
    closed = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setattr(HubServer, "storage", closed)
    with pytest.raises(HubUnreachable, match=f"its storage {closed}: "):
        looked(hub, "model.gguf")


def test_more_than_was_asked_for_is_not_taken(hub: HubServer) -> None:
    hub.behaviour.surplus = 1 << 20
    assert looked(hub, "model.gguf").shape.layers == 2


def test_what_is_not_there(hub: HubServer) -> None:
    for filename, repo, revision in (
        ("other.gguf", "org/repo", "main"),
        ("model.gguf", "no/repo", "main"),
        ("model.gguf", "org/repo", "v9"),
        ("", "org/repo", "main"),
    ):
        with pytest.raises(ModelUnknown):
            looked(hub, filename, repo=repo, revision=revision)


def test_a_shard_with_other_tensors_than_the_index_says(hub: HubServer) -> None:
    first, second = (f"org/tensors/{name}" for name in SHARDS)
    hub.files[first] = hub.files[second]
    with pytest.raises(NotSizable, match="other tensors"):
        looked(hub, "", repo="org/tensors")
