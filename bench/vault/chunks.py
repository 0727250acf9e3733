"""Bar: exact spans of five texts, recall of at least .93 in five passages with 1.3 times BM25's precision at that recall.

    python -m bench.vault.chunks [--vectors FOLDER] [--budgets 5600,6400,7200]

All five texts are in one file and searched as the product searches. With G the characters that answer, U those that
were given of the right text and T all that were given: recall |G ∩ U| / |G|, precision |G ∩ U| / T, means over the
questions. BM25 is the plain top five pieces by words, at several lengths of piece; between lengths its precision is
interpolated at our recall. Without ``--vectors`` words alone search, and nothing is embedded.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.vault.ranking import EVERYBODY, KEY, READER
from bench.vault.vectors import ASKING, DIMENSIONS, KeptVectors
from freehold.domain.vault import ANYTHING, Document, Parsed, Passage, SearchSettings, VaultQuery
from freehold.domain.vault_ports import VaultStore
from freehold.vault.chunking import CHARACTERS_MAX, chunks_of
from freehold.vault.search import VaultSearch
from freehold.vault.store import open_store
from tests.support.shared_data import shared_data

RECALL_BAR, PRECISION_BAR = 0.93, 1.3
PASSAGES = 5
LENGTHS = (800, 1200, 1600, 2400)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where its answer is."""

    text: str
    name: str
    spans: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the questions."""

    recall: float
    precision: float
    characters: float


def asked_of(folder: Path) -> list[Asked]:
    rows = map(json.loads, (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    return [Asked(row["text"], row["corpus"], [tuple(span) for span in row["spans"]]) for row in rows]


def texts_of(folder: Path) -> dict[str, str]:
    # Offsets are of the files as they are: newlines are not to be changed.
    return {path.stem: path.read_bytes().decode() for path in sorted(folder.glob("*.md"))}


def scored(asked: Sequence[Asked], found: Sequence[Sequence[Passage]]) -> Figures:
    recalls, precisions, lengths = [], [], []
    for question, passages in zip(asked, found, strict=True):
        gold = {at for start, end in question.spans for at in range(start, end)}
        given = sum(each.end - each.start for each in passages)
        hit = {
            at for each in passages if each.document.id == question.name for at in gold if each.start <= at < each.end
        }
        recalls.append(len(hit) / len(gold))
        precisions.append(len(hit) / max(given, 1))
        lengths.append(given)
    return Figures(*(sum(values) / len(asked) for values in (recalls, precisions, lengths)))


async def keep(store: VaultStore, folder: Path, length: int, embedder: KeptVectors | None) -> None:
    for name, text in texts_of(folder).items():
        parsed = Parsed(text=text, media_type="text/markdown", parser="bench")
        chunks = chunks_of(parsed, characters_max=length)
        document = Document(
            id=name,
            tenant=READER.tenant,
            source=f"upload:{name}.md",
            sha256=name,
            size_bytes=len(text),
            media_type="text/markdown",
            title="",
            label="public",
            readers=EVERYBODY,
            added_unix_ms=0,
            chunks=len(chunks),
        )
        vectors = await embedder.passages([each.indexed for each in chunks]) if embedder else None
        await store.add(document, text=text, chunks=chunks, vectors=vectors)


async def by_words(folder: Path, data: Path, asked: Sequence[Asked]) -> list[Figures]:
    """The plain top five by words, at each length."""
    table = []
    for length in LENGTHS:
        store = await open_store(folder / f"plain{length}", key=KEY, model="none", dimensions=DIMENSIONS)
        try:
            await keep(store, data, length, None)
            found = []
            for each in asked:
                hits = await store.search_words(each.text, reader=READER, filters=ANYTHING, limit=PASSAGES)
                found.append(await store.passages([hit.chunk_id for hit in hits], reader=READER))
        finally:
            await store.close()
        table.append(scored(asked, found))
        show(f"BM25, pieces of {length}", table[-1])
    return table


async def by_us(
    folder: Path, data: Path, asked: Sequence[Asked], budgets: Sequence[int], embedder: KeptVectors | None
) -> list[Figures]:
    """As the product searches, at each budget."""
    model = embedder.model if embedder else "none"
    store = await open_store(folder / "ours", key=KEY, model=model, dimensions=DIMENSIONS)
    table = []
    try:
        await keep(store, data, CHARACTERS_MAX, embedder)
        search = VaultSearch(store, embedder=embedder, settings=SearchSettings())
        for budget in budgets:
            found = []
            for each in asked:
                query = VaultQuery(vault="bench", text=each.text, reader=READER, limit=PASSAGES, characters_max=budget)
                found.append((await search.search(query)).passages)
            table.append(scored(asked, found))
            show(f"ours, {model}, at most {budget} characters", table[-1])
    finally:
        await store.close()
    return table


def show(what: str, it: Figures) -> None:
    print(
        f"{what:44} recall {it.recall:.3f}  precision {it.precision:.4f}  characters {it.characters:,.0f}", flush=True
    )


def plain_precision(table: Sequence[Figures], recall: float) -> float:
    """BM25's at a recall, between the two lengths around it; of the nearest length beyond them."""
    ordered = sorted(table, key=lambda each: each.recall)
    for low, high in itertools.pairwise(ordered):
        if low.recall <= recall <= high.recall:
            share = (recall - low.recall) / max(high.recall - low.recall, 1e-9)
            return low.precision + share * (high.precision - low.precision)
    return ordered[0].precision if recall < ordered[0].recall else ordered[-1].precision


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--vectors", type=Path)
    options.add_argument("--budgets", default="5600,6400,7200")
    options.add_argument("--every", type=int, default=1, help="take only each n-th question")
    given = options.parse_args()
    data = shared_data("vault", "chunkeval")
    asked = asked_of(data)[:: given.every]
    budgets = [int(each) for each in given.budgets.split(",")]
    embedder = KeptVectors("bge-small-en", given.vectors, asking=ASKING) if given.vectors else None
    with tempfile.TemporaryDirectory() as name:
        plain = asyncio.run(by_words(Path(name), data, asked))
        ours = asyncio.run(by_us(Path(name), data, asked, budgets, embedder))
    if embedder:
        embedder.save()
    held = False
    for budget, it in zip(budgets, ours, strict=True):
        times = it.precision / plain_precision(plain, it.recall)
        holds = it.recall >= RECALL_BAR and times >= PRECISION_BAR
        held = held or holds
        print(f"budget {budget}: recall {it.recall:.3f} (bar {RECALL_BAR}), precision {times:.2f} times BM25's at that"
              f" recall (bar {PRECISION_BAR}): {'holds' if holds else 'FAILS'}")  # fmt: skip
    raise SystemExit(not held)


if __name__ == "__main__":
    main()
