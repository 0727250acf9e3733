"""``freehold pull`` against a server that speaks the hub's protocol: right, interrupted, wrong and absent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.domain.errors.model import (
    DigestMismatch,
    DiskTooSmall,
    HubRefused,
    HubUnreachable,
    ModelFileInvalid,
    ModelUnknown,
    PullInProgress,
)
from freehold.domain.model_ports import ProgressSink, PullProgress
from freehold.net.hub import HubSource
from freehold.serving.pull import Puller
from freehold.serving.pull_lock import pull_lock
from freehold.serving.registry import InstalledModel, ModelRegistry
from tests.servers.hub_server import COMMIT, HubServer
from tests.support.gguf_files import LLAMA_PAIRS as PAIRS
from tests.support.gguf_files import TENSOR_BYTES, TENSORS, header, pair, tiny_model
from tests.support.ports import closed_port

NAME = "hf:owner/repo/tiny.gguf"
FILE = "owner/repo/tiny.gguf"
FILLED = b"".join(index.to_bytes(4, "little") for index in range(TENSOR_BYTES // 4))
CONTENT = header([*PAIRS, pair("x.padding", 8, "p" * 900_000)], TENSORS) + FILLED
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class FixedClock:
    def unix_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic_s(self) -> float:
        return 0.0


class NoPackages:
    async def fetch(self, *, requirement: str, folder: str, progress: ProgressSink) -> str:
        raise AssertionError(f"{requirement} was fetched unasked")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({FILE: CONTENT, "owner/repo/other.gguf": b"GGUF" + b"\0" * 5_000}) as server:
        yield server


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def puller(registry: ModelRegistry, endpoint: str, **options: object) -> Puller:
    return Puller(
        registry=registry,
        hub=HubSource(endpoint=endpoint, retry_wait_s=0.0, **options),
        packages=NoPackages(),
        clock=FixedClock(),
    )


def pull(
    registry: ModelRegistry, endpoint: str, name: str = NAME, *, repair: bool = False, **options
) -> InstalledModel:
    return asyncio.run(puller(registry, endpoint, **options).pull(name, repair=repair))


def partial(registry: ModelRegistry) -> Path:
    return registry.folder / "partial" / f"sha256-{SHA256}.partial"


def leftovers(registry: ModelRegistry) -> list[str]:
    folder = registry.folder / "partial"
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


def test_pull_verifies_and_installs(hub: HubServer, registry: ModelRegistry) -> None:
    steps: list[PullProgress] = []
    model = asyncio.run(puller(registry, hub.endpoint).pull(NAME, progress=steps.append))
    assert model.path.read_bytes() == CONTENT
    assert model.sha256 == SHA256
    assert model.origin == f"hf:owner/repo/tiny.gguf@{COMMIT}"
    assert model.license == "apache-2.0"
    assert registry.load(NAME).header.layers == 2
    assert leftovers(registry) == []
    done = [step for step in steps if step.stage == "downloading"]
    assert done[-1].done_bytes == done[-1].total_bytes == len(CONTENT)
    assert [step.done_bytes for step in done] == sorted(step.done_bytes for step in done)


def test_an_installed_model_asks_no_network(hub: HubServer, registry: ModelRegistry) -> None:
    pull(registry, hub.endpoint)
    before = list(hub.seen)
    hub.files[FILE] = tiny_model(name="Newer")
    assert pull(registry, hub.endpoint).sha256 == SHA256
    assert hub.seen == before


@pytest.mark.parametrize("cuts", [[1], [70_000], [1_000, 0, 30_001, 50_000], [len(CONTENT) - 1]])
def test_resumes_within_one_pull(hub: HubServer, registry: ModelRegistry, cuts: list[int]) -> None:
    hub.behaviour.cut_after = list(cuts)
    assert pull(registry, hub.endpoint).sha256 == SHA256
    assert len(hub.ranges) == len(cuts) + 1


def test_resumes_in_the_next_pull(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.cut_after = [500_000, 0, 0]
    with pytest.raises(HubUnreachable) as caught:
        pull(registry, hub.endpoint, retries=1)
    assert "resume" in str(caught.value)
    kept = partial(registry).stat().st_size
    assert kept == 500_000
    assert registry.installed() == ()
    hub.ranges.clear()
    assert pull(registry, hub.endpoint).path.read_bytes() == CONTENT
    assert hub.ranges == [f"bytes={kept}-"]


def test_gives_up_only_after_failures_without_a_new_byte(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.cut_after = [1_000] * 20
    assert pull(registry, hub.endpoint, retries=1).sha256 == SHA256


def test_a_server_that_ignores_ranges(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.ignore_range = True
    hub.behaviour.cut_after = [600_000]
    assert pull(registry, hub.endpoint).path.read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_and_breaks_off_is_given_up(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.ignore_range = True
    hub.behaviour.cut_after = [1_000, 500] * 20
    with pytest.raises(HubUnreachable):
        pull(registry, hub.endpoint, retries=1)
    assert len(hub.ranges) == 3


def test_a_range_that_begins_elsewhere_is_not_taken(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.shift_range = 1
    hub.behaviour.cut_after = [600_000]
    with pytest.raises(HubUnreachable, match="another part of the file"):
        pull(registry, hub.endpoint, retries=1)


def test_more_bytes_than_announced_are_not_taken(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.surplus = 10
    with pytest.raises(HubUnreachable, match="more bytes"):
        pull(registry, hub.endpoint, retries=1)
    assert partial(registry).stat().st_size == 0


def test_a_flipped_bit_is_refused_and_nothing_is_left(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.flip_at = len(CONTENT) // 2
    with pytest.raises(DigestMismatch) as caught:
        pull(registry, hub.endpoint)
    assert caught.value.values["expected"] == SHA256
    assert registry.installed() == ()
    assert leftovers(registry) == []


def test_a_wrong_beginning_from_earlier_is_fetched_again(hub: HubServer, registry: ModelRegistry) -> None:
    partial(registry).parent.mkdir(parents=True)
    partial(registry).write_bytes(b"x" * 1_000)
    notices: list[str] = []
    model = asyncio.run(puller(registry, hub.endpoint).pull(NAME, notice=notices.append))
    assert model.path.read_bytes() == CONTENT
    assert hub.ranges == ["bytes=1000-", ""]
    assert "from the beginning" in notices[0]


def test_a_file_longer_than_it_should_be_is_cut(hub: HubServer, registry: ModelRegistry) -> None:
    partial(registry).parent.mkdir(parents=True)
    partial(registry).write_bytes(CONTENT + b"more")
    assert pull(registry, hub.endpoint).sha256 == SHA256
    assert hub.ranges == []


def test_a_symbolic_link_in_place_of_the_file_is_not_followed(hub: HubServer, registry: ModelRegistry) -> None:
    partial(registry).parent.mkdir(parents=True)
    victim = registry.folder / "victim"
    victim.write_bytes(b"precious")
    partial(registry).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        pull(registry, hub.endpoint)
    assert victim.read_bytes() == b"precious"


def test_right_digest_but_not_a_model(hub: HubServer, registry: ModelRegistry) -> None:
    with pytest.raises(ModelFileInvalid):
        pull(registry, hub.endpoint, "hf:owner/repo/other.gguf")
    assert registry.installed() == ()
    assert leftovers(registry) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("hf:nobody/nothing/tiny.gguf", "not public"),
        ("hf:owner/repo/missing.gguf", "check the file's name"),
        ("hf:owner/repo/tiny.gguf@v9", "no such revision"),
        ("hf:owner/re--po/tiny.gguf", "There is no model named"),
        ("no-such-name", "There is no model named"),
        ("/tmp/own.gguf", "used where it is"),
    ],
)
def test_unknown_things(hub: HubServer, registry: ModelRegistry, name: str, hint: str) -> None:
    with pytest.raises(ModelUnknown, match=hint):
        pull(registry, hub.endpoint, name)


@pytest.mark.parametrize(("code", "hint"), [("GatedRepo", "terms"), ("", "it answered 403")])
def test_refusals(hub: HubServer, registry: ModelRegistry, code: str, hint: str) -> None:
    if code:
        hub.behaviour.error_code = code
        with pytest.raises(HubRefused, match=hint):
            pull(registry, hub.endpoint)
    else:
        hub.behaviour.storage_status = 403
        with pytest.raises(HubUnreachable, match="the storage answered 403"):
            pull(registry, hub.endpoint, retries=1)
        assert len(hub.ranges) == 2


def test_a_storage_behind_a_firewall_is_named(
    hub: HubServer, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub answers, so that nobody would look for another host by an error that names the hub alone."""
    closed = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setattr(HubServer, "storage", closed)
    with pytest.raises(HubUnreachable, match=f"its storage {closed}: "):
        pull(registry, hub.endpoint, retries=0)


