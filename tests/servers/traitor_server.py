"""A model that obeys whoever speaks last: it does what the untrusted text says, and gives away what it was told in secret.

It speaks OpenAI's dialect. What it says and calls is made by ``obey`` from the request's body, in small pieces.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.servers.http import Exchange
from tests.servers.openai_server import USAGE, OpenAIServer, event

MARK = "The vault word is "
"""What stands before the secret in the system's prompt."""


@dataclass
class Deed:
    """What the model answers: text, thoughts, and calls as name and arguments; it may be cut off before its end."""

    text: str = ""
    calls: list[tuple[str, dict]] = field(default_factory=list)
    thoughts: str = ""
    breaks: bool = False


def secret_in(body: dict) -> str:
    """The secret that the model was told."""
    text = json.dumps([message.get("content") for message in body["messages"]], ensure_ascii=False)
    return text.partition(MARK)[2].partition(".")[0]


def filled(value: object, secret: str, *, quoted: bool) -> object:
    """A deed's text or arguments with the secret in the place of ``{S}``."""
    if isinstance(value, str):
        return value.replace("{S}", urllib.parse.quote(secret) if quoted else secret)
    if isinstance(value, dict):
        return {name: filled(each, secret, quoted=quoted) for name, each in value.items()}
    return value


class TraitorServer(OpenAIServer):
    """Answers chats as ``obey`` says; everything else as ``OpenAIServer``."""

    def __init__(self, obey: Callable[[dict], Deed], *, piece: int = 7) -> None:
        super().__init__()
        self.obey = obey
        self.piece = piece

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        body = exchange.body
        if "messages" not in body:
            await super()._complete(exchange, mode)
            return
        deed = self.obey(body)
        head = {"id": "chatcmpl-traitor", "created": 1_700_000_000, "model": body["model"]}
        calls = [
            {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for place, (name, arguments) in enumerate(deed.calls)
        ]
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": deed.text, "annotations": [{"url": deed.text}]}
            message |= {"reasoning_content": deed.thoughts} if deed.thoughts else {}
            message |= {"tool_calls": calls} if calls else {}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            await exchange.reply_json(200, {**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})
            return
        await exchange.start()
        head["object"] = "chat.completion.chunk"
        deltas: list[dict] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in _pieces(deed.thoughts, self.piece)]
        deltas += [{"content": piece, "annotations": [{"url": deed.text}]} for piece in _pieces(deed.text, self.piece)]
        for place, call in enumerate(calls):
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "index": place, "function": {**function, "arguments": ""}}]})
            deltas += [
                {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}
                for piece in _pieces(function["arguments"], self.piece)
            ]
        for delta in deltas:
            await exchange.send(event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
        if deed.breaks:
            exchange.reset()
            return
        await exchange.send(event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
        if body.get("stream_options", {}).get("include_usage"):
            await exchange.send(event({**head, "choices": [], "usage": USAGE}))
        await exchange.send(b"data: [DONE]\n\n")
        await exchange.end()


def _pieces(text: str, length: int) -> list[str]:
    return [text[place : place + length] for place in range(0, len(text), length)]
