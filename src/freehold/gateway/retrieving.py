"""Private documents before the decision: what is found joins the prompt and the label, and then policy is asked.

No passage reaches any body before the request is decided with the labels of all of them. What cannot be searched is
refused: its caller asked for documents, and an answer without them would pass for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from freehold.domain.deployment import Deployment, Route
from freehold.domain.errors.vault import VaultNoRoom, VaultNothingAsked
from freehold.domain.identity import Scope, reader_of
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.request import InferenceRequest, Purpose, Task
from freehold.domain.retrieved import Retrieved, RetrievedDocument
from freehold.domain.vault import ANSWER_TOKENS, DEFAULT_VAULT, Found, Passage, VaultAsk, VaultQuery
from freehold.gateway.flow import label_of_text
from freehold.gateway.footing import Asking, Footing, Footings
from freehold.gateway.grounding import INSTRUCTION, framed, question_of, with_passages
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.gateway.standing import Patience, Standing
from freehold.policy.lattice import bottom, join, leq
from freehold.policy.text import format_label

STEP = "retrieve"
ORIGIN = "vault"
"""Of a label's source that is a document."""

PASSAGES = 8
"""Passages at most where nobody says how many."""

_TEMPLATE_TOKENS = 256
_BYTES_PER_TOKEN = 3
"""Of a prompt, rather too few: what is too long for a context is refused by its engine."""

_ROOM_BYTES_MIN = 600

