"""Reported, no bar: a question in one language, paragraphs in another, with the embedder that ships.

    python -m bench.vault.languages [--vectors FOLDER] [--languages en,de,ar,zh] [--every 1]

XQuAD's paragraphs of each language are one vault; it is asked the questions of each language, through ``VaultSearch`` with
``multilingual-e5-small`` (jailed child, one thread) and minmax, half and half. Below that, vectors alone. nDCG@10; rows
are the questions' language, columns the paragraphs'. Vectors are made where the folder has none: about half a minute a
language.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.vault.ranking import KEY, Asked, Text, figures, keep, names_found, xquad
from bench.vault.vectors import DIMENSIONS, text_name
from freehold.app.vault_models import local_embedder
from freehold.domain.vault import SearchSettings
from freehold.serving.registry import ModelRegistry
from freehold.vault.choice import MULTILINGUAL
from freehold.vault.search import VaultSearch
from freehold.vault.store import open_store
from tests.models import text_model_files

WAYS = {"words and vectors": 0.5, "vectors alone": 0.0}


class KeptChild:
    """The shipped embedder, of which what it made before is looked up."""

    model = MULTILINGUAL
    dimensions = DIMENSIONS

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{MULTILINGUAL}.npz"
        self._child = None
        self._held: dict[str, np.ndarray] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                self._held = dict(zip(kept["names"].tolist(), kept["vectors"], strict=True))

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [await self._of("passage: ", text) for text in texts]

    async def query(self, text: str) -> bytes:
        return await self._of("query: ", text)

    async def close(self) -> None:
        """Keep what was made, and end the child."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self._path, names=np.array(list(self._held)), vectors=np.array(list(self._held.values()), dtype="<f4"))
        if self._child is not None:
            await self._child.close()

    async def _of(self, kind: str, text: str) -> bytes:
        name = text_name(kind + text)
        if name not in self._held:
            if self._child is None:
                self._child = local_embedder(ModelRegistry(text_model_files(MULTILINGUAL)), MULTILINGUAL)
                await self._child.start()
            made = await self._child.query(text) if kind == "query: " else (await self._child.passages([text]))[0]
            self._held[name] = np.frombuffer(made, dtype="<f4")
        return self._held[name].tobytes()


async def row(
    folder: Path, embedder: KeptChild, texts: Sequence[Text], questions: Sequence[Sequence[Asked]], share: float
) -> list[float]:
    """One vault, asked in each language."""
    store = await open_store(folder, key=KEY, model=embedder.model, dimensions=DIMENSIONS)
    try:
        await keep(store, texts, embedder)
        settings = SearchSettings(embedder=embedder.model, words=share)
        search = VaultSearch(store, embedder=embedder, settings=settings)
        found = [[await names_found(search, each.text) for each in asked] for asked in questions]
    finally:
        await store.close()
    return [
        figures(orders, [each.relevant for each in asked])[0] for orders, asked in zip(found, questions, strict=True)
    ]


async def shown(folder: Path, vectors: Path, languages: Sequence[str], every: int) -> None:
    embedder = KeptChild(vectors)
    data = {language: xquad(language) for language in languages}
    questions = [asked[::every] for _, asked in data.values()]
    try:
        for what, share in WAYS.items():
            columns = [
                await row(folder / f"{language}{share}", embedder, texts, questions, share)
                for language, (texts, _) in data.items()
            ]
            print(f"\n{what}, {len(questions[0])} questions in the language of the row; nDCG@10")
            print("      " + "  ".join(f"{language:>5}" for language in languages))
            for language, of_language in zip(languages, zip(*columns, strict=True), strict=True):
                print(f"{language:6}" + "  ".join(f"{figure:5.3f}" for figure in of_language), flush=True)
    finally:
        await embedder.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vectors", type=Path, default=Path(tempfile.gettempdir()) / "freehold-bench-vectors")
    options.add_argument("--languages", default="en,de,ar,zh")
    options.add_argument("--every", type=int, default=1, help="take only each n-th question")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(shown(Path(folder), given.vectors, given.languages.split(","), given.every))


if __name__ == "__main__":
    main()
