"""Answers in the shape of OpenAI's Responses API: a whole response, the events of a stream, and errors in it."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from freehold.domain.errors.base import FreeholdError
from freehold.domain.ids import uuid7_unix_ms
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.citations import output_text_annotations
from freehold.wire.leftovers import add_own, own_of
from freehold.wire.openai_response import error_envelope
from freehold.wire.openai_whole import Aggregator, thoughts_of
from freehold.wire.sse import encode_event
from freehold.wire.thoughts import sealed, thoughts_among
from freehold.wire.vault_ask import FILE_SEARCH_CALL, VAULT

JsonObject = dict[str, Any]

_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}
_REPEATED = frozenset(
    {"tools", "tool_choice", "metadata", "parallel_tool_calls", "reasoning_effort", "response_format"}
)
_MS_PER_S = 1000

# Kinds of items: the part or member that grows, and the events that tell of it.
_REASONING = "reasoning"
_TEXT = "output_text"
_REFUSAL = "refusal"
_CALL = "function_call"
_CITATION = "file_citation"


def response_of(answer: Aggregator, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The ``response`` object of a whole answer: the one with which its stream would have ended."""
    events = ResponseEvents(request)
    whole = answer.whole(request, model=request.model)
    said = cast("JsonObject", whole["choices"][0]["message"])
    delta = {**said, "tool_calls": [{**call, "index": i} for i, call in enumerate(said.get("tool_calls") or [])]}
    payload = {"choices": [{"delta": delta}], **own_of(whole)}
    events.add(ResponseChunk(payload=payload, finish_reason=answer.finish_reason))
    return events.response(receipt)