_ROUNDS_MAX = 4
"""Searches for what takes the place of passages that may not leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """What was found for a request, and what holds for it with that.

    Attributes:
        footing: With the labels of all passages joined.
        asking: Who asks.
        ask: What the request wants of the vault.
        vault: Which one was searched.
        question: What was looked for.
        found: What the search gave.
        passages: Those in the prompt, in its order: the first is [1].
    """

    footing: Footing
    asking: Asking
    ask: VaultAsk
    vault: str
    question: str
    found: Found
    passages: tuple[Passage, ...]

    @property
    def abstains(self) -> bool:
        """Whether no model is asked: the documents do not say."""
        return not self.passages or not self.found.is_enough


def asks_vault(request: InferenceRequest, route: Route) -> VaultAsk | None:
    """What is to be looked for before a request is decided; ``None`` for nothing.

    A route's vault holds for every chat on it that its clients want answered; a request may narrow that, and name another.
    """
    if request.task is not Task.CHAT or request.purpose is not Purpose.ANSWER:
        return None
    ask = request.vault
    if ask is None:
        if not route.vault:
            return None
        ask = VaultAsk()
    return replace(
        ask,
        vault=ask.vault or route.vault or DEFAULT_VAULT,
        only_what_may_leave=ask.only_what_may_leave or route.only_what_may_leave,
    )


class Retrieving:
    """Looks for passages and joins them to a request. Has no state.

    Args:
        services: The vault is one of them.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ground(
        self,
        draft: ReceiptDraft,
        ask: VaultAsk,
        *,
        runtime: Runtime,
        footings: Footings,
        footing: Footing,
        asking: Asking,
    ) -> Grounding:
        """Put passages into the draft's request, and their labels into its label.

        Args:
            draft: The request's receipt in the making; its request and label are those with the passages then.
            ask: What is wanted.
            runtime: What is in force.
            footings: Where further footings are made.
            footing: What holds for the request without passages.
            asking: Who asks.

        Raises:
            VaultError: There is no such vault, no question, no room, or it cannot be searched.
            VaultLate: It is not searched within the time that the request may take.
            FreeholdError: Without any passage it would be refused, too.
        """
        draft.steps.append(STEP)
        question = question_of(draft.request)
        if not question:
            raise VaultNothingAsked(param="messages", vault=ask.vault)
        room_bytes = _room_bytes(draft.request, footing, ask.vault)
        query = VaultQuery(
            vault=ask.vault,
            text=question,
            reader=reader_of(draft.principal),
            limit=ask.limit or PASSAGES,
            characters_max=room_bytes,
            filters=ask.filters,
        )
        total_s = runtime.deadlines.total_s
        patience = Patience(clock=self._services.clock, until_s=draft.arrived_s + total_s, total_s=total_s)
        labels = _Labels(runtime, footings, footing, asking, vault=ask.vault)
        found, left_out = await self._searched(query, patience), Counter[str]()
        if ask.only_what_may_leave and found.passages:
            found, left_out = await self._that_may_leave(query, found, labels, draft.request, patience)
        passages = _that_fit(found.passages, room_bytes)
        grounding = Grounding(
            footing=footing, asking=asking, ask=ask, vault=ask.vault, question=question, found=found, passages=passages
        )
        draft.retrieved = Retrieved(
            vault=ask.vault,
            generation=found.generation if Scope.ADMIN in draft.principal.scopes else 0,
            support=found.support,
            documents=() if grounding.abstains else labels.told(passages),
            left_out=tuple(sorted(left_out.items())),
            abstained=grounding.abstains,
        )
        if grounding.abstains:
            return grounding
        raised, asking = labels.raised(passages)
        draft.standing = _standing(passages, query, raised.label, patience, runtime)
        draft.request = with_passages(draft.request, passages)
        draft.label, draft.label_text, draft.label_said = raised.label, raised.label_text, raised.label
        of_text = draft.label_sources[len(footing.sources) :]  # why the request's own text is not trusted
        draft.label_sources = (*raised.sources, *of_text) if of_text else raised.sources
        return replace(grounding, footing=raised, asking=asking)

    async def _searched(self, query: VaultQuery, patience: Patience) -> Found:
        """What is found; a search that hangs holds no request beyond its deadline.

        Raises:
            VaultLate: It took longer than the request may.
            VaultError: It cannot be searched.
        """
        return await patience.wait(self._services.vault.search(query), vault=query.vault)

    async def _that_may_leave(
        self, query: VaultQuery, found: Found, labels: _Labels, request: InferenceRequest, patience: Patience
    ) -> tuple[Found, Counter[str]]:
        """What is found of what may leave: where a passage may not, those of further ranks take its place.

        Looked for again without its document, and with no clearance beyond what may leave, so that no number of
        documents above that hides one below. What is counted is what the asker may read: nothing else is ever found.

        Raises:
            VaultLate: As ``_searched``.
            VaultError: As there.
        """
        left_out, without = Counter[str](), set[str]()
        kept, dropped = labels.that_may_leave(found.passages, request)
        for _ in range(_ROUNDS_MAX):
            left_out.update(labels.of(each).level.word for each in dropped)
            if not dropped:
                break
            without |= {each.document.id for each in dropped}
            clearance = min(query.reader.clearance, labels.highest(request))
            query = replace(query, without=frozenset(without), reader=replace(query.reader, clearance=clearance))
            found = await self._searched(query, patience)
            kept, dropped = labels.that_may_leave(found.passages, request)
        return replace(found, passages=kept), left_out


