"""An answer from documents on its way to the client: its quotes checked, its sources told.

Wraps a surface's sink, as ``gateway.guard`` does, and stands *behind* the guard and ``FoundSink``
(``guarded(FoundSink(CitingSink(sink, …), …), …)``): what is checked is what is shown, and places in it are right. Text is
held back until a sentence, and every quote in it, is over; then it goes on as ``vault.cite`` gives it. With the last event
come ``annotations`` on the turn and one member ``vault`` beside ``choices``, which every dialect passes on as it does
``freehold``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.vault import NOT_IN_DOCUMENTS, Found
from freehold.gateway.answer import PassingSink, Sink
from freehold.vault.cite import Cited, CiteOptions, Citer
from freehold.wire.citations import annotations_of, citations_told
from freehold.wire.openai_whole import Aggregator
from freehold.wire.vault_ask import VAULT

JsonObject = dict[str, Any]

MEMBER = VAULT
"""The member of an answer that tells what of the documents is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitingOptions:
    """How an answer is checked and shown.

    Attributes:
        cite: Question, numbers behind sentences, and what is written behind one without support.
        quotes: Whether citations tell the document's own words. Not where values are taken out of answers
            (``redact_answers``): they would be in there.
        abstains: Whether the whole answer is not good enough to be shown, from itself checked and the mean
            log-probability of its tokens (``None`` where the engine gave none); then ``abstention`` is said instead.
        holds: Whether an answer is held back whole for that. Else it is shown as it comes, and told as ``doubted`` at its
            end where it would not have been shown.
        abstention: What is said instead.
    """

    cite: CiteOptions = field(default_factory=CiteOptions)
    quotes: bool = True
    abstains: Callable[[Cited, float | None], bool] | None = None
    holds: bool = True
    abstention: str = NOT_IN_DOCUMENTS


def vault_member(
    found: Found, cited: Cited | None = None, *, quotes: bool = True, abstained: bool = False, doubted: bool = False
) -> JsonObject:
    """The member ``vault`` of an answer.

    Args:
        found: What was found for it; a generation of 0 is not told.
        cited: The answer, checked; ``None`` where no model was asked.
        quotes: Whether citations tell the document's own words.
        abstained: The documents do not say, and so the answer does.
        doubted: It is shown, but would not have been had that not begun before it was known.
    """
    return {
        "citations": citations_told(cited.citations, quotes=quotes) if cited is not None else [],
        "unsupported": [{"start": start, "end": end} for start, end in cited.unsupported] if cited is not None else [],
        "quotes": dict(cited.quotes) if cited is not None else {},
        **({"generation": found.generation} if found.generation else {}),
        "support": found.support,
        "claims": cited.claims if cited is not None else 0,
        "supported": cited.claims - len(cited.unsupported) if cited is not None else 0,
        "abstained": abstained,
        "doubted": doubted,
    }