class ResponseEvents:
    """The events of one streamed answer: items of reasoning, text and calls of functions, one after another.

    Args:
        request: What the client asked for.
    """

    __slots__ = (
        "_annotations", "_begun", "_blocks", "_call", "_finish", "_item", "_kind", "_number", "_output", "_own",
        "_pieces", "_request",
    )  # fmt: skip

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self._begun = False
        self._number = -1
        self._output: list[JsonObject] = []
        self._item: JsonObject = {}
        self._kind = ""
        self._pieces: list[str] = []
        self._blocks: list[JsonObject] = []
        self._call = -1
        self._finish: FinishReason | None = None
        self._own: JsonObject = {}
        self._annotations: list[JsonObject] = []

    def add(self, chunk: ResponseChunk) -> bytes:
        """The events that one of chat comes to; empty for none.

        Raises:
            ValueError: A piece belongs to a call that ended before.
        """
        events = self._begin()
        self._finish = chunk.finish_reason or self._finish
        payload = chunk.payload or {}
        add_own(self._own, payload)
        events += self._searched(payload.get(VAULT))
        choices = cast("list[JsonObject]", payload.get("choices") or [{}])
        delta = cast("JsonObject", choices[0].get("delta") or {})
        if thoughts := thoughts_of(delta):
            events += self._piece(_REASONING, thoughts)
        if blocks := thoughts_among(delta.get("content_blocks")):
            events += self._signed(blocks)
        if text := delta.get("content"):
            events += self._piece(_TEXT, str(text))
        events += self._annotated(output_text_annotations(delta))
        if refusal := delta.get("refusal"):
            events += self._piece(_REFUSAL, str(refusal))
        for call in cast("list[JsonObject]", delta.get("tool_calls") or []):
            events += self._called(call)
        return events

    def end(self, receipt: Receipt) -> bytes:
        """The events with which a whole answer ends."""
        events = self._begin() + self._close()
        response = self.response(receipt)
        return events + self._event(f"response.{response['status']}", response=response)

    def response(self, receipt: Receipt) -> JsonObject:
        """The ``response`` object as it is now, ended."""
        self._close()
        reason = None if self._finish is None else _INCOMPLETE.get(self._finish)
        return {
            **_opening(self._request),
            "status": "completed" if reason is None else "incomplete",
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": self._output,
            "usage": render_usage(receipt.answer_usage),
            **self._own,
        }

    def error(self, error: FreeholdError) -> bytes:
        """The error as an event; the stream's regular end never follows it."""
        told = error_envelope(error, error_id=self._request.id)
        inner = told["error"]
        return self._event("error", code=inner["code"], message=inner["message"], param=inner["param"], **told)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response: JsonObject = {**_opening(self._request), "status": "in_progress", "output": [], "usage": None}
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def _searched(self, found: object) -> bytes:
        """The call of the tool ``file_search``, where the client gave that: it is over before the answer begins."""
        ask = self._request.vault
        if ask is None or not ask.is_tool or not isinstance(found, dict) or self._output or self._kind:
            return b""
        told = cast("JsonObject", found)
        item: JsonObject = {
            "id": self._identifier("fs"),
            "type": FILE_SEARCH_CALL,
            "status": "in_progress",
            "queries": told.get("queries") or [],
            "results": None,
        }
        events = self._event("response.output_item.added", output_index=0, item=item)
        for state in ("in_progress", "searching", "completed"):
            events += self._event(f"response.{FILE_SEARCH_CALL}.{state}", output_index=0, item_id=item["id"])
        if ask.tells_texts:
            item["results"] = [_result(each) for each in cast("list[JsonObject]", told.get("passages") or [])]
        item["status"] = "completed"
        events += self._event("response.output_item.done", output_index=0, item=item)
        self._output.append(item)
        return events

    def _annotated(self, annotations: list[JsonObject]) -> bytes:
        """Citations of the text that is open."""
        events = b""
        for each in annotations if self._kind == _TEXT else ():
            if each.get("type") == _CITATION:
                place = {**self._place(content=True), "annotation_index": len(self._annotations)}
                events += self._event("response.output_text.annotation.added", **place, annotation=each)
                self._annotations.append(each)
        return events

    def _piece(self, kind: str, text: str) -> bytes:
        events = b"" if self._kind == kind else self._close() + self._open(kind, self._made(kind))
        self._pieces.append(text)
        name = "response.reasoning_text" if kind == _REASONING else f"response.{kind}"
        return events + self._event(f"{name}.delta", **self._place(content=True), delta=text)

    def _signed(self, blocks: list[JsonObject]) -> bytes:
        """Thoughts as their maker signed them go with the item that tells of them, or with one of their own."""
        events = b"" if self._kind == _REASONING else self._close() + self._open(_REASONING, self._made(_REASONING))
        self._blocks += blocks
        self._item["encrypted_content"] = sealed(self._blocks)
        return events

    def _called(self, call: JsonObject) -> bytes:
        place = int(call.get("index") or 0)
        function = cast("JsonObject", call.get("function") or {})
        events = b""
        if place > self._call:
            self._call = place
            item = {
                "id": self._identifier("fc"),
                "type": _CALL,
                "status": "in_progress",
                "call_id": call.get("id") or self._identifier("call"),
                "name": function.get("name", ""),
                "arguments": "",
            }
            events = self._close() + self._open(_CALL, item)
        elif place < self._call or self._kind != _CALL:
            raise ValueError(f"a piece of call {place} came after that call's end")
        if arguments := str(function.get("arguments") or ""):
            self._pieces.append(arguments)
            events += self._event("response.function_call_arguments.delta", **self._place(), delta=arguments)
        return events

    def _made(self, kind: str) -> JsonObject:
        if kind == _REASONING:
            return {"id": self._identifier("rs"), "type": "reasoning", "summary": [], "content": []}
        message: JsonObject = {"id": self._identifier("msg"), "type": "message", "status": "in_progress"}
        return {**message, "role": "assistant", "content": []}

    def _open(self, kind: str, item: JsonObject) -> bytes:
        self._kind, self._item, self._pieces, self._blocks = kind, item, [], []
        added = self._event("response.output_item.added", output_index=len(self._output), item=item)
        if kind in (_TEXT, _REFUSAL):
            added += self._event("response.content_part.added", **self._place(content=True), part=_part(kind, ""))
        return added

    def _close(self) -> bytes:
        """End the item that is open: what was told in pieces is told whole."""
        kind, text = self._kind, "".join(self._pieces)
        if not kind:
            return b""
        if kind == _CALL:
            self._item |= {"arguments": text, "status": "completed"}
            events = self._event(
                "response.function_call_arguments.done", **self._place(), name=self._item["name"], arguments=text
            )
        elif kind == _REASONING:
            events = b""
            if text:
                self._item["content"] = [{"type": "reasoning_text", "text": text}]
                events = self._event("response.reasoning_text.done", **self._place(content=True), text=text)
        else:
            part = _part(kind, text)
            if kind == _TEXT:
                part["annotations"], self._annotations = self._annotations, []
            self._item |= {"content": [part], "status": "completed"}
            told: JsonObject = {"refusal": text} if kind == _REFUSAL else {"text": text, "logprobs": []}
            events = self._event(f"response.{kind}.done", **self._place(content=True), **told)
            events += self._event("response.content_part.done", **self._place(content=True), part=part)
        events += self._event("response.output_item.done", output_index=len(self._output), item=self._item)
        self._output.append(self._item)
        self._kind, self._item, self._pieces = "", {}, []
        return events

    def _place(self, *, content: bool = False) -> JsonObject:
        place: JsonObject = {"item_id": self._item["id"], "output_index": len(self._output)}
        return {**place, "content_index": 0} if content else place

    def _identifier(self, kind: str) -> str:
        return f"{kind}_{self._request.id.replace('-', '')}{len(self._output) + bool(self._kind)}"

    def _event(self, kind: str, **members: object) -> bytes:
        self._number += 1
        return encode_event(kind, {"type": kind, "sequence_number": self._number, **members})


