"""An answer on its way to the client: its text cleaned, and in an untrusted context its calls held until a human decides.

Stands between the ladder and the surface's sink where policy says so, and nowhere else: all other answers never meet it.
What it passes on is made from a list of members that are known; a member that nobody here knows may carry anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from freehold.domain.decisions import PolicyDecision
from freehold.domain.errors.untrusted import ServerToolRefused
from freehold.domain.labels import Level
from freehold.domain.receipt import Receipt
from freehold.domain.request import Purpose, Task
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.trust import Approvals, Asker, HeldCall, HeldState, ToolCall
from freehold.gateway.answer import PassingSink, Sink
from freehold.gateway.cleaning import Channels, Cleaning
from freehold.gateway.footing import Footing
from freehold.gateway.held import Held
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime
from freehold.policy.already_said import AlreadySaid
from freehold.policy.links import Hosts
from freehold.policy.trust import (
    UNDECLARED,
    UNTRUSTED_TOOL,
    call_of,
    held_because,
    is_guarded,
    is_sanitised,
    server_tool,
    trusted_hosts,
)
from freehold.wire.openai_whole import Aggregator
from freehold.wire.said import said_in

JsonObject = dict[str, Any]

_KNOWN = frozenset({"id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"})
_NAMED_MAX = 64
_NO_END = ResponseChunk(payload=None)


def guarded(
    sink: Sink, draft: ReceiptDraft, footing: Footing, runtime: Runtime, approvals: Approvals, *, may_rise: bool = False
) -> Sink:
    """The sink itself, or one that guards it where the context and the route ask for that.

    Args:
        sink: Where the answer goes.
        draft: The request's receipt in the making.
        footing: What holds for it.
        runtime: What is in force.
        approvals: Where calls are held.
        may_rise: What detectors find may still raise the label to internal.

    Raises:
        ServerToolRefused: The context is untrusted, and the provider would run a tool of its own.
    """
    request, label = draft.request, draft.label
    if not request.is_generated or request.purpose is not Purpose.ANSWER:
        return sink  # what is asked on our own account is shown to nobody
    if may_rise and label.level < Level.INTERNAL:
        label = replace(label, level=Level.INTERNAL)
    holds, redacts = is_guarded(label), footing.route.redact_answers
    cleans = is_sanitised(label, footing.route.sanitise) and request.suffix is None  # an editor takes a fill-in as code
    if not holds and not cleans and not redacts:
        return sink
    because = next((each.rule for each in draft.label_sources if not each.label.trusted), "")
    if holds and (tool := server_tool(request)) is not None:
        raise ServerToolRefused(param=tool.field, because=because, field=tool.field)
    hosts = trusted_hosts(request, draft.label_sources, runtime.trust) if holds or cleans else Hosts()
    cleaning = Cleaning(
        hosts=hosts if cleans else None,
        is_json=request.response_schema_json is not None,
        keeps=AlreadySaid(lambda: said_in(draft.asked).texts) if redacts else None,
        calls=holds and not runtime.trust.is_all_harmless,
    )
    draft.cleaned = Channels(cleaning if cleans or redacts else None)
    return GuardedSink(
        sink,
        draft,
        channels=draft.cleaned,
        approvals=approvals if holds else None,
        needs_human=partial(held_because, request=request, rules=runtime.trust, hosts=hosts),
        because=because,
    )


class GuardedSink(PassingSink):
    """Passes an answer on, cleaned; implements ``gateway.answer.Sink``.

    Args:
        sink: Where it goes.
        draft: The request's receipt in the making.
        channels: Cleans its texts.
        approvals: Where calls are held; ``None`` where none is.
        needs_human: Why a call does; empty where it does not.
        because: What makes the context untrusted.
    """

    __slots__ = (
        "_approvals", "_because", "_calls", "_channels", "_draft", "_head", "_held", "_is_over", "_left", "_needs_human",
        "_settled", "_undeclared",
    )  # fmt: skip

    def __init__(
        self,
        sink: Sink,
        draft: ReceiptDraft,
        *,
        channels: Channels,
        approvals: Approvals | None,
        needs_human: Callable[[ToolCall], str],
        because: str,
    ) -> None:
        super().__init__(sink)
        self._draft = draft
        self._channels = channels
        self._approvals = approvals
        self._needs_human = needs_human
        self._because = because
        self._calls: list[JsonObject] = []
        self._held: list[tuple[HeldCall, str]] = []
        self._undeclared: list[str] = []
        self._head: JsonObject = {}
        self._is_over = False
        self._left: list[ResponseChunk] = []
        self._settled: Aggregator | None = None

    async def settle(self, held: Held) -> None:
        """Decide on every call of an answer, and clean what is left to send of it, before its receipt is kept.

        What was held and what was removed is on the receipt then. What comes after this is what was settled here.

        Raises:
            StorageFailed: What a human has decided cannot be told; then no call is made.
        """
        answer = held.run.collected
        await self._decide(answer)
        if self._draft.request.stream:
            self._left = [*(each for chunk in held.chunks for each in self._pieces(chunk)), *self._ended(_NO_END)]
            self._settled = answer
        else:
            self._settled = self._as_one(answer)

    async def _decide(self, answer: Aggregator) -> None:
        draft = self._draft
        waiting: list[tuple[JsonObject, str]] = []
        for each in answer.tool_calls:
            function = cast("JsonObject", each.get("function") or {})
            name = self._channels.words(str(function.get("name") or ""))
            arguments = self._channels.arguments(str(function.get("arguments") or ""))
            reason = self._needs_human(call_of(name, arguments)) if self._approvals is not None else ""
            told: JsonObject = {
                "id": self._channels.words(str(each.get("id") or "")) or f"call_{draft.request.id}_{len(self._calls)}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            if reason:
                waiting.append((told, reason))
            else:
                self._calls.append(told)
        if waiting and self._approvals is not None:
            await self._ask(waiting, self._approvals)

    async def _ask(self, waiting: list[tuple[JsonObject, str]], approvals: Approvals) -> None:
        draft = self._draft
        asker = Asker(
            tenant=draft.principal.tenant.name,
            key_id=draft.principal.key_id,
            request_id=draft.request.id,
            because=self._because,
            unix_ms=draft.clock.unix_ms(),
        )
        calls = [call_of(told["function"]["name"], told["function"]["arguments"]) for told, _ in waiting]
        settled = await approvals.settle(calls, asker)
        for (told, reason), found in zip(waiting, settled, strict=True):
            is_used = found.state is HeldState.USED
            why = (
                f"a human allowed it ({found.id})"
                if is_used
                else f"{reason}; the context is untrusted: {self._because}"
            )
            name = self._shown(found.call.name)
            decision = PolicyDecision(
                deployment=f"tool:{name}", allowed=is_used, rules=(UNTRUSTED_TOOL,), reasons=(why,)
            )
            draft.decisions = (*draft.decisions, decision)
            if is_used:
                self._calls.append(told)
            else:
                self._held.append((found, name))
                if reason == UNDECLARED and name not in self._undeclared:
                    self._undeclared.append(name)

    def chunk(self, chunk: ResponseChunk) -> None:
        """One event of a stream; of those that come after ``settle``, what is clean is there already."""
        if self._settled is None:
            for each in self._pieces(chunk):
                self._sink.chunk(each)

    def collected(self, answer: Aggregator) -> None:
        """A whole answer, as it was settled."""
        self._sink.collected(self._settled or self._as_one(answer))

    def _as_one(self, answer: Aggregator) -> Aggregator:
        """A whole answer, cleaned as one event."""
        request = self._draft.request
        payload = answer.whole(request, model=request.model)
        choice = cast("JsonObject", payload["choices"][0])
        said = choice.pop("message") if request.task is Task.CHAT else {"text": choice.get("text")}
        payload["choices"] = [{"delta": said} if request.task is Task.CHAT else said]
        told = Aggregator()
        event = ResponseChunk(
            payload=payload, finish_reason=answer.finish_reason, usage=answer.usage, timings=answer.timings
        )
        for each in (*self._pieces(event), *self._ended(_NO_END)):
            told.add(each)
        return told

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The end."""
        for each in self._left:
            self._sink.chunk(each)
        self._sink.finished(receipt, end=end)

    def _pieces(self, chunk: ResponseChunk) -> Iterator[ResponseChunk]:
        """What a client gets of an event: of its texts what is whole and clean, and nothing that is not known."""
        payload = chunk.payload
        if payload is None:
            return
        if head := {name: value for name, value in payload.items() if name in _KNOWN}:
            self._head = self._channels.head(head, chunk.usage)
        choices = cast("list[JsonObject]", payload.get("choices") or [])
        if not choices:
            yield ResponseChunk(payload={**self._head, "choices": []}, usage=chunk.usage, timings=chunk.timings)
            return
        said = choices[0].get("delta") if self._is_chat else choices[0]
        for told in self._channels.feed(cast("Mapping[str, object]", said or {})):
            yield self._event(told)
        if chunk.finish_reason is not None:
            yield from self._ended(chunk)

    def _ended(self, chunk: ResponseChunk) -> Iterator[ResponseChunk]:
        """The end of an answer, once: ``chunk``, or ``_NO_END`` for one that never said that it ended."""
        if self._is_over:
            return
        yield from self._rest()
        reason = chunk.finish_reason or FinishReason.STOP
        if self._calls:
            reason = FinishReason.TOOL_CALLS
        elif reason is FinishReason.TOOL_CALLS:
            reason = FinishReason.STOP
        yield self._event({}, finish=reason, usage=chunk, freehold=self._told())

    def _rest(self) -> Iterator[ResponseChunk]:
        """What is left at the end: text, calls that may be made, and a word on those that may not."""
        self._is_over = True
        for told in self._channels.close():
            yield self._event(told)
        if self._held:
            yield self._event({"content" if self._is_chat else "text": self._notice()})
        for place, call in enumerate(self._calls):
            yield self._event({"tool_calls": [{"index": place, **call}]})

    @property
    def _is_chat(self) -> bool:
        return self._draft.request.task is Task.CHAT

    def _event(
        self,
        said: JsonObject,
        *,
        finish: FinishReason | None = None,
        usage: ResponseChunk | None = None,
        freehold: JsonObject | None = None,
    ) -> ResponseChunk:
        head = self._head if usage is not None else {name: each for name, each in self._head.items() if name != "usage"}
        choice: JsonObject = {"index": 0, "finish_reason": None if finish is None else finish.value}
        choice |= {"delta": said} if self._is_chat else {"text": "", "logprobs": None, **said}
        return ResponseChunk(
            payload={**head, "choices": [choice], **({} if freehold is None else {"freehold": freehold})},
            text=str(said.get("content") or said.get("text") or ""),
            tool_call="tool_calls" in said,
            finish_reason=finish,
            usage=None if usage is None else usage.usage,
            timings=None if usage is None else usage.timings,
        )

    def _told(self) -> JsonObject:
        """What the extension member says of the answer."""
        return {
            "untrusted": self._because,
            "removed": dict(self._channels.removed),
            "held": [
                {"id": each.id, "tool": name, "state": each.state.value, "expires_unix_ms": each.expires_unix_ms}
                for each, name in self._held
            ],
        }

    def _notice(self) -> str:
        """What stands in the answer in place of calls that are held."""
        before = "\n\n" if self._channels.has_text else ""
        lines = [
            f"Freehold held back a call of the tool `{name}`: there is text in this conversation that nobody vouches for, "
            f"so a human must allow it. {_how(each)}"
            for each, name in self._held
        ]
        lines += [_how_to_declare(name) for name in self._undeclared]
        return before + "\n\n".join(lines)

    def _shown(self, name: str) -> str:
        """A tool's name where the client gave it; a model may write anything there."""
        is_offered = any(tool.name == name for tool in self._draft.request.tools)
        return (
            name[:_NAMED_MAX] if is_offered and name.replace("-", "_").replace(".", "_").isidentifier() else "unknown"
        )


def _how(held: HeldCall) -> str:
    """What can be done about a call that is held."""
    if held.state is HeldState.DENIED:
        return "It was denied."
    return f"`freehold approvals show {held.id}`" if held.id else "Nobody here can."


def _how_to_declare(tool: str) -> str:
    """What whoever runs the gateway can do about calls of a tool that nobody has said anything of."""
    key = f'"{tool}"' if "." in tool else tool
    return (
        f"Nobody has told Freehold what `{tool}` does. Its operator can: `[tools.{key}]` with `effect` `none` or `read`, and"
        " `trusted = true` if what it gives back is as good as your own words."
    )
