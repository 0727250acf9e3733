"""``freehold ask``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.receipt_line import receipt_line
from freehold.cli.server_call import RunningServer, find_server, get, json_of, not_running
from freehold.domain.errors.server import NotRunning
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamUnreachable
from freehold.net.client import HttpReply
from freehold.net.fetch import LocalAnswer, stream_local
from freehold.wire.sse import SseParser

_PATH = "/v1/chat/completions"
_OK = 200
_TIMEOUT_S = 900.0
_ERROR_BYTES_MAX = 1 << 20
_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An answer and where its receipt is."""

    text: str
    receipt_id: str


def ask(
    question: str,
    /,
    *,
    model: str = "auto",
    label: str = "",
    max_tokens: int | None = None,
    stream: Annotated[bool, Parameter(negative="--no-stream")] = True,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Ask the running server a question. The line below the answer is from its receipt.

    Args:
        question: The question; "-" reads it from standard input.
        model: A route, a deployment or an alias; "auto" if not given.
        label: What the question may be shown to, for example "confidential"; it only ever narrows.
        max_tokens: Most tokens of the answer.
        stream: Show the answer as it arrives.
    """
    text = sys.stdin.read() if question == "-" else question
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    server = find_server(url=url, key_file=key_file)
    shown = _hidden if as_json else _shown
    try:
        asked = asyncio.run(_ask(server, body, label=label, show=shown))
    except UpstreamUnreachable as error:
        raise not_running(server.url, error) from error
    receipt = get(server, f"/v1/receipts/{asked.receipt_id}")
    if as_json:
        output.print_json({"answer": asked.text, "receipt": receipt})
    else:
        output.say("" if asked.text.endswith("\n") else "\n", end="")
        output.note(receipt_line(receipt))
    return output.OK


async def _ask(server: RunningServer, body: dict[str, object], *, label: str, show: Callable[[str], None]) -> Asked:
    headers = [*server.headers, *([("freehold-label", label)] if label else [])]
    async with stream_local(
        server.url,
        method="POST",
        path=_PATH,
        headers=headers,
        body=json.dumps(body, ensure_ascii=False).encode(),
        timeout_s=_TIMEOUT_S,
        ca_file=server.ca_file,
    ) as reply:
        receipt_id = reply.headers.get("freehold-receipt", "")
        streams = reply.headers.get("content-type", "").startswith("text/event-stream")
        if reply.status != _OK or not streams:
            raw = await reply.read(limit_bytes=_ERROR_BYTES_MAX)
            whole = json_of(server.url, LocalAnswer(status=reply.status, headers=reply.headers, body=raw))
            text = _whole_text(server.url, whole)
            show(text)
            return Asked(text=text, receipt_id=receipt_id)
        pieces: list[str] = []
        async for piece in _texts(server.url, reply):
            pieces.append(piece)
            show(piece)
        return Asked(text="".join(pieces), receipt_id=receipt_id)


def _whole_text(url: str, whole: dict[str, Any]) -> str:
    try:
        return str(whole["choices"][0]["message"].get("content") or "")
    except (LookupError, TypeError, AttributeError) as error:
        raise NotRunning(url=url, reason="another program answers there") from error


async def _texts(url: str, reply: HttpReply) -> AsyncGenerator[str]:
    """The answer's text as it arrives.

    Raises:
        AnsweredWithError: The answer broke off with an error event.
        NotRunning: What comes is no stream of Freehold.
        UpstreamBroken: It ended before its end.
    """
    parser = SseParser()
    async for data in reply.pieces():
        for event in parser.feed(data):
            if event.data == _DONE:
                return
            if piece := _piece(url, event.data):
                yield piece
    raise UpstreamBroken(deployment=url, source=url, reason="the answer ended before its end")


def _piece(url: str, data: bytes) -> str:
    """The text that one event brings; empty for none."""
    try:
        chunk: dict[str, Any] = json.loads(data)
        if "error" in chunk:
            raise output.AnsweredWithError(chunk)
        deltas: list[dict[str, Any]] = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
        return "".join(delta.get("content") or "" for delta in deltas)
    except (ValueError, TypeError, AttributeError) as error:
        raise NotRunning(url=url, reason="what streams from there is not an answer") from error


def _shown(text: str) -> None:
    output.say(text, end="")


def _hidden(text: str) -> None:
    del text