class _Labels:
    """What the labels of passages do to a request's."""

    def __init__(self, runtime: Runtime, footings: Footings, footing: Footing, asking: Asking, *, vault: str) -> None:
        self._tree = runtime.tree
        self._is_trusted = vault in runtime.trusted_vaults
        self._footings = footings
        self._footing = footing
        self._asking = asking
        self._vault = vault

    def of(self, passage: Passage) -> Label:
        """A passage's: its document's, and that it is somebody else's word."""
        label = label_of_text(passage.document.label, self._tree)
        return label if self._is_trusted else replace(label, trusted=False)

    def raised(self, passages: Sequence[Passage]) -> tuple[Footing, Asking]:
        """What holds for the request with passages, and who asks then."""
        sources = tuple(
            LabelSource(origin=ORIGIN, rule=f"{ORIGIN}:{name}", label=label)
            for name, label in {each.document.id: self.of(each) for each in passages}.items()
        )
        asking = self._asking
        if not self._is_trusted and not asking.untrusted:
            asking = asking._replace(untrusted=f"{ORIGIN}:{self._vault}")
        return self._footings.raised(asking, self._footing, sources), asking

    def told(self, passages: Sequence[Passage]) -> tuple[RetrievedDocument, ...]:
        """The documents, as a receipt tells of them."""
        counts = Counter(each.document.id for each in passages)
        found = {each.document.id: label_of_text(each.document.label, self._tree) for each in passages}
        own = replace(self._footing.label, trusted=False)
        return tuple(
            RetrievedDocument(id=name, label=format_label(label), passages=counts[name], raised=not leq(label, own))
            for name, label in found.items()
        )

    def that_may_leave(
        self, passages: Sequence[Passage], request: InferenceRequest
    ) -> tuple[tuple[Passage, ...], list[Passage]]:
        """Those with which the request goes where it would go first without any, and the others."""
        wanted = self._wanted(request)
        joined, kept, left_out = bottom(self._tree), list[Passage](), list[Passage]()
        for each in passages:
            both = join(joined, self.of(each))
            if both == joined or self._may_have(wanted, both):
                joined = both
                kept.append(each)
            else:
                left_out.append(each)
        return tuple(kept), left_out

    def highest(self, request: InferenceRequest) -> Level:
        """The highest level of a document that may go along: above that none may, whatever else its label says."""
        wanted, least = self._wanted(request), bottom(self._tree)
        allowed = [
            level for level in Level if self._may_have(wanted, replace(least, level=level, trusted=self._is_trusted))
        ]
        return max(allowed, default=Level.PUBLIC)

    def _wanted(self, request: InferenceRequest) -> Deployment:
        return self._footing.plan(request).steps[0]

    def _may_have(self, wanted: Deployment, label: Label) -> bool:
        """Whether a deployment may have the request with text of a label, without anything taken out of it."""
        source = LabelSource(origin=ORIGIN, rule=ORIGIN, label=label)
        decision = self._footings.raised(self._asking, self._footing, (source,)).decision(wanted)
        return decision.allowed and not decision.is_declassified


def _standing(
    passages: Sequence[Passage], query: VaultQuery, label: Label, patience: Patience, runtime: Runtime
) -> Standing:
    """What the documents of a prompt are now, by which they are looked at again."""
    return Standing(
        vault=query.vault,
        reader=query.reader,
        documents={each.document.id: each.document.sha256 for each in passages},
        label=label,
        patience=patience,
        tree=runtime.tree,
    )


def _room_bytes(request: InferenceRequest, footing: Footing, vault: str) -> int:
    """Bytes that passages may take of a prompt: in the shortest context of the route that has room, else in the longest.

    Raises:
        VaultNoRoom: In none.
    """
    said = request.text_bytes // _BYTES_PER_TOKEN + _TEMPLATE_TOKENS + len(INSTRUCTION.encode()) // _BYTES_PER_TOKEN
    contexts = sorted(each.model.context_tokens for each in footing.deployments)
    for context in contexts:
        answer = min(request.sampling.max_tokens or ANSWER_TOKENS, context // 4)
        room_bytes = (context - answer - said) * _BYTES_PER_TOKEN
        if room_bytes >= _ROOM_BYTES_MIN:
            return room_bytes
    raise VaultNoRoom(vault=vault, tokens=said, context=max(contexts, default=0))


def _that_fit(passages: Sequence[Passage], room_bytes: int) -> tuple[Passage, ...]:
    """The first of them that fit; the very first one, cut, where not even that does."""
    kept: list[Passage] = []
    for each in passages:
        room_bytes -= len(framed(each, len(kept) + 1).encode())
        if room_bytes < 0:
            break
        kept.append(each)
    if kept or not passages:
        return tuple(kept)
    return (_cut(passages[0], room_bytes=room_bytes + len(framed(passages[0], 1).encode())),)


def _cut(passage: Passage, *, room_bytes: int) -> Passage:
    """The beginning of a passage that is longer than the room for it."""
    text = passage.text
    while text and len(framed(replace(passage, text=text), 1).encode()) > room_bytes:
        text = text[: len(text) * 3 // 4]
    return replace(passage, text=text, end=passage.start + len(text))
