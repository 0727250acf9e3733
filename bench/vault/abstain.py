"""Does it say "not in your documents" where it should? Support of searches; ``bench.vault.answering`` has a model on top.

XQuAD: for half of the questions the one paragraph that answers is not searched; the other paragraphs of its article are.
Questions of half of the articles teach, those of the other half are measured. SciFact, the hard set: a claim without
evidence still has an abstract about its subject in the corpus.

Run: ``python -m bench.vault.abstain`` (words alone, what ships), with ``--vectors FOLDER`` for cached vectors (files
``xquad.LANG.*.npz``), ``--fit words multilingual-e5-small`` to learn anew and write
``src/freehold/vault/data/support.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.vault.asked import load_lines, vault_data
from bench.vault.support_fit import Searched, fair_threshold, fit_support, support_quality
from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Chunk, Document, Hit, Passage, Reader, Readers, vector_bytes
from freehold.vault.fusion import fused
from freehold.vault.store import SqliteVault, open_store
from freehold.vault.support import WORDS_ONLY, SupportModel, features, from_json, to_json

LANGUAGES = "en de es el ro ru tr ar vi hi th zh"
DATA = Path(__file__).parents[2] / "src/freehold/vault/data/support.json"
EMBEDDERS = {"multilingual-e5-small": "e5-shipped", "bge-small-en": "bge-small-en"}
"""Models, and the ends of the names of files with their vectors (``xquad.LANG.END.npz``)."""
ABSTAINED_MIN, ANSWERED_MIN = 0.80, 0.70
_TENANT = "bench"
_LIMIT = 24
_PASSAGES = 10
"""As many as ``vault.support`` looks at; the product reads more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question, whether its answer was searched, and what was found."""

    language: str
    question: str
    answer: str
    teaches: bool
    searched: Searched
    passages: tuple[Passage, ...]
    embedder: str


def drawn(*what: str) -> int:
    """A number that depends on these texts alone."""
    return int.from_bytes(hashlib.sha256("\n".join(what).encode()).digest()[:6], "big")


def document_of(name: str, size: int, title: str) -> Document:
    """A document that everybody may read."""
    return Document(
        id=name,
        tenant=_TENANT,
        source=f"bench:{name}",
        sha256="0" * 64,
        size_bytes=size,
        media_type="text/plain",
        title=title,
        label="public",
        readers=Readers(level=Level.PUBLIC),
        added_unix_ms=0,
    )


async def filled(folder: str, texts: Mapping[str, tuple[str, str]], vectors: Mapping[str, Any]) -> SqliteVault:
    """A vault with one piece a text."""
    store = await open_store(
        Path(folder) / "vault.db", key=b"bench-key-of-32-bytes-for-nobody", model="m", dimensions=384
    )
    for name, (title, text) in texts.items():
        whole = f"{title}\n{text}".replace("\ufeff", "") if title else text.replace("\ufeff", "")
        made = None if name not in vectors else [vector_bytes([float(each) for each in vectors[name]])]
        await store.add(
            document_of(name, len(text), title),
            text=text,
            chunks=[Chunk(start=0, end=len(text), indexed=whole)],
            vectors=made,
        )
    return store


async def search(
    store: SqliteVault, question: str, *, vector: Any = None, left_out: str = ""
) -> tuple[Searched, tuple[Passage, ...]]:
    """Search without one document, as if it were not there."""
    reader = Reader(tenant=_TENANT)
    words = list(await store.search_words(question, reader=reader, filters=ANYTHING, limit=_LIMIT))
    vectors: list[Hit] = []
    if vector is not None:
        made = vector_bytes([float(each) for each in vector])
        vectors = list(await store.search_vectors(made, reader=reader, filters=ANYTHING, limit=_LIMIT))
    both = list(dict.fromkeys(each.chunk_id for each in (*words, *vectors)))
    known = {each.chunk_id: each for each in await store.passages(both, reader=reader)}
    words, vectors = (
        [each for each in half if known[each.chunk_id].document.id != left_out] for half in (words, vectors)
    )
    order = list(fused(words, vectors, fusion="minmax", share=0.5)) if vectors else [each.chunk_id for each in words]
    passages = tuple(known[each] for each in order[:_PASSAGES])
    numbers = features(question, passages, words=words, vectors=vectors)
    return Searched(numbers=numbers, answerable=not left_out), passages


def cached_vectors(folder: Path | None, language: str, embedder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Vectors of paragraphs and questions by id; empty where there are none."""
    files = (
        sorted(folder.glob(f"xquad.{language}.{EMBEDDERS[embedder]}.npz")) if folder is not None and embedder else []
    )
    if not files:
        return {}, {}
    import numpy as np  # only where vectors are cached

    kept = np.load(files[0])
    pairs = (("passage_ids", "passages"), ("query_ids", "queries"))
    first, second = ({str(name): row for name, row in zip(kept[a], kept[b], strict=True)} for a, b in pairs)
    return first, second


