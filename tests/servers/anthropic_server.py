"""A scripted server that speaks Anthropic's Messages API. The last user text chooses what it does.

``429``, ``500``, ``401``, ``context``, ``html``, ``error-first``, ``error-event``, ``cut``, ``no-end``, ``garbage``,
``silent``, ``stall``, ``slow``, ``no-close``, ``tools`` and ``reasoning`` as in ``openai_server``; ``no-blank-line`` ends
without one; everything else is answered with ``TEXT``. Whole where no stream is asked for.
"""

from __future__ import annotations

import asyncio
import json

from tests.servers.http import Exchange, ScriptedServer

TEXT = "It answers from the scripted Messages server."
REFUSALS = {
    "429": (429, {"type": "rate_limit_error", "message": "slow down"}),
    "500": (500, {"type": "api_error", "message": "it hurts"}),
    "context": (
        400,
        {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
    ),
}


class AnthropicServer(ScriptedServer):
    """Serves ``/v1/messages`` and ``/v1/messages/count_tokens``."""

    tokens: object = 17

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/v1/messages/count_tokens" and self.tokens is not None:
            if (mode := asked(exchange.body)) in REFUSALS:
                await exchange.reply_json(REFUSALS[mode][0], _error(REFUSALS[mode][1]))
            else:
                await exchange.reply_json(200, {"input_tokens": self.tokens})
            return
        if exchange.path != "/v1/messages":
            await exchange.reply_json(404, _error({"type": "not_found_error", "message": "no such route"}))
            return
        mode = asked(exchange.body)
        if mode in REFUSALS:
            status, error = REFUSALS[mode]
            await exchange.reply_json(status, _error(error), **({"retry_after": "7"} if mode == "429" else {}))
        elif mode == "401":
            message = f"invalid x-api-key {exchange.headers.get('x-api-key', '')}"
            await exchange.reply_json(401, _error({"type": "authentication_error", "message": message}))
        elif mode == "html":
            await exchange.reply(200, b"<html></html>", content_type="text/html")
        elif mode == "silent":
            await asyncio.Event().wait()
        elif exchange.body.get("stream") is not True:
            await exchange.reply_json(200, whole(events(mode)), request_id="req_011")
        else:
            await self._stream(exchange, mode)

    async def _stream(self, exchange: Exchange, mode: str) -> None:
        await exchange.start()
        if mode == "error-first":
            await exchange.send(event(_error({"type": "overloaded_error", "message": "Overloaded"})))
            await exchange.end()
            return
        for place, payload in enumerate(events(mode)):
            if mode == "slow":
                await self.release.wait()
                self.release.clear()
            if place == 4 and mode in ("cut", "stall", "error-event", "garbage", "no-end"):
                await self._fail(exchange, mode)
                return
            blank = b"\n" if mode == "no-blank-line" and payload["type"] == "message_stop" else b""
            await exchange.send(event(payload).removesuffix(blank))
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
                await exchange.send(event(_error({"type": "api_error", "message": "out of memory"})))
            elif mode == "garbage":
                await exchange.send(b"event: content_block_delta\ndata: <html>\n\n")
            await exchange.end()


def asked(body: dict) -> str:
    blocks = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
    if isinstance(blocks, str):
        return blocks
    return next((block["text"] for block in blocks if block["type"] == "text"), "")


def event(payload: dict) -> bytes:
    return f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()


def whole(played: list[dict]) -> dict:
    """The message that these events make."""
    message: dict = {}
    for each in played:
        match each["type"]:
            case "message_start":
                message = {**each["message"], "content": []}
            case "content_block_start":
                message["content"].append({**each["content_block"]})
            case "content_block_delta":
                block = message["content"][each["index"]]
                for name, value in each["delta"].items():
                    if name != "type":
                        block[name] = block.get(name, "") + value
            case "message_delta":
                message |= each["delta"]
                message["usage"] = {**message["usage"], **each["usage"]}
    for block in message["content"]:
        if "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json"))
    return message


def events(mode: str) -> list[dict]:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 1,
        "output_tokens": 1,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage}
    blocks: list[list[dict]] = []
    if mode == "reasoning":
        blocks.append(
            _block(
                len(blocks),
                {"type": "thinking", "thinking": ""},
                [
                    {"type": "thinking_delta", "thinking": "Let me "},
                    {"type": "thinking_delta", "thinking": "think."},
                    {"type": "signature_delta", "signature": "abc"},
                ],
            )
        )
    words = [word if place == 0 else f" {word}" for place, word in enumerate(TEXT.split(" "))]
    blocks.append(_block(len(blocks), {"type": "text", "text": ""}, [{"type": "text_delta", "text": w} for w in words]))
    if mode == "tools":
        tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        parts = ["", '{"ci', 'ty": "Par', 'is"}']
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        blocks.append(_block(len(blocks), tool, deltas))
    stop = "tool_use" if mode == "tools" else "end_turn"
    return [
        {"type": "message_start", "message": message},
        {"type": "ping"},
        *(each for block in blocks for each in block),
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 6}},
        {"type": "some_future_event", "x": 1},
        {"type": "message_stop"},
    ]


def _block(index: int, start: dict, deltas: list[dict]) -> list[dict]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _error(error: dict) -> dict:
    return {"type": "error", "error": error}
