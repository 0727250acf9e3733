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
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import NotRunning
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamUnreachable
from freehold.domain.response import FinishReason
from freehold.domain.vault import ANSWER_TOKENS
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
        is_cut: Whether it ends where it had no more tokens.
    """

    text: str
    receipt_id: str
    vault: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_cut: bool = False


@dataclass(slots=True, kw_only=True)
class _Came:
    """What has come of an answer until now."""

    text: str = ""
    receipt_id: str = ""
    is_cut: bool = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms.

    Attributes:
        label: What the question may be shown to, for example "confidential"; it only ever narrows.
        max_tokens: Most tokens of the answer; 512 from a vault if not given, and else as many as the model has room for.
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
    most = terms.max_tokens if terms.max_tokens is not None or not terms.vault else ANSWER_TOKENS
    if most is not None:
        body["max_tokens"] = most
    server = find_server(url=url, key_file=key_file)
    shown, came = _hidden if as_json else _shown, _Came()
    try:
        asked = asyncio.run(_ask(server, body, came, label=terms.label, show=shown))
    except UpstreamUnreachable as error:
        raise not_running(server.url, error) from error
    except (FreeholdError, output.AnsweredWithError):
        _end_line(came.text, as_json=as_json)
        raise
    except KeyboardInterrupt:
        return _interrupted(came, as_json=as_json)
    receipt = get(server, f"/v1/receipts/{asked.receipt_id}")
    if as_json:
        told = {"vault": asked.vault} if terms.vault else {}
        cut = {"cut_off": True} if asked.is_cut else {}
        output.print_json({"answer": asked.text, "receipt": receipt, **told, **cut})
    else:
        output.say("" if asked.text.endswith("\n") else "\n", end="")
        if sources := sources_text(asked.vault):
            output.say(sources)
        if asked.is_cut:
            output.note("The answer is cut off where it had no more tokens" + _more(most))
        output.note(receipt_line(receipt))
    return output.OK


def _more(most: int | None) -> str:
    return ": the model has room for no more." if most is None else f" ({most:,}): --max-tokens may allow more."


def _end_line(text: str, *, as_json: bool) -> None:
    """What is said next begins a line of its own."""
    if text and not as_json and not text.endswith("\n"):
        output.say()


def _interrupted(came: _Came, *, as_json: bool) -> int:
    """Say what was shown, and where it is recorded; leaving ends the answer at the server too."""
    if as_json:
        output.print_json({"answer": came.text, "interrupted": True, "receipt_id": came.receipt_id})
        return output.INTERRUPTED
    _end_line(came.text, as_json=False)
    where = f" Receipt: freehold receipts {came.receipt_id}" if came.receipt_id else ""
    output.note(f"Interrupted: {'the answer is not whole' if came.text else 'nothing of an answer was shown'}.{where}")
    return output.INTERRUPTED


async def _ask(
    server: RunningServer, body: dict[str, object], came: _Came, *, label: str, show: Callable[[str], None]
) -> Asked:
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
        came.receipt_id = receipt_id = reply.headers.get("freehold-receipt", "")
        streams = reply.headers.get("content-type", "").startswith("text/event-stream")
        if reply.status != _OK or not streams:
            raw = await reply.read(limit_bytes=_ERROR_BYTES_MAX)
            whole = json_of(server.url, LocalAnswer(status=reply.status, headers=reply.headers, body=raw))
            text = _whole_text(server.url, whole)
            show(text)
            told: object = whole.get("vault")
            found = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
            is_cut = _is_cut(whole)
            return Asked(text=text, receipt_id=receipt_id, vault=found, is_cut=is_cut)
        async for piece in _texts(server.url, reply, came):
            came.text += piece
            show(piece)
        return Asked(text=came.text, receipt_id=receipt_id, is_cut=came.is_cut)


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


def _is_cut(answer: Mapping[str, Any]) -> bool:
    return any(choice.get("finish_reason") == FinishReason.LENGTH for choice in answer.get("choices") or ())


async def _texts(url: str, reply: HttpReply, came: _Came) -> AsyncGenerator[str]:
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
            if piece := _piece(url, event.data, came):
                yield piece
    raise UpstreamBroken(deployment=url, source=url, reason="the answer ended before its end")


def _piece(url: str, data: bytes, came: _Came) -> str:
    """The text that one event brings; empty for none. One that ends the answer says in ``came`` whether it is cut off."""
    try:
        chunk: dict[str, Any] = json.loads(data)
        if "error" in chunk:
            raise output.AnsweredWithError(chunk)
        came.is_cut |= _is_cut(chunk)
        deltas: list[dict[str, Any]] = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
        return "".join(delta.get("content") or "" for delta in deltas)
    except (ValueError, TypeError, AttributeError) as error:
        raise NotRunning(url=url, reason="what streams from there is not an answer") from error


def _shown(text: str) -> None:
    output.say(text, end="")


def _hidden(text: str) -> None:
    del text
