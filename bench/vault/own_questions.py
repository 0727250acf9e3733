"""``freehold vault test`` on SciFact: claims as questions, evidence sentences as quotes, claims without evidence as nowhere.

    python -m bench.vault.own_questions [--abstracts N] [--model NAME]

Without a model by words alone; with one, the vectors of all abstracts are made first, which takes minutes. A claim without
evidence still has a related abstract, so that telling them apart is hard: a trained threshold is needed, and is not here.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, summary
from freehold.app.vault_models import local_embedder
from freehold.domain.labels import Level
from freehold.domain.vault import Chunk, Document, Reader, Readers, SearchSettings
from freehold.domain.vault_ports import Embedder, VaultStore
from freehold.evals.vault_measure import Measuring
from freehold.evals.vault_questions import VaultQuestion, Wanted
from freehold.evals.vault_ways import Compared, Remembering, compare, ways
from freehold.hostinfo.clock import SystemClock
from freehold.serving.registry import ModelRegistry
from freehold.vault.search import VaultSearch
from freehold.vault.store import open_store
from tests.models import text_model_files
from tests.support.shared_data import shared_data

WORDS_NDCG_LEAST = 0.60
"""On claims with evidence only, which are three fifths of the test claims; BM25 has .69 on all of them."""
READER = Reader(tenant="home")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sentences(abstract: dict[str, Any]) -> list[str]:
    starts = [*abstract["metadata"]["sent_offsets"], len(abstract["text"])]
    return [abstract["text"][first:last].strip() for first, last in itertools.pairwise(starts)]


def questions_of(claims: list[dict[str, Any]], abstracts: dict[str, dict[str, Any]]) -> list[VaultQuestion]:
    found: list[VaultQuestion] = []
    for claim in claims:
        if claim["metadata"]["split"] != "test":
            continue
        evidence = {each["doc"]: each["sentences"][0] for each in claim["metadata"]["evidence"]}
        if evidence.keys() <= abstracts.keys():
            wanted = tuple(
                Wanted(document=doc, quote=sentences(abstracts[doc])[place]) for doc, place in evidence.items()
            )
            found.append(VaultQuestion(text=claim["text"], relevant=wanted))
    return found


async def fill(store: VaultStore, abstracts: dict[str, dict[str, Any]], embedder: Embedder | None) -> None:
    for number, each in abstracts.items():
        document = Document(
            id=number, tenant=READER.tenant, source=f"upload:{number}", sha256=number.rjust(64, "0"),
            size_bytes=len(each["text"]), media_type="text/plain", title=each["title"], label="public",
            readers=Readers(level=Level.PUBLIC), added_unix_ms=0, chunks=1,
        )  # fmt: skip
        indexed = f"{each['title']}\n{each['text']}"
        vectors = None if embedder is None else await embedder.passages([indexed])
        chunk = Chunk(start=0, end=len(each["text"]), indexed=indexed)
        await store.add(document, text=each["text"], chunks=[chunk], vectors=vectors)


async def measured(args: argparse.Namespace, folder: Path) -> list[Compared]:
    data = shared_data("vault", "scifact")
    claims = rows(data / "queries.jsonl")
    relevant = {each["doc"] for claim in claims for each in claim["metadata"]["evidence"]}
    every = {each["_id"]: each for each in rows(data / "corpus.jsonl")}
    order = sorted(every, key=lambda number: number not in relevant)
    abstracts = {number: every[number] for number in order[: args.abstracts or len(order)]}
    questions = questions_of(claims, abstracts)
    clock = SystemClock()
    embedder = local_embedder(ModelRegistry(text_model_files(args.model)), args.model) if args.model else None
    store = await open_store(folder / "scifact.db", key=bytes(32), model=args.model or "none", dimensions=384)
    try:
        begun_s = time.perf_counter()
        await fill(store, abstracts, embedder)
        print(
            f"{len(abstracts):,} abstracts in {time.perf_counter() - begun_s:,.0f} s, {len(questions)} claims",
            flush=True,
        )
        models = Remembering(embedder=embedder, ranker=None, clock=clock)
        present = SearchSettings(embedder=args.model)

        def search_with(settings: SearchSettings) -> VaultSearch:
            return VaultSearch(store, embedder=models.embedder if settings.words < 1.0 else None, settings=settings)

        measuring = Measuring(
            vault="archive", reader=READER, texts=lambda document: store.text(document, reader=READER), clock=clock
        )
        settings = ways(present, vectors=embedder is not None, ranker="")
        return [
            each
            async for each in compare(
                questions, settings, search_with=search_with, measuring=measuring, saved_s=models.saved_s
            )
        ]
    finally:
        await store.close()
        if embedder is not None:
            await embedder.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--abstracts", type=int, default=0)
    parser.add_argument("--model", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(args, Path(folder)))
    for each in found:
        figures = ", ".join(
            f"{name} {figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"
            for name, figure in each.figures.figures.items()
        )
        print(f"{each.name}: {figures}; p50 {each.figures.p50_ms:.1f}, p95 {each.figures.p95_ms:.1f} ms")
    best = max(each.figures.figures["ndcg@10"].value for each in found)
    bars = [Bar(what="nDCG@10 of the best way", measured=best, needed=WORDS_NDCG_LEAST, is_floor=True, digits=3)]
    print(f"\n{bar_table(bars)}\n\n{summary(bars)}")


if __name__ == "__main__":
    main()
