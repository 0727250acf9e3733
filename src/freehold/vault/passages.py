"""Which found pieces are given: the best within the budget, neighbours as one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.vault import Passage

JOINED_CHARACTERS_MAX = 4000
"""Longest passage that neighbours are joined to: a longer one is no place that can be shown."""
JOINED_PARTS_CHARACTERS_MAX = 2400
"""The same for parts of pieces, which are chosen to be short."""
_BLANKS_MAX = 8
"""Neighbours have no more than blanks between them, and seldom more than an empty line."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Neighbouring pieces of one document, in its order."""

    pieces: tuple[Passage, ...]

    @property
    def length(self) -> int:
        """Characters of the whole, the blanks between the pieces among them."""
        return self.pieces[-1].end - self.pieces[0].start

    def adjoins(self, piece: Passage) -> bool:
        """Whether a piece is the one before or behind: all of a text but blanks is in some piece."""
        first, last = self.pieces[0], self.pieces[-1]
        if piece.document.id != first.document.id:
            return False
        return 0 <= first.start - piece.end <= _BLANKS_MAX or 0 <= piece.start - last.end <= _BLANKS_MAX

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
            start=first.start,
            end=last.end,
            page=first.page,
            heading=first.heading,
            text=text[first.start : last.end],
            words_score=max(each.words_score for each in self.pieces),
            vector_score=max(each.vector_score for each in self.pieces),
        )


def chosen(
    scored: Sequence[Passage], *, limit: int, characters_max: int = 0, joined_max: int = JOINED_CHARACTERS_MAX
) -> list[Joined]:
    """The best pieces, best first, as at most ``limit`` passages.

    A piece that adjoins one that is taken makes that longer. Without a budget the first piece that would be a passage
    too many ends it. With one, later pieces may still make passages longer while there is room; a piece that is too
    long for what is left is left out. The first is always taken: an answer from too much is better than from nothing.

    Args:
        scored: Pieces, best first, none overlapping.
        limit: Passages at most.
        characters_max: Of all of them together; 0 for no bound.
        joined_max: Characters of one that was joined.
    """
    taken: list[Joined] = []
    for piece in scored:
        beside = [each for each in taken if each.adjoins(piece)]
        wider = _joined(piece, beside, joined_max)
        if wider is None:
            beside = []
            if len(taken) >= limit:
                if not characters_max:
                    break
                continue
        length = sum(each.length for each in taken if each not in beside)
        if taken and characters_max and length + (wider or Joined((piece,))).length > characters_max:
            continue
        if wider is None:
            taken.append(Joined((piece,)))
        else:
            taken[taken.index(beside[0])] = wider
            taken = [each for each in taken if each not in beside[1:]]
    return taken


def _joined(piece: Passage, beside: Sequence[Joined], characters_max: int) -> Joined | None:
    """A piece with all that it adjoins; ``None`` where that is nothing, or too long."""
    if not beside:
        return None
    wider = Joined((piece,)).with_piece(*(other for each in beside for other in each.pieces))
    return wider if wider.length <= characters_max else None


def texts_wanted(taken: Iterable[Joined]) -> list[str]:
    """Documents whose text is needed, since pieces of it were joined."""
    return list(dict.fromkeys(each.pieces[0].document.id for each in taken if len(each.pieces) > 1))
