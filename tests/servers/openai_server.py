"""A scripted server that speaks OpenAI's dialect. The last user message (or the prompt) chooses what it does.

====================  ==============================================================
``429``, ``429-date`` refuses with Retry-After 7, as seconds or as a date
``500``, ``401``      refuses with that status; 401 quotes the credential
``context``           refuses a prompt that is too long, in llama.cpp's words
``html``              an HTML page with status 200
``json``              a whole JSON answer where events were asked for
``events``            events where a whole answer was asked for
``no-logprobs``       refuses a call that asks for log-probabilities
``cut``               resets the connection after two pieces
``no-end``            ends the stream without finish reason and without [DONE]
``bare-end``          ends with a finish reason, but without [DONE]
``error-first``       an error event instead of an answer
``error-event``       an error event after two pieces
``garbage``           an event that is not JSON
``silent``            never answers
``stall``             two pieces, then silence
``slow``              each piece waits for ``release``
``no-close``          whole with [DONE], but the transfer does not end
``400-quote``         refuses and quotes the credential
``tools``             calls the tool ``weather`` with its arguments in pieces
``two-tools``         calls it twice at once
``say:…``             says what follows the colon
``call:…``            calls the tool that follows the colon
``unknown``           pieces with members that nobody knows
``reasoning``         thinks before it answers
====================  ==============================================================

Everything else is answered with ``TEXT``, one word a piece.
"""

from __future__ import annotations

import asyncio
import json
import math

from tests.servers.http import Exchange, ScriptedServer

TEXT = "It answers from the scripted server."
TIMINGS = {"cache_n": 2, "prompt_n": 5, "prompt_ms": 10.0, "predicted_n": 6, "predicted_ms": 30.0}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 6,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
COUNTING = {"/tokenize": "count", "/v1/chat/completions/input_tokens": "input_tokens"}
"""Routes that count, as vLLM and llama.cpp have them, and how they call the number."""

CITIES = {"tools": ("Paris",), "two-tools": ("Paris", "Oslo")}
"""Whose weather is asked for by the modes that call a tool."""

CALL = "call:"

REFUSALS = {
    "429": (429, {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}),
    "429-date": (429, {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}),
    "500": (500, {"message": "it hurts", "type": "server_error", "code": None}),
    "context": (
        400,
        {
            "code": 400,
            "message": "request (12031 tokens) exceeds the available context size (2048 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 12031,
            "n_ctx": 2048,
        },
    ),
}


