"""What of private documents went into a request, as its receipt tells it: ids, labels and counts, never a text or title."""

from __future__ import annotations

from freehold.domain.values import value


@value
class RetrievedDocument:
    """A document of which passages were put into the prompt.

    Attributes:
        id: Its own.
        label: How sensitive it is, as text.
        passages: How many of them.
        raised: Whether its label asks for more than the request's own: one that caused the label.
    """

    id: str
    label: str
    passages: int
    raised: bool = False


@value
class Retrieved:
    """What was looked for before a request was decided.

    Attributes:
        vault: Where.
        generation: Of its index, where an admin asked; else 0: it rises with changes of documents that others read.
        support: Calibrated probability that the passages hold the answer; ``None`` where nothing was measured.
        documents: Those that the prompt has passages of, in the order of their first ones.
        left_out: Passages that were left out since they may not leave, by the level of their label.
        abstained: No model was asked: the documents do not say.
    """

    vault: str
    generation: int = 0
    support: float | None = None
    documents: tuple[RetrievedDocument, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    abstained: bool = False
