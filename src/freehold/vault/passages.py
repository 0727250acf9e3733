"""Which found pieces are given: the best within the budget, neighbours as one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.vault import Passage

JOINED_CHARACTERS_MAX = 4000
"""Longest passage that neighbours are joined to: a longer one is no place that can be shown."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Neighbouring pieces of one document, in its order."""

    pieces: tuple[Passage, ...]

    @property
    def length(self) -> int:
        """Characters of the whole, the blanks between the pieces among them."""
        return self.pieces[-1].end - self.pieces[0].start

    def adjoins(self, piece: Passage) -> bool:
        """Whether a piece is the one before or behind: ids are in the order of the document, without gaps."""
        first, last = self.pieces[0], self.pieces[-1]
        return piece.document.id == first.document.id and piece.chunk_id in {first.chunk_id - 1, last.chunk_id + 1}

    def with_piece(self, *others: Passage) -> Joined:
        """The same, longer."""
        return Joined(tuple(sorted((*self.pieces, *others), key=lambda each: each.start)))

    def whole(self, texts: Mapping[str, str]) -> Passage | None:
        """One passage; ``None`` where its document is gone meanwhile.

        Args:
            texts: Whole texts by document, of those that ``texts_wanted`` said.
        """
        best = max(self.pieces, key=lambda each: each.score)
        if len(self.pieces) == 1:
            return best
        first, last = self.pieces[0], self.pieces[-1]
        text = texts.get(best.document.id)
        if text is None:
            return None
        return replace(
            best,
            chunk_id=best.chunk_id,
            start=first.start,
            end=last.end,
            page=first.page,
            heading=first.heading,
            text=text[first.start : last.end],
            words_score=max(each.words_score for each in self.pieces),
            vector_score=max(each.vector_score for each in self.pieces),
        )


def chosen(scored: Sequence[Passage], *, limit: int, characters_max: int = 0) -> list[Joined]:
    """The best pieces, best first, as at most ``limit`` passages.

    A piece that adjoins one that is taken makes that longer. The first piece that would be a passage too many ends it.
    A piece that is too long for what is left of the budget is left out, and shorter ones behind it may still fit; the
    first is always taken, since an answer from too much is better than from nothing.

    Args:
        scored: Pieces, best first.
        limit: Passages at most.
        characters_max: Of all of them together; 0 for no bound.
    """
    taken: list[Joined] = []
    for piece in scored:
        beside = [at for at, each in enumerate(taken) if each.adjoins(piece)]
        length = sum(each.length for each in taken)
        wider = None
        if beside:
            wider = Joined((piece,)).with_piece(*(each for at in beside for each in taken[at].pieces))
            if wider.length > JOINED_CHARACTERS_MAX:
                wider, beside = None, []
        elif len(taken) >= limit:
            break
        if wider is None and len(taken) >= limit:
            continue
        added = wider.length - sum(taken[at].length for at in beside) if wider else len(piece.text)
        if taken and characters_max and length + added > characters_max:
            continue
        if wider is None:
            taken.append(Joined((piece,)))
        else:
            taken[beside[0]] = wider
            for at in reversed(beside[1:]):
                del taken[at]
    return taken


def texts_wanted(taken: Iterable[Joined]) -> list[str]:
    """Documents whose text is needed, since pieces of it were joined."""
    return list(dict.fromkeys(each.pieces[0].document.id for each in taken if len(each.pieces) > 1))
