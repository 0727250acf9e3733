"""What is left of a request once data are taken out of it: a request of its own, with a lower label where that is shown.

Pure functions take out and lower; here they get what they need, and each use is an entry in the audit log.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, ParamSpec, TypeVar

import msgspec

from freehold.domain.declassified import Act, Declassified
from freehold.domain.deployment import Declassify
from freehold.domain.errors.base import FreeholdError
from freehold.domain.findings import DetectRules, Finding, Scan
from freehold.domain.labels import Label
from freehold.domain.receipt import AuditRecord
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.trust import TrustRules
from freehold.gateway.footing import Footing
from freehold.gateway.looking import AT_ONCE_BYTES_MAX, texts_of
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.restoring import Restoring
from freehold.gateway.runtime import Services
from freehold.policy.detected import heeded
from freehold.policy.message_texts import MessageTexts, texts_of_body, with_body_texts
from freehold.policy.pseudonyms import OPENING, PseudonymMap, pseudonymise
from freehold.policy.redact import lowered, redact
from freehold.policy.text import format_label
from freehold.wire.openai_request import decode_chat, decode_completion

P = ParamSpec("P")
T = TypeVar("T")

EVENT = "declassify"
ROUNDS_MAX = 3
"""Of looking through what is left: what a detector first sees in other company is taken out, too."""

_ACTS = {Declassify.REDACT: Act.REDACT, Declassify.PSEUDONYMISE: Act.PSEUDONYMISE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Less:
    """What is left of a request.

    Attributes:
        request: It, as it may go.
        declassified: What was done, and its label.
        pseudonyms: What restores the answer; empty where nothing does.
    """

    request: InferenceRequest
    declassified: Declassified
    pseudonyms: PseudonymMap

    def record(self, services: Services, draft: ReceiptDraft) -> None:
        """Put it into the audit log: what was taken out is counted, never told.

        Raises:
            AuditError: It cannot be recorded; then it must not go.
        """
        done = self.declassified
        detail: dict[str, object] = {
            "act": done.act.value,
            "counts": [f"{word}:{count}" for word, count in sorted(done.counts.items())],
            "label_in": format_label(done.before),
            "label_out": format_label(done.label),
        }
        services.audit.append(
            AuditRecord(
                event=EVENT,
                unix_ms=services.clock.unix_ms(),
                tenant=draft.principal.tenant.name,
                request_id=draft.request.id,
                detail=detail,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What goes to a deployment in the place of the request.

    Attributes:
        less: It.
        footing: What holds for it.
    """

    less: Less
    footing: Footing

    def restoring(self, label: Label, request: InferenceRequest, trust: TrustRules) -> Restoring | None:
        """What puts back into its answer what was taken out; ``None`` where that is gone for good.

        Args:
            label: The whole request's.
            request: It.
            trust: What tools do.
        """
        if self.less.declassified.act is not Act.PSEUDONYMISE:
            return None
        return Restoring(self.less.pseudonyms, label=label, request=request, trust=trust)