class CitingSink(PassingSink):
    """Passes an answer on, checked against the passages of its prompt; implements ``gateway.answer.Sink``.

    An answer that is JSON for a program is passed on as it is, without citations.

    Args:
        sink: Where it goes.
        found: What was found; its passages are those of the prompt, numbered from 1 in their order.
        request: What the client asked for.
        options: How it is checked and shown.
    """

    __slots__ = (
        "_abstained", "_citer", "_found", "_has_said", "_head", "_held", "_is_json", "_is_over", "_logprobs", "_options", "_request",
    )  # fmt: skip

    def __init__(
        self, sink: Sink, found: Found, request: InferenceRequest, options: CitingOptions | None = None
    ) -> None:
        super().__init__(sink)
        self._found = found
        self._request = request
        self._options = options or CitingOptions()
        self._citer = Citer(found.passages, self._options.cite)
        self._is_json = request.response_schema_json is not None
        self._held: list[str] = []
        self._logprobs: list[float] = []
        self._head: JsonObject = {}
        self._abstained = False
        self._has_said = False
        self._is_over = False

    def chunk(self, chunk: ResponseChunk) -> None:
        """One event of a stream; what is checked of it goes on."""
        for each in self._pieces(chunk):
            self._sink.chunk(each)

    def collected(self, answer: Aggregator) -> None:
        """A whole answer, checked as one event."""
        request = self._request
        payload = answer.whole(request, model=request.model)
        choice = cast("JsonObject", payload["choices"][0])
        if request.task is Task.CHAT:
            choice["delta"] = choice.pop("message")
        event = ResponseChunk(
            payload=payload,
            text=answer.text,
            tool_call=bool(answer.tool_calls),
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            logprobs=answer.logprobs,
            timings=answer.timings,
        )
        told = Aggregator()
        for each in (*self._pieces(event), *self._ended()):
            told.add(each)
        self._sink.collected(told)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The end; what an answer that never said that it ended still has, goes before it."""
        if self._request.stream:
            for each in self._ended():
                self._sink.chunk(each)
        self._sink.finished(receipt, end=end)

    @property
    def _is_chat(self) -> bool:
        return self._request.task is Task.CHAT

    def _pieces(self, chunk: ResponseChunk) -> Iterator[ResponseChunk]:
        """What a client gets of an event: its text as far as it is checked, everything else as it is."""
        payload = chunk.payload
        self._logprobs += [each.logprob for each in chunk.logprobs]
        choices = cast("list[JsonObject]", (payload or {}).get("choices") or [])
        if payload is None or not choices or self._is_over:
            yield chunk
            return
        self._head = {name: each for name, each in payload.items() if name not in ("choices", "usage", MEMBER)}
        choice, others = choices[0], choices[1:]
        said = cast("JsonObject", (choice.get("delta") or {}) if self._is_chat else choice)
        name = "content" if self._is_chat else "text"
        given = said.get(name)
        text = self._checked(given) if isinstance(given, str) else ""
        is_end = chunk.finish_reason is not None
        if is_end or said.get("tool_calls"):
            text += self._rest()
        told: JsonObject = {each: value for each, value in said.items() if each != name}
        if text or (isinstance(given, str) and (is_end or not given or "role" in said)) or not self._is_chat:
            told[name] = text
        elif isinstance(given, str) and not told and chunk.usage is None and choice.get("logprobs") is None:
            return
        elif name in said and not isinstance(given, str):
            told[name] = given
        member: JsonObject = {}
        if is_end:
            self._is_over = True
            member = self._member(told, before=member_of(payload))
        whole = {**choice, "delta": told} if self._is_chat else {**choice, **told}
        yield replace(chunk, payload={**payload, "choices": [whole, *others], **member}, text=text)

    def _ended(self) -> Iterator[ResponseChunk]:
        """The end of an answer that never said that it ended."""
        if self._is_over:
            return
        self._is_over = True
        text = self._rest()
        told: JsonObject = {"content" if self._is_chat else "text": text}
        member = self._member(told)
        choice: JsonObject = {"index": 0, "finish_reason": FinishReason.STOP.value}
        choice |= {"delta": told} if self._is_chat else told
        yield ResponseChunk(
            payload={**self._head, "choices": [choice], **member}, text=text, finish_reason=FinishReason.STOP
        )

    def _checked(self, piece: str) -> str:
        if self._is_json:
            return piece
        self._has_said = self._has_said or _has_words(piece)
        if self._options.abstains is not None and self._options.holds:
            self._held.append(piece)
            return ""
        return self._citer.feed(piece)

    def _rest(self) -> str:
        """What is left of the text; the whole of it, or what is said instead, where it was held back for that."""
        if not self._options.holds:
            text = self._citer.close()
            return self._instead() if self._says_nothing() else text
        text = self._citer.feed("".join(self._held)) + self._citer.close()
        self._held.clear()
        return self._instead() if self._says_nothing() or self._is_not_good_enough() else text

    def _says_nothing(self) -> bool:
        """Whether nothing is left of what was said, and so nothing was shown: numbers of documents are no answer."""
        may_abstain = self._options.abstains is not None and not self._abstained
        return may_abstain and self._has_said and not _has_words(self._citer.cited.text)

    def _instead(self) -> str:
        self._abstained = True
        return self._options.abstention

    def _is_not_good_enough(self) -> bool:
        """Whether the documents do not say what the answer says; none has no text, and JSON is no sentence."""
        abstains, cited = self._options.abstains, self._citer.cited
        if abstains is None or self._is_json or not cited.text.strip():
            return False
        return abstains(cited, sum(self._logprobs) / len(self._logprobs) if self._logprobs else None)

    def _member(self, said: JsonObject, before: JsonObject | None = None) -> JsonObject:
        """What is told at the end: annotations go to ``said``, the member is returned, with what it said before."""
        quotes = self._options.quotes
        cited = None if self._abstained else self._citer.cited
        if cited is not None and cited.citations and self._is_chat:
            given = cast("list[JsonObject]", said.get("annotations") or [])
            said["annotations"] = [*given, *annotations_of(cited.citations, quotes=quotes)]
        abstained = self._abstained or self._citer.cited.refused
        doubted = not abstained and not self._options.holds and self._is_not_good_enough()
        told = vault_member(self._found, cited, quotes=quotes, abstained=abstained, doubted=doubted)
        return {MEMBER: (before or {}) | told}


def member_of(payload: Mapping[str, object]) -> JsonObject:
    """The member ``vault`` of an answer, or an empty object."""
    given = payload.get(MEMBER)
    return cast("JsonObject", given) if isinstance(given, dict) else {}


def _has_words(text: str) -> bool:
    return any(each.isalnum() for each in text)