async def xquad(language: str, questions: int, folder: Path | None = None, embedder: str = WORDS_ONLY) -> list[Case]:
    """Searches of one language, by words alone or with vectors too; none where there are no vectors."""
    data = vault_data() / "xquad"
    texts = {each["_id"]: ("", each["text"]) for each in load_lines(data / f"corpus.{language}.jsonl")}
    articles = {each["_id"]: each["title"] for each in load_lines(data / f"corpus.{language}.jsonl")}
    asked = sorted(load_lines(data / f"queries.{language}.jsonl"), key=lambda each: drawn("order", each["_id"]))
    of_texts, of_questions = cached_vectors(folder, language, embedder)
    if embedder and not of_questions:
        return []
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as place:
        store = await filled(place, texts, of_texts)
        for each in asked[:questions]:
            if embedder and each["_id"] not in of_questions:
                continue
            is_left_out = drawn("left out", each["_id"]) % 2 == 1
            searched, passages = await search(
                store,
                each["text"],
                vector=of_questions.get(each["_id"]),
                left_out=each["doc"] if is_left_out else "",
            )
            cases.append(
                Case(
                    language=language,
                    question=each["text"],
                    answer=each["answers"][0]["text"],
                    teaches=drawn("article", articles[each["doc"]]) % 2 == 0,
                    searched=searched,
                    passages=passages,
                    embedder=embedder,
                )
            )
        await store.close()
    return cases


async def scifact(split: str, claims: int) -> list[Searched]:
    """Claims with and without evidence, by words."""
    data = vault_data() / "scifact"
    texts = {each["_id"]: (each["title"], each["text"]) for each in load_lines(data / "corpus.jsonl")}
    asked = [each for each in load_lines(data / "queries.jsonl") if each["metadata"]["split"] == split]
    found: list[Searched] = []
    with tempfile.TemporaryDirectory() as place:
        store = await filled(place, texts, {})
        for each in sorted(asked, key=lambda each: drawn("order", each["_id"]))[:claims]:
            searched, _ = await search(store, each["text"])
            found.append(replace(searched, answerable=bool(each["metadata"]["evidence"])))
        await store.close()
    return found


def learned(cases: Sequence[Case]) -> list[SupportModel]:
    """Models of both ways of searching, with what they are worth on the articles that taught nothing."""
    made: list[SupportModel] = []
    for embedder in (WORDS_ONLY, *EMBEDDERS):
        of_it = [each for each in cases if each.embedder == embedder]
        if not of_it:
            continue
        parts: dict[bool, list[Searched]] = {True: [], False: []}
        for each in of_it:
            parts[each.teaches].append(each.searched)
        spoken = list(dict.fromkeys(each.language for each in of_it))
        told = f"XQuAD ({' '.join(spoken)}), {len(parts[True])} questions, the answering paragraph left out for half of them"
        model = fit_support(parts[True], embedder=embedder, calibrated_on=told)
        taught = [[case.searched for case in of_it if case.teaches and case.language == each] for each in spoken]
        threshold = fair_threshold(model, taught, abstained=ABSTAINED_MIN, answered=ANSWERED_MIN)
        quality = support_quality(model, parts[False], threshold=threshold)
        names = ("n", "auc", "abstained", "answered", "ece", "threshold")
        made.append(replace(model, measured={name: round(float(getattr(quality, name)), 4) for name in names}))
    return made


def report(model: SupportModel, name: str, searches: Sequence[Searched], *, has_bar: bool) -> None:
    """One line of the table."""
    threshold = model.measured["threshold"]
    found = support_quality(model, searches, threshold=threshold)
    holds = found.abstained >= ABSTAINED_MIN and found.answered >= ANSWERED_MIN
    verdict = ("holds" if holds else "does not hold") if has_bar else ""
    print(
        f"{model.embedder or 'words':22} {name:22} {found.n:5} {found.auc:6.3f} {found.abstained:9.3f}"
        f" {found.answered:8.3f} {found.ece:6.3f} {threshold:6.3f}  {verdict}"
    )


async def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--languages", default=LANGUAGES)
    options.add_argument("--questions", type=int, default=300)
    options.add_argument("--vectors", type=Path)
    options.add_argument("--fit", nargs="*", choices=("words", *EMBEDDERS), default=())
    options.add_argument("--claims", type=int, default=300)
    chosen = options.parse_args()
    cases = [
        each
        for embedder in (WORDS_ONLY, *(EMBEDDERS if chosen.vectors else ()))
        for name in chosen.languages.split()
        for each in await xquad(name, chosen.questions, chosen.vectors, embedder)
    ]
    models = list(from_json(DATA.read_text("utf-8"))) if DATA.is_file() else []
    if chosen.fit:
        anew = [each for each in learned(cases) if (each.embedder or "words") in chosen.fit]
        names = {each.embedder for each in anew}
        models = sorted(
            [*anew, *(each for each in models if each.embedder not in names)], key=lambda each: each.embedder
        )
        DATA.write_text(to_json(models), "utf-8")
    print(
        f"{'searched by':22} {'questions':22} {'n':>5} {'AUC':>6} {'abstained':>9} {'answered':>8} {'ECE':>6} {'at':>6}"
    )
    for model in models:
        parts = [
            (each.language, each.searched) for each in cases if not each.teaches and each.embedder == model.embedder
        ]
        for language in dict.fromkeys(name for name, _ in parts):
            report(model, f"XQuAD {language}", [each for name, each in parts if name == language], has_bar=False)
        if parts:
            report(model, "XQuAD, all", [each for _, each in parts], has_bar=True)
    if chosen.claims:
        report(models[0], "SciFact test claims", await scifact("test", chosen.claims), has_bar=False)


if __name__ == "__main__":
    asyncio.run(main())
