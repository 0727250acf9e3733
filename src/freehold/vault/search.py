"""Searching one vault: words and vectors at once, one order of both, what belongs together in one piece."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from freehold.domain.errors.vault import VaultError
from freehold.domain.vault import ANYTHING, Filters, Found, Hit, Passage, Reader, SearchSettings, VaultQuery
from freehold.domain.vault_ports import Embedder, PassageRanker, VaultStore
from freehold.vault import filters as said
from freehold.vault.fusion import fused
from freehold.vault.passages import JOINED_PARTS_CHARACTERS_MAX, chosen, texts_wanted
from freehold.vault.support_shipped import support, support_threshold
from freehold.vault.tuning import reranked
from freehold.vault.windows import SOURCES_MAX, parts_of

log = logging.getLogger("freehold.vault")

DEFAULT = SearchSettings()
_DOCUMENTS_MAX = 200
"""Documents that a name of the question is looked for in: a name that is in more of them means none of them."""
_NARROWED_WORDS_AT, _NARROWED_VECTOR_AT = 0.6, 0.03
"""What narrowing must keep: this share of the best words' score, or the best cosine but for this."""


@dataclass(frozen=True, slots=True)
class _Hits:
    words: Sequence[Hit]
    vectors: Sequence[Hit]


class VaultSearch:
    """Finds passages in one vault. Nothing that the reader may not read takes part in any step.

    Args:
        store: The vault's file.
        embedder: What made its vectors; ``None``: it is searched by words alone.
        ranker: What orders the first passages anew; ``None`` for nothing.
        settings: Fusion, shares and sizes.
    """

    def __init__(
        self,
        store: VaultStore,
        *,
        embedder: Embedder | None = None,
        ranker: PassageRanker | None = None,
        settings: SearchSettings = DEFAULT,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._ranker = ranker
        self._settings = settings
        self._told: set[str] = set()

    async def search(self, query: VaultQuery) -> Found:
        """Passages that answer, best first; none where nothing is like the question or the reader may read nothing.

        A missing or failing embedder or reranker makes the order worse and never the search fail: what is left answers.
        """
        generation = await self._store.generation()
        if query.limit < 1 or not query.text.strip():
            return Found(passages=(), generation=generation, filters=query.filters)
        vector = await self._vector(query.text)
        hits = await self._hits(query, query.filters, vector)
        filters = query.filters
        if query.infer_filters and (hits.words or hits.vectors):
            hits, filters = await self._narrowed(query, vector, hits)
        scores = fused(hits.words, hits.vectors, fusion=self._settings.fusion, share=self._settings.words)
        order = list(scores)[: self._settings.candidates]
        passages = await self._store.passages(order[: self._wanted(query)], reader=query.reader)
        scores = await self._again(query.text, passages, scores)
        words, vectors = ({hit.chunk_id: hit.score for hit in half} for half in (hits.words, hits.vectors))
        scored = sorted(
            (
                replace(
                    each,
                    score=scores[each.chunk_id],
                    words_score=words.get(each.chunk_id, 0.0),
                    vector_score=vectors.get(each.chunk_id, 0.0),
                )
                for each in passages
            ),
            key=lambda each: (-each.score, each.chunk_id),
        )
        return Found(
            passages=await self._joined(query, scored, generation),
            support=support(query.text, scored, words=hits.words, vectors=hits.vectors, embedder=self._model),
            generation=generation,
            filters=filters,
            support_at=support_threshold(self._settings, has_vectors=bool(hits.vectors), embedder=self._model),
        )

    @property
    def _model(self) -> str:
        return self._embedder.model if self._embedder is not None else self._settings.embedder

    def _wanted(self, query: VaultQuery) -> int:
        """How many pieces are read: neighbours become one passage, so more than passages."""
        again = self._settings.reranked if self._ranker is not None else 0
        cut = SOURCES_MAX if query.characters_max else 0
        return max(4 * query.limit, again, cut)

    async def _vector(self, text: str) -> bytes | None:
        if self._embedder is None:
            if self._settings.embedder:
                self._tell(
                    "embedder", f"The model {self._settings.embedder!r} is not here: vaults are searched by words."
                )
            return None
        try:
            return await self._embedder.query(text)
        except VaultError as error:
            self._tell("vector", f"A vault is searched by words alone, since its embedder fails: {error.code}.")
            return None

    async def _hits(self, query: VaultQuery, filters: Filters, vector: bytes | None) -> _Hits:
        reader, limit = query.reader, self._settings.candidates
        by_words = self._store.search_words(query.text, reader=reader, filters=filters, limit=limit)
        if vector is None:
            return await self._without(query, _Hits(await by_words, ()))
        by_vectors = self._store.search_vectors(vector, reader=reader, filters=filters, limit=limit)
        words, vectors = await asyncio.gather(by_words, by_vectors)
        return await self._without(query, _Hits(words, vectors))

    async def _without(self, query: VaultQuery, hits: _Hits) -> _Hits:
        """What was found but for pieces of documents that are passed over."""
        if not query.without:
            return hits
        numbers = list(dict.fromkeys(hit.chunk_id for hit in (*hits.words, *hits.vectors)))
        found = await self._store.passages(numbers, reader=query.reader)
        kept = {each.chunk_id for each in found if each.document.id not in query.without}
        words, vectors = ([hit for hit in half if hit.chunk_id in kept] for half in (hits.words, hits.vectors))
        return _Hits(words, vectors)

    async def _narrowed(self, query: VaultQuery, vector: bytes | None, hits: _Hits) -> tuple[_Hits, Filters]:
        """What the question's own words narrow the search to; all of it where that would lose what answers."""
        meant = said.meant_by(query.text)
        if not meant.anything:
            return hits, query.filters
        inferred = await self._inferred(meant, query)
        filters = said.both(query.filters, inferred)
        if filters is None or filters == query.filters:
            return hits, query.filters
        narrow = await self._hits(query, filters, vector)
        return (narrow, filters) if _keeps(narrow, hits) else (hits, query.filters)

    async def _inferred(self, meant: said.Meant, query: VaultQuery) -> Filters:
        """What of that is like documents that the reader may read, and not like all of them."""
        found = Filters(written_from=meant.written_from, written_to=meant.written_to)
        if found != ANYTHING and not await self._some(found, query.reader):
            found = ANYTHING
        for author in meant.authors:
            if await self._some(Filters(authors=(author,)), query.reader):
                found = replace(found, authors=(*found.authors, author))
        files = [file for file in meant.files if await self._some(Filters(sources=(file,)), query.reader)]
        if files:
            return replace(found, sources=tuple(files))
        titled: dict[str, tuple[str, ...]] = {}
        for name in meant.names:
            # What can mean nothing for sure isn't looked for.
            if not meant.years and " " not in name:
                continue
            named = await self._store.documents(
                reader=query.reader, filters=Filters(sources=(name,)), limit=_DOCUMENTS_MAX
            )
            if len(named) < _DOCUMENTS_MAX and (ids := said.titled(named, name, meant.years)):
                titled[name] = ids
        return replace(
            found, sources=tuple(titled), documents=tuple(dict.fromkeys(chain.from_iterable(titled.values())))
        )

    async def _some(self, filters: Filters, reader: Reader) -> bool:
        return bool(await self._store.documents(reader=reader, filters=filters, limit=1))

    async def _again(self, question: str, passages: Sequence[Passage], scores: dict[int, float]) -> dict[int, float]:
        """Scores with the first passages ordered anew."""
        first = passages[: self._settings.reranked]
        if self._ranker is None or not first:
            return scores
        try:
            anew = await self._ranker.scores(question, [_ranked_text(each) for each in first])
        except VaultError as error:
            self._tell("ranker", f"Passages are not ordered anew, since the reranker fails: {error.code}.")
            return scores
        return reranked(scores, {each.chunk_id: score for each, score in zip(first, anew, strict=True)})

    async def _joined(self, query: VaultQuery, scored: Sequence[Passage], generation: int) -> tuple[Passage, ...]:
        if query.characters_max:
            rarity = await self._store.rarity(query.text, reader=query.reader)
            # Some ten milliseconds, which nobody else should wait for.
            parts = await asyncio.to_thread(parts_of, query.text, scored[:SOURCES_MAX], rarity)
            taken = chosen(
                parts, limit=query.limit, characters_max=query.characters_max, joined_max=JOINED_PARTS_CHARACTERS_MAX
            )
        else:
            taken = chosen(scored, limit=query.limit)
        texts: dict[str, str] = {}
        for document in texts_wanted(taken):
            text = await self._store.text(document, reader=query.reader)
            if text is not None:
                texts[document] = text
        if texts and await self._store.generation() != generation:
            texts = await self._unchanged(texts, scored, query.reader)
        return tuple(whole for each in taken if (whole := each.whole(texts)) is not None)

    async def _unchanged(self, texts: dict[str, str], scored: Sequence[Passage], reader: Reader) -> dict[str, str]:
        """Those of documents that are what they were when their pieces were read.

        Else a newer text, whose label may be stricter, would go by the older one's label.
        """
        kept: dict[str, str] = {}
        known = {each.document.id: each.document for each in scored}
        for name, text in texts.items():
            now, before = await self._store.document(name, reader=reader), known[name]
            if now is not None and (now.sha256, now.label) == (before.sha256, before.label):
                kept[name] = text
        return kept

    def _tell(self, what: str, message: str) -> None:
        """Say it once: a search that works worse is no error, and nothing to be said at each."""
        if what not in self._told:
            self._told.add(what)
            log.warning(message)


def _keeps(narrow: _Hits, wide: _Hits) -> bool:
    """Whether what was narrowed still holds an answer that is about as good as the best of all.

    By the best hit of either half: the scores of one half are comparable, since filters don't change them.
    """
    by_words = bool(narrow.words) and narrow.words[0].score >= _NARROWED_WORDS_AT * wide.words[0].score
    by_vectors = bool(narrow.vectors) and narrow.vectors[0].score >= wide.vectors[0].score - _NARROWED_VECTOR_AT
    return by_words or by_vectors


def _ranked_text(passage: Passage) -> str:
    return "\n".join(filter(None, (" › ".join(passage.heading), passage.text)))