def render_usage(usage: Usage) -> JsonObject:
    """Usage in the words of the Responses API."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _result(passage: JsonObject) -> JsonObject:
    """A passage as OpenAI tells of one."""
    return {
        "file_id": passage["document_id"],
        "filename": passage["title"],
        "score": passage["score"],
        "text": passage.get("text", ""),
        "attributes": {"page": passage["page"]} if passage["page"] else {},
    }


def _part(kind: str, text: str) -> JsonObject:
    if kind == _REFUSAL:
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": [], "logprobs": []}


def _opening(request: InferenceRequest) -> JsonObject:
    """What of a response is known when it begins; it repeats what was asked."""
    asked: JsonObject = {name: msgspec.json.decode(raw) for name, raw in request.fields.items() if name in _REPEATED}
    given = cast("list[JsonObject]", asked.pop("tools", None) or [])
    tools = [{"type": "function", "strict": None, **tool["function"]} for tool in given]
    choice = asked.pop("tool_choice", None) or "auto"
    if isinstance(choice, dict):
        choice = {"type": "function", "name": cast("JsonObject", choice)["function"]["name"]}
    return {
        "id": f"resp_{request.id.replace('-', '')}",
        "object": "response",
        "created_at": uuid7_unix_ms(request.id) // _MS_PER_S,
        "model": request.model,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": request.sampling.max_tokens,
        "metadata": asked.get("metadata") or {},
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": asked.get("reasoning_effort"), "summary": None},
        "store": False,
        "temperature": request.sampling.temperature,
        "text": {"format": _format(asked.get("response_format"))},
        "tool_choice": choice,
        "tools": tools,
        "top_p": request.sampling.top_p,
        "truncation": "disabled",
    }


def _format(form: JsonObject | None) -> JsonObject:
    if form is None:
        return {"type": "text"}
    return {"type": form["type"], **form.get("json_schema", {})}