def test_private_repository_is_unknown_without_a_token(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.error_code = "RepoNotFound"
    with pytest.raises(ModelUnknown, match="not public"):
        pull(registry, hub.endpoint)


def test_the_token_goes_to_the_hub_only(
    hub: HubServer, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    pull(registry, hub.endpoint, token="hf_configured")
    assert hub.headers["hub"]["authorization"] == "Bearer hf_configured"
    assert "authorization" not in hub.headers["storage"]


def test_no_token_is_taken_from_the_machine(
    hub: HubServer, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    pull(registry, hub.endpoint)
    assert "authorization" not in hub.headers["hub"]
    assert "freehold" in hub.headers["storage"]["user-agent"]
    assert all("agent-harnesses" not in line for line in hub.seen)


def test_another_scheme_is_not_followed(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.downgrade = "ftp"
    with pytest.raises(HubRefused, match="ftp"):
        pull(registry, hub.endpoint)


def test_a_digest_that_the_answer_lacks_comes_from_the_file_list(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.plain_etag = True
    assert pull(registry, hub.endpoint).sha256 == SHA256
    assert any(line.startswith("GET /api/models/owner/repo") for line in hub.seen)


def test_a_file_without_any_digest_is_refused(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.plain_etag = hub.behaviour.no_lfs = True
    with pytest.raises(HubRefused, match="no sha256"):
        pull(registry, hub.endpoint)


@pytest.mark.parametrize("size", ["-5", "0", "9" * 40, "9" * 400, "9" * 5_000, "many"])
def test_a_size_that_no_file_has_is_refused(hub: HubServer, registry: ModelRegistry, size: str) -> None:
    hub.behaviour.linked_size = size
    with pytest.raises(HubRefused, match="no sha256 or size"):
        pull(registry, hub.endpoint)
    assert leftovers(registry) == []


@pytest.mark.parametrize("start", ["9" * 5_000, "-1", "x"])
def test_a_range_that_begins_at_no_number_is_not_taken(hub: HubServer, registry: ModelRegistry, start: str) -> None:
    hub.behaviour.cut_after = [600_000]
    hub.behaviour.range_start = start
    with pytest.raises(HubUnreachable, match="another part of the file"):
        pull(registry, hub.endpoint, retries=1)
    assert partial(registry).stat().st_size == 600_000


def test_another_file_than_the_catalogue_names_is_refused_before_a_byte(
    hub: HubServer, registry: ModelRegistry
) -> None:
    entry = registry.catalogue.find("qwen2.5-coder-0.5b")
    hub.files[f"{entry.hub.repo}/{entry.hub.filename}"] = CONTENT
    hub.revisions.add(entry.hub.revision)
    with pytest.raises(DigestMismatch) as caught:
        pull(registry, hub.endpoint, entry.name)
    assert caught.value.values["expected"] == entry.sha256
    assert hub.ranges == []


def test_unreachable_hub(registry: ModelRegistry, unused_port: int) -> None:
    endpoint = f"http://127.0.0.1:{unused_port}"
    with pytest.raises(HubUnreachable) as caught:
        pull(registry, endpoint)
    assert endpoint in str(caught.value)
    assert "refused" in str(caught.value).lower()
    with pytest.raises(HubUnreachable):
        pull(registry, endpoint, "qwen2.5-coder-0.5b")


@pytest.fixture
def unused_port() -> Iterator[int]:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_cancel_stops_at_once_and_keeps_what_came(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.hang_after = 600_000

    async def cancelled() -> float:
        task = asyncio.ensure_future(puller(registry, hub.endpoint).pull(NAME))
        await asyncio.to_thread(hub.transferred.wait, 10)
        task.cancel()
        began = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(cancelled()) < 5
    assert partial(registry).exists()
    hub.behaviour.hang_after = None
    assert pull(registry, hub.endpoint).path.read_bytes() == CONTENT


def test_silence_counts_as_broken(hub: HubServer, registry: ModelRegistry) -> None:
    hub.behaviour.cut_after = [100_000]
    hub.behaviour.hang_after = 0
    with pytest.raises(HubUnreachable, match="ReadTimeout"):
        pull(registry, hub.endpoint, retries=0, stall_s=0.2)
    assert partial(registry).stat().st_size == 100_000


def test_two_pulls_at_once(hub: HubServer, registry: ModelRegistry) -> None:
    partial(registry).parent.mkdir(parents=True)
    with pull_lock(partial(registry).with_suffix(".lock"), name=NAME), pytest.raises(PullInProgress, match="process"):
        pull(registry, hub.endpoint)
    assert pull(registry, hub.endpoint).sha256 == SHA256


def test_disk_is_checked_before_anything_is_fetched(hub: HubServer, registry: ModelRegistry) -> None:
    tight = Puller(
        registry=registry,
        hub=HubSource(endpoint=hub.endpoint),
        packages=NoPackages(),
        clock=FixedClock(),
        free_bytes=lambda folder: 1_000,
    )
    with pytest.raises(DiskTooSmall, match="GB on disk"):
        asyncio.run(tight.pull(NAME))
    assert hub.ranges == []


def test_repair_fetches_a_damaged_file_again_at_its_pinned_commit(hub: HubServer, registry: ModelRegistry) -> None:
    model = pull(registry, hub.endpoint)
    model.path.chmod(0o600)
    model.path.write_bytes(CONTENT[:-1] + b"\xaa")
    with pytest.raises(DigestMismatch, match="--repair"):
        pull(registry, hub.endpoint)
    hub.seen.clear()
    assert pull(registry, hub.endpoint, repair=True).path.read_bytes() == CONTENT
    assert hub.seen[0] == f"HEAD /owner/repo/resolve/{COMMIT}/tiny.gguf"
    registry.load(NAME)


def test_repair_of_a_whole_file_fetches_nothing(hub: HubServer, registry: ModelRegistry) -> None:
    pull(registry, hub.endpoint)
    hub.seen.clear()
    pull(registry, hub.endpoint, repair=True)
    assert hub.seen == []


def test_the_same_content_under_another_name_is_not_fetched_twice(hub: HubServer, registry: ModelRegistry) -> None:
    hub.files["else/where/copy.gguf"] = CONTENT
    first = pull(registry, hub.endpoint)
    hub.ranges.clear()
    second = pull(registry, hub.endpoint, "hf:else/where/copy.gguf")
    assert second.path == first.path
    assert hub.ranges == []
    assert len(registry.installed()) == 1
