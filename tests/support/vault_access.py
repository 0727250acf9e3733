"""A vault whose permissions change at random, with readers who search it: every answer is compared with looking at all."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Chunk, Document, Hit, Reader, Readers
from freehold.domain.vault_ports import VaultStore
from freehold.vault.words import asked_terms, kept_terms
from tests.support.vaults import same

DIMENSIONS = 64
TENANT = "home"
_GROUPS = ("research", "clinical", "finance", "legal", "hr")


@dataclass(slots=True)
class Outcome:
    """What a run came to: searches, hits, hits that who searched may not read, and searches that differ from looking at all."""

    changes: int = 0
    searches: int = 0
    hits: int = 0
    forbidden: int = 0
    different: int = 0


class AccessWorld:
    """Documents of one piece each, with who may read them, and people."""

    def __init__(self, texts: dict[str, str], readers: dict[str, Readers], people: Sequence[Reader]) -> None:
        self.names = list(texts)
        self.texts = texts
        self.people = list(people)
        self.readers = [readers[name] for name in self.names]
        terms = [Counter(kept_terms(text).split()) for text in texts.values()]
        self._lengths = np.array([counted.total() for counted in terms], dtype=np.int64)
        self._vectors = np.array([_hashed(counted) for counted in terms], dtype=np.float32)
        having: dict[str, list[tuple[int, int]]] = {}
        for at, counted in enumerate(terms):
            for term, often in counted.items():
                having.setdefault(term, []).append((at, often))
        self._having = {term: np.array(pairs, dtype=np.int64) for term, pairs in having.items()}
        self._at: dict[int, int] = {}

    def part(self, count: int) -> AccessWorld:
        """Its first documents."""
        names = self.names[:count]
        readers = dict(zip(self.names, self.readers, strict=True))
        return AccessWorld({name: self.texts[name] for name in names}, readers, self.people)

    async def fill(self, store: VaultStore) -> None:
        """Add every document."""
        for at, name in enumerate(self.names):
            text = self.texts[name]
            document = Document(
                id=name,
                tenant=TENANT,
                source=f"upload:{name}",
                sha256=name,
                size_bytes=len(text),
                media_type="text/plain",
                title=name,
                label=self.readers[at].level.word,
                readers=self.readers[at],
                added_unix_ms=0,
            )
            chunk = Chunk(start=0, end=len(text), indexed=text)
            await store.add(document, text=text, chunks=[chunk], vectors=[self._vectors[at].tobytes()])
        everything = Reader(tenant=TENANT, names=frozenset(f"group:{group}" for group in _GROUPS))
        hits = await store.search_vectors(
            self._vectors[0].tobytes(), reader=everything, filters=ANYTHING, limit=len(self.names)
        )
        assert len(hits) == min(len(self.names), 4096)

    async def run(self, store: VaultStore, changes: int, chance: random.Random, questions: Sequence[str]) -> Outcome:
        """Change who may read what, or what a person is, and let somebody search, so many times."""
        outcome = Outcome()
        for _ in range(changes):
            await self._change(store, chance)
            outcome.changes += 1
            await self._search(store, chance.choice(self.people), chance, chance.choice(questions), outcome)
        return outcome

    async def everybody(
        self, store: VaultStore, chance: random.Random, questions: Sequence[str], outcome: Outcome
    ) -> None:
        """Let each person ask each question."""
        for question in questions:
            for person in self.people:
                await self._search(store, person, chance, question, outcome)

    async def _change(self, store: VaultStore, chance: random.Random) -> None:
        if chance.random() < 0.1:
            at = chance.randrange(len(self.people))
            names = frozenset(f"group:{group}" for group in chance.sample(_GROUPS, chance.randrange(4)))
            self.people[at] = replace(self.people[at], names=names, clearance=chance.choice(list(Level)))
            return
        at = chance.randrange(len(self.names))
        groups = frozenset(f"group:{group}" for group in chance.sample(_GROUPS, chance.randrange(3)))
        readers = Readers(level=chance.choice(list(Level)), names=chance.choice((None, groups)))
        self.readers[at] = readers
        name = self.names[at]
        assert await store.relabel(name, tenant=TENANT, label=readers.level.word, readers=readers)

    async def _search(
        self, store: VaultStore, person: Reader, chance: random.Random, question: str, outcome: Outcome
    ) -> None:
        limit = chance.choice((1, 10, 100))
        readable = np.array([person.may_read(TENANT, readers) for readers in self.readers])
        if chance.random() < 0.5:
            hits = await store.search_words(question, reader=person, filters=ANYTHING, limit=limit)
            scores = self._by_words(question, readable)
        else:
            vector = np.array(_hashed(Counter(kept_terms(question).split())), dtype=np.float32)
            hits = await store.search_vectors(vector.tobytes(), reader=person, filters=ANYTHING, limit=limit)
            # Larger than 0 for every one that may be read, as scores by words are.
            scores = np.where(readable, 2.0 + self._vectors @ vector, 0.0)
            hits = [replace(hit, score=hit.score + 2.0) for hit in hits]
        found = await self._named(store, hits, outcome, readable)
        best = [int(at) for at in np.argsort(-scores, kind="stable")[:limit] if scores[at] > 0]
        outcome.searches += 1
        outcome.hits += len(hits)
        outcome.different += not same(found, [(self.names[at], 0, float(scores[at])) for at in best])

    async def _named(
        self, store: VaultStore, hits: Sequence[Hit], outcome: Outcome, readable: npt.NDArray[np.bool_]
    ) -> list[tuple[str, int, float]]:
        # Who may read everything names the hits: what is forbidden is to be seen here, not to be hidden by the store.
        everything = Reader(tenant=TENANT, names=frozenset(f"group:{group}" for group in _GROUPS))
        unknown = [hit.chunk_id for hit in hits if hit.chunk_id not in self._at]
        for passage in await store.passages(unknown, reader=everything):
            self._at[passage.chunk_id] = self.names.index(passage.document.id)
        named: list[tuple[str, int, float]] = []
        for hit in hits:
            at = self._at.get(hit.chunk_id)
            outcome.forbidden += at is None or not readable[at]
            named.append(("" if at is None else self.names[at], 0, hit.score))
        return named

    def _by_words(self, question: str, readable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        count = int(readable.sum())
        scores = np.zeros(len(readable))
        if not count:
            return scores
        norms = 1.2 * (0.25 + 0.75 * self._lengths / (self._lengths[readable].sum() / count))
        for term in asked_terms(question):
            pairs = self._having.get(term)
            if pairs is not None:
                pairs = pairs[readable[pairs[:, 0]]]
                idf = math.log(1 + (count - len(pairs) + 0.5) / (len(pairs) + 0.5))
                scores[pairs[:, 0]] += idf * 2.2 * pairs[:, 1] / (pairs[:, 1] + norms[pairs[:, 0]])
        return scores


def scifact(folder: Path) -> tuple[AccessWorld, list[str]]:
    """The abstracts with their overlay, its people, and claims to ask."""
    texts = {row["_id"]: f"{row['title']} {row['text']}" for row in _rows(folder / "corpus.jsonl")}
    readers = {row["_id"]: _readers(row["level"], row["groups"]) for row in _rows(folder / "acl_docs.jsonl")}
    users = json.loads((folder / "acl_users.json").read_text("utf-8"))
    people = [_person(user) for user in (users if isinstance(users, list) else users["users"])]
    return AccessWorld(texts, readers, people), [row["text"] for row in _rows(folder / "queries.jsonl")]


def small(documents: int, chance: random.Random) -> tuple[AccessWorld, list[str]]:
    """A made one of the same kind."""
    words = [f"word{number}" for number in range(60)]
    texts = {f"d{number}": " ".join(chance.choices(words, k=chance.randrange(1, 30))) for number in range(documents)}
    readers = {name: _readers(chance.randrange(4), chance.sample(_GROUPS, 2)) for name in texts}
    people = [
        Reader(tenant=TENANT, names=frozenset(f"group:{group}" for group in groups), clearance=Level(level))
        for groups, level in (((), 0), (("legal",), 1), (("hr", "finance"), 2), (_GROUPS, 3))
    ]
    return AccessWorld(texts, readers, people), [" ".join(chance.sample(words, 4)) for _ in range(20)]


def _readers(level: int, groups: Sequence[str]) -> Readers:
    return Readers(level=Level(level), names=frozenset(f"group:{group}" for group in groups) if level else None)


def _person(user: dict[str, Any]) -> Reader:
    names = frozenset({f"user:{user['user']}", *(f"group:{group}" for group in user["groups"])})
    return Reader(tenant=TENANT, names=names, clearance=Level(user["clearance"]))


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _hashed(terms: Counter[str]) -> list[float]:
    sums = [0.01] * DIMENSIONS
    for term, often in terms.items():
        sums[sum(map(ord, term)) * 7919 % DIMENSIONS] += math.sqrt(often)
    length = math.sqrt(sum(value * value for value in sums))
    return [value / length for value in sums]