class _Taken(NamedTuple):
    """Texts without what was found: how much and of which kinds that was, and what restores it."""

    texts: Sequence[str]
    counts: Mapping[str, int]
    kinds: frozenset[str]
    pseudonyms: PseudonymMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Declassifier:
    """Takes data out of one request, as its route says."""

    services: Services
    draft: ReceiptDraft
    rules: DetectRules
    act: Declassify

    async def less(self, label: Label) -> Less | None:
        """What is left, if its label is lower; ``None`` where it is not, or nothing can be taken out.

        Args:
            label: The whole request's.
        """
        request = self.draft.request
        if not request.is_generated or not request.fields or (request.native is not None and request.native.only):
            return None
        try:
            found = await self._left(label)
        except FreeholdError as error:  # its key cannot be read, or what is left is no request: then the text stays
            self.draft.detours.append(f"{_ACTS[self.act].value}: what is left cannot be made ({error.code})")
            return None
        if not found.declassified.lowered:
            self.draft.detours.append(f"{_ACTS[self.act].value}: {found.declassified.reason}")
            return None
        return found

    async def _left(self, label: Label) -> Less:
        """What is left, whatever its label is."""
        request, act = self.draft.request, _ACTS[self.act]
        members, body = await self._aside(_members_of, request)
        until_s = self.services.clock.monotonic_s() + self.rules.within_s
        found = [list(each) for each in (await self._scanned(body.texts, until_s)).findings]
        rounds = 0
        while True:
            rounds += 1
            taken, left = await self._aside(self._made, members, body, found)
            looked_at, unseen = await texts_of(left)
            again = await self._scanned(looked_at, until_s)
            if rounds == ROUNDS_MAX or not await self._aside(_also, found, body.texts, looked_at, again):
                break
        if unseen:
            again = replace(again, complete=False, why=again.why or unseen)
        done = lowered(label, act=act, kinds=taken.kinds, counts=taken.counts, again=again, unread=body.unread)
        return Less(request=left, declassified=done, pseudonyms=taken.pseudonyms)

    async def _aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have something done that takes as long as the request is: a long one must not keep others waiting."""
        if self.draft.request.body_bytes > AT_ONCE_BYTES_MAX:
            return await asyncio.to_thread(work, *args, **kwargs)
        return work(*args, **kwargs)

    def _made(
        self, members: dict[str, object], body: MessageTexts, found: Sequence[Sequence[Finding]]
    ) -> tuple[_Taken, InferenceRequest]:
        taken = self._taken(body.texts, found)
        return taken, remade(self.draft.request, with_body_texts(members, taken.texts))

    async def _scanned(self, texts: Sequence[str], until_s: float) -> Scan:
        scan = await self.services.detector.scan(
            texts,
            deadline_s=until_s,
            tenant=self.draft.principal.tenant.name,
            names=self.rules.names and self.draft.request.suffix is None,
        )
        return heeded(texts, scan, self.rules.ignore)

    def _taken(self, texts: Sequence[str], found: Sequence[Sequence[Finding]]) -> _Taken:
        if self.act is Declassify.REDACT:
            redacted = redact(texts, found)
            return _Taken(redacted.texts, redacted.counts, redacted.kinds, PseudonymMap())
        key = conversation_key(self.services.pseudonym_key(self.draft.principal.tenant.name), self.draft.request)
        done = pseudonymise(texts, found, key)
        return _Taken(done.texts, done.counts, done.kinds, done.map)


def conversation_key(key: bytes, request: InferenceRequest) -> bytes:
    """The key of a conversation's pseudonyms: all turns begin alike, up to the user's first words.

    Args:
        key: The tenant's.
        request: Any turn of it.
    """
    begin: list[str] = [request.prompt]
    for message in request.messages:
        begin += (message.role, message.text)
        if message.role == "user":
            break
    return hmac.digest(key, msgspec.json.encode(begin), "sha256")


def remade(request: InferenceRequest, members: dict[str, object]) -> InferenceRequest:
    """The same request with other members, as it would have come."""
    decode = decode_chat if request.task is Task.CHAT else decode_completion
    made = decode(msgspec.json.encode(members), request_id=request.id, label_header=request.label_header)
    return replace(
        made,
        stream=request.stream,
        include_usage=request.include_usage,
        include_receipt=request.include_receipt,
        traceparent=request.traceparent,
        client_request_id=request.client_request_id,
        priority=request.priority,
        answer_paths=request.answer_paths,
        purpose=request.purpose,
        for_request=request.for_request,
        is_external=request.is_external,
    )


def _members_of(request: InferenceRequest) -> tuple[dict[str, object], MessageTexts]:
    members: dict[str, object] = {name: msgspec.json.decode(raw) for name, raw in request.fields.items()}
    return members, texts_of_body(members)


def _also(found: list[list[Finding]], texts: Sequence[str], looked_at: Sequence[str], again: Scan) -> bool:
    """Add to what was found what was found again, wherever it stands; whether there was anything to add."""
    added = False
    for text, findings in zip(looked_at, again.findings, strict=True):
        for each in findings:
            value = text[each.start : each.end]
            if not value.strip() or OPENING in value:
                continue
            for place, whole in enumerate(texts):
                start = whole.find(value)
                while start >= 0:
                    found[place].append(replace(each, start=start, end=start + len(value)))
                    added = True
                    start = whole.find(value, start + len(value))
    return added