class OpenAIServer(ScriptedServer):
    """Serves ``/v1/chat/completions``, ``/v1/completions``, ``/v1/embeddings``, ``/v1/rerank``,
    ``/v1/models`` and vLLM's ``/tokenize``.

    Attributes:
        tokens: What it counts; ``None`` for a server that has no such route.
    """

    models = ("scripted-1", "scripted-2")
    tokens: object = 17

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/v1/models":
            await exchange.reply_json(200, {"object": "list", "data": [{"id": name} for name in self.models]})
        elif exchange.path == "/v1/embeddings":
            await self._embeddings(exchange)
        elif exchange.path == "/v1/rerank":
            await self._rerank(exchange)
        elif exchange.path in COUNTING and self.tokens is not None:
            await self._count(exchange)
        elif exchange.path in ("/v1/chat/completions", "/v1/completions"):
            await self._complete(exchange, asked(exchange.body))
        else:
            await exchange.reply_json(404, {"error": {"message": "no such route", "type": "not_found"}})

    async def _count(self, exchange: Exchange) -> None:
        if (mode := asked(exchange.body)) in REFUSALS:
            status, error = REFUSALS[mode]
            await exchange.reply_json(status, {"error": error})
            return
        await exchange.reply_json(200, {COUNTING[exchange.path]: self.tokens, "max_model_len": 4096, "tokens": [1, 2]})

    async def _embeddings(self, exchange: Exchange) -> None:
        texts = exchange.body["input"]
        texts = [texts] if isinstance(texts, str) else texts
        if texts[0] == "500":
            await exchange.reply_json(500, {"error": REFUSALS["500"][1]})
            return
        rows = [
            {"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        # Out of order on purpose: the index tells.
        await exchange.reply_json(200, {"object": "list", "data": rows[::-1], "model": "m", "usage": usage, "extra": 1})

    async def _rerank(self, exchange: Exchange) -> None:
        """Documents are as relevant as they are long. A query of ``half`` is answered for half of them."""
        query, texts = exchange.body["query"], exchange.body["documents"]
        if query == "500":
            await exchange.reply_json(500, {"error": REFUSALS["500"][1]})
            return
        rows = [
            {"index": index, "document": {"text": text}, "relevance_score": len(text) / 100}
            for index, text in enumerate(texts)
        ]
        rows = rows[: len(rows) // 2] if query == "half" else rows
        await exchange.reply_json(200, {"id": "x", "model": "m", "usage": {"total_tokens": 9}, "results": rows})

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        body = exchange.body
        if mode in REFUSALS:
            status, error = REFUSALS[mode]
            headers = {}
            if mode == "429":
                headers = {"retry_after": "7"}
            elif mode == "429-date":
                headers = {
                    "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                    "retry_after": "Sat, 21 Nov 2026 10:00:07 GMT",
                }
            await exchange.reply_json(status, {"error": error}, **headers)
        elif mode == "401":
            message = f"wrong key {exchange.headers.get('authorization', '')}"
            await exchange.reply_json(401, {"error": {"message": message, "code": "invalid_api_key"}})
        elif mode == "400-quote":
            message = f"cannot serve {exchange.headers.get('authorization', '')}"
            await exchange.reply_json(400, {"error": {"message": message}})
        elif mode == "no-logprobs" and body.get("logprobs"):
            message = "'logprobs' is not supported with this model."
            await exchange.reply_json(400, {"error": {"message": message, "param": "logprobs", "code": "unsupported"}})
        elif mode == "html":
            await exchange.reply(200, b"<html><title>Log in</title></html>", content_type="text/html")
        elif mode == "json":
            await exchange.reply_json(200, whole(body))
        elif mode == "silent":
            await asyncio.Event().wait()
        elif body.get("stream") or mode == "events":
            await self._stream(exchange, mode)
        else:
            await self._whole(exchange, mode)

    async def _whole(self, exchange: Exchange, mode: str) -> None:
        """The same answer, and the same faults, for a client that does not stream."""
        if mode in ("error-first", "error-event"):
            await exchange.reply_json(200, {"error": {"message": "out of memory", "type": "overloaded", "code": 503}})
            return
        body = json.dumps(whole(exchange.body, mode)).encode()
        if mode == "garbage":
            await exchange.reply(200, b"<html>")
            return
        if mode == "slow":
            await self.release.wait()
            self.release.clear()
        await exchange.start("application/json")
        if mode in ("cut", "stall", "no-end"):
            await exchange.send(body[: len(body) // 2])
            if mode == "stall":
                await asyncio.Event().wait()
            exchange.reset()
            return
        await exchange.send(body)
        if mode == "no-close":
            await asyncio.Event().wait()
        await exchange.end()

    async def _stream(self, exchange: Exchange, mode: str) -> None:
        body = exchange.body
        await exchange.start()
        if mode == "error-first":
            await exchange.send(event({"error": {"message": "no room", "type": "overloaded", "code": 503}}))
            await exchange.end()
            return
        for place, payload in enumerate(payloads(body, mode)):
            if mode == "slow":
                await self.release.wait()
                self.release.clear()
            if place == 2 and mode in ("cut", "stall", "error-event", "garbage", "no-end"):
                await self._fail(exchange, mode)
                return
            await exchange.send(event(payload))
        if mode != "bare-end":
            await exchange.send(b": bye\n\ndata: [DONE]\n\n")
        if mode == "no-close":
            await asyncio.Event().wait()
        await exchange.end()

    @staticmethod
    async def _fail(exchange: Exchange, mode: str) -> None:
        if mode == "cut":
            exchange.reset()
        elif mode == "stall":
            await asyncio.Event().wait()
        else:
            if mode == "error-event":
                await exchange.send(event({"error": {"message": "out of memory", "code": 500}}))
            elif mode == "garbage":
                await exchange.send(b"data: <html>\n\n")
            await exchange.end()


def asked(body: dict) -> str:
    """The mode: the last user message's text, or the prompt."""
    if "messages" not in body:
        return body["prompt"] if isinstance(body["prompt"], str) else body["prompt"][0]
    content = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
    return content if isinstance(content, str) else content[0].get("text", "")


def event(payload: dict) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def payloads(body: dict, mode: str) -> list[dict]:
    """The events of an answer, usage and log-probabilities only where asked for."""
    chat = "messages" in body
    head = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": 1_700_000_000,
        "model": body["model"],
        "system_fingerprint": "fp_scripted",
    }
    choices = [_choice(piece, chat=chat) for piece in pieces(mode)]
    if body.get("logprobs") or body.get("n_probs"):
        # n_probs is llama.cpp's own word.
        top = body.get("n_probs") or (body.get("top_logprobs", 0) if chat else body["logprobs"])
        for choice in choices:
            text = choice["delta"].get("content") if chat else choice["text"]
            if text:
                choice["logprobs"] = {"content": [_logprob(text, top)]}
    if mode == "unknown":
        head["x_top"] = {"kept": True}
        for choice in choices:
            choice["x_choice"] = 1
    finish = "tool_calls" if mode in CITIES or mode.startswith(CALL) else "stop"
    end = _choice({}, chat=chat) | {"finish_reason": finish}
    events = [{**head, "choices": [choice]} for choice in [*choices, end]]
    if body.get("stream_options", {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": USAGE, "timings": TIMINGS})
    return events


def pieces(mode: str) -> list[dict]:
    if mode in CITIES:
        return [piece for index, city in enumerate(CITIES[mode]) for piece in _call(index, city)]
    if mode.startswith(CALL):
        return [{"role": "assistant", "content": None, "tool_calls": [{"index": 0, **_named(mode)}]}]
    text = mode.removeprefix("say:") if mode.startswith("say:") else TEXT
    words = [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))]
    thoughts = [{"reasoning_content": "Let me "}, {"reasoning_content": "think."}] if mode == "reasoning" else []
    return [{"role": "assistant", "content": ""}, *thoughts, *({"content": word} for word in words)]


def _named(mode: str) -> dict:
    return {"id": "call_1", "type": "function", "function": {"name": mode.removeprefix(CALL), "arguments": "{}"}}


def _call(index: int, city: str) -> list[dict]:
    call = {"index": index, "id": f"call_{index + 1}", "type": "function"}
    call["function"] = {"name": "weather", "arguments": ""}
    parts = ['{"ci', f'ty": "{city[:3]}', f'{city[3:]}"}}']
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        *({"tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in parts),
    ]


def whole(body: dict, mode: str = "") -> dict:
    """The same answer as one object."""
    chat = "messages" in body
    events = [event for event in payloads(body, mode) if event["choices"]]
    first, last = events[0], events[-1]["choices"][0]
    choices = [event["choices"][0] for event in events]
    logprobs = [token for choice in choices if choice.get("logprobs") for token in choice["logprobs"]["content"]]
    choice = {
        "index": 0,
        "finish_reason": last["finish_reason"],
        "logprobs": {"content": logprobs} if logprobs else None,
    }
    if mode == "unknown":
        choice["x_choice"] = 1
    if chat:
        deltas = [each["delta"] for each in choices]
        message = {"role": "assistant", "content": "".join(delta.get("content") or "" for delta in deltas)}
        if mode == "reasoning":
            message["reasoning_content"] = "".join(delta.get("reasoning_content") or "" for delta in deltas)
        if mode in CITIES:
            calls = [
                {"id": f"call_{index + 1}", "type": "function", "function": {"name": "weather", "arguments": arguments}}
                for index, arguments in enumerate(json.dumps({"city": city}) for city in CITIES[mode])
            ]
            message |= {"content": None, "tool_calls": calls}
        elif mode.startswith(CALL):
            message |= {"content": None, "tool_calls": [_named(mode)]}
        choice["message"] = message
    else:
        choice["text"] = "".join(each["text"] for each in choices)
    kind = "chat.completion" if chat else "text_completion"
    return {**first, "object": kind, "choices": [choice], "usage": USAGE, "timings": TIMINGS}


def _choice(delta: dict, *, chat: bool) -> dict:
    if chat:
        return {"index": 0, "delta": delta, "finish_reason": None}
    return {"index": 0, "text": delta.get("content") or "", "finish_reason": None}


def _logprob(token: str, top: int) -> dict:
    entries = [{"token": token, "logprob": math.log(0.8)}, {"token": "~", "logprob": math.log(0.1)}]
    entries += [{"token": f"~{n}", "logprob": math.log(0.01)} for n in range(top)]
    return {"token": token, "logprob": math.log(0.8), "bytes": list(token.encode()), "top_logprobs": entries[:top]}
