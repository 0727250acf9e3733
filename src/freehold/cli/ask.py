"""``freehold ask``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

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
_QUOTE_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An answer and where its receipt is.

    Attributes:
        text: What was said.
        receipt_id: Of its receipt.
        vault: What of documents is in it; empty where none were asked.
    """

    text: str
    receipt_id: str
    vault: Mapping[str, Any] = field(default_factory=dict[str, Any])


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms.

    Attributes:
        label: What the question may be shown to, for example "confidential"; it only ever narrows.
        max_tokens: Most tokens of the answer.
        vault: Answer from the documents of this vault, for example archive, and show which of them say so. Such an answer
            is checked as a whole before it is shown.
    """

    label: str = ""
    max_tokens: int | None = None
    vault: str = ""


_TERMS = Terms()


def ask(
    question: str,
    /,
    *,
    model: str = "auto",
    terms: Terms = _TERMS,
    stream: Annotated[bool, Parameter(negative="--no-stream")] = True,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Ask the running server a question. The line below the answer is from its receipt.

    Args:
        question: The question; "-" reads it from standard input.
        model: A route, a deployment or an alias; "auto" if not given.
        stream: Show the answer as it arrives.
    """
    text = sys.stdin.read() if question == "-" else question
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    body |= {"stream": False, "vault": terms.vault} if terms.vault else {"stream": stream}
    if terms.max_tokens is not None:
        body["max_tokens"] = terms.max_tokens
    server = find_server(url=url, key_file=key_file)
    shown = _hidden if as_json else _shown
    try:
        asked = asyncio.run(_ask(server, body, label=terms.label, show=shown))
    except UpstreamUnreachable as error:
        raise not_running(server.url, error) from error
    receipt = get(server, f"/v1/receipts/{asked.receipt_id}")
    if as_json:
        told = {"vault": asked.vault} if terms.vault else {}
        output.print_json({"answer": asked.text, "receipt": receipt, **told})
    else:
        output.say("" if asked.text.endswith("\n") else "\n", end="")
        if sources := sources_text(asked.vault):
            output.say(sources)
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
            told: object = whole.get("vault")
            found = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
            return Asked(text=text, receipt_id=receipt_id, vault=found)
        pieces: list[str] = []
        async for piece in _texts(server.url, reply):
            pieces.append(piece)
            show(piece)
        return Asked(text="".join(pieces), receipt_id=receipt_id)


def sources_text(vault: Mapping[str, Any]) -> str:
    """Which documents an answer cites, with their words; what of it none of them supports.

    Args:
        vault: The member of that name of the answer.
    """
    cited: dict[tuple[int, str], str] = {}
    for each in vault.get("citations") or ():
        page = f", page {each['page']}" if each.get("page") else ""
        quote = " ".join(str(each.get("quote") or "").split())
        if len(quote) > _QUOTE_CHARACTERS:
            quote = quote[: _QUOTE_CHARACTERS - 1] + "…"
        cited[each["number"], quote] = f"[{each['number']}] {each['title']}{page}" + (f": {quote}" if quote else "")
    lines = [cited[key] for key in sorted(cited)]
    if unsupported := len(vault.get("unsupported") or ()):
        said = "1 sentence" if unsupported == 1 else f"{unsupported} sentences"
        lines.append(f"No document was found to support {said} of this.")
    return "\n".join(["", *lines, ""]) if lines else ""


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
