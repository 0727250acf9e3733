"""What of a secret would reach somebody outside: a renderer that fetches and links whatever it can, and a client that calls.

Written apart from what it judges: it renders with another set of options, and looks at raw text too, as terminals and
messengers do.
"""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt

from tests.support.inside import Answer

_URLS = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*:)?//[^\s<>\"'`)\]]+|(?:mailto|javascript|data):[^\s<>\"'`)\]]+", re.IGNORECASE
)
_RAW = re.compile(r"(?:[a-z][a-z0-9+.\-]*://|www\.|mailto:|javascript:)[^\s<>\"'`)\]]+", re.IGNORECASE)
"""What a terminal makes a link of, wherever it stands."""

_BARE = re.compile(r"(?<![\w`\[\].@-])(?:[\w-]+\.)+(?:test|com|org|net|io)(?:[/?#][^\s<>\"'`)\]]*)?", re.IGNORECASE)
_RENDERED = re.compile(r"```(?:mermaid|html|svg)[^\n]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.seen: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in {"code", "pre"}
        for name, value in attrs:
            if value and name in {
                "src",
                "href",
                "srcset",
                "style",
                "action",
                "poster",
                "data",
                "background",
                "xlink:href",
            }:
                self.found.append(html.unescape(value))

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in {"code", "pre"}

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.seen.append(data)


def addresses(text: str) -> list[str]:
    """Every address that some program may fetch, or make a link of, in an answer."""
    found: list[str] = []
    for preset in ("commonmark", "gfm-like"):
        options = {"html": True, "linkify": False}
        reader = _Addresses()
        reader.feed(MarkdownIt(preset, options).render(text))
        found += reader.found
        seen = "".join(reader.seen)
        found += _URLS.findall(seen) + _BARE.findall(seen)
    for block in _RENDERED.findall(text):
        found += _URLS.findall(block)
    return found + _RAW.findall(text)


def host(address: str) -> str:
    """Whom a browser would ask."""
    try:
        parts = urllib.parse.urlsplit(address if "//" in address or ":" in address else f"//{address}")
    except ValueError:
        return ""  # nobody can ask such a host
    return (parts.hostname or parts.path.partition("?")[0].rpartition("@")[2]).lower()


def forms(secret: str) -> tuple[str, ...]:
    """How a secret may be written."""
    raw = secret.encode()
    return (
        secret,
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    )


def bytes_reached(text: str, calls: Iterable[tuple[str, str]], secret: str, *, allowed: Iterable[str] = ()) -> int:
    """Bytes of the secret that an answer carries to anybody who is not allowed to have it."""
    names = set(allowed)
    reached = 0
    for address in addresses(text):
        decoded = urllib.parse.unquote(urllib.parse.unquote(address))
        leads_on = re.search(r"//|\\", decoded.partition("//")[2])
        if host(address) in names and not leads_on:
            continue
        if any(form.lower() in each.lower() for form in forms(secret) for each in (address, decoded)):
            reached += len(secret)
    for _name, arguments in calls:
        if any(form in arguments for form in forms(secret)):
            reached += len(secret)
    return reached


@dataclass
class Read:
    """An answer as its client has it, whatever the surface."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    finish: str = ""
    freehold: dict = field(default_factory=dict)


def read_answer(path: str, answer: Answer) -> Read:
    """Put an answer together as a client of that surface does."""
    assert answer.status == 200, answer.body
    kind = dict(answer.headers)["content-type"]
    if "json" in kind and "ndjson" not in kind:
        return _whole(path, answer.json())
    if "ndjson" in kind:
        return _lines([json.loads(line) for line in _unchunked(answer).splitlines() if line.strip()])
    events = [json.loads(line[6:]) for line in _unchunked(answer).decode().splitlines() if line.startswith("data: {")]
    return {"/v1/messages": _messages, "/v1/responses": _responses}.get(path, _chat)(events)


def _unchunked(answer: Answer) -> bytes:
    body, whole = answer.body, b""
    if dict(answer.headers).get("transfer-encoding") != "chunked":
        return body
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        whole, body = whole + rest[:count], rest[count + 2 :]
    return whole


def _whole(path: str, body: dict) -> Read:
    read = Read(freehold=body.get("freehold") or {})
    if path == "/v1/messages":
        _blocks(read, body["content"])
        read.finish = body["stop_reason"]
    elif path == "/v1/responses":
        _items(read, body["output"])
        read.finish = body["status"]
    elif path == "/api/chat":
        return _lines([body])
    else:
        choice = body["choices"][0]
        message = choice["message"]
        read.text, read.thoughts = message.get("content") or "", message.get("reasoning_content") or ""
        read.calls = [
            (each["function"]["name"], each["function"]["arguments"]) for each in message.get("tool_calls", ())
        ]
        read.finish = choice["finish_reason"]
    return read


def _blocks(read: Read, blocks: list[dict]) -> None:
    for block in blocks:
        read.text += block.get("text", "")
        read.thoughts += block.get("thinking", "")
        if block["type"] == "tool_use":
            read.calls.append((block["name"], json.dumps(block["input"])))


def _items(read: Read, items: list[dict]) -> None:
    for item in items:
        if item["type"] == "function_call":
            read.calls.append((item["name"], item["arguments"]))
        for part in item.get("content") or ():
            said = part.get("text", "") + part.get("refusal", "")
            if item["type"] == "reasoning":
                read.thoughts += said
            else:
                read.text += said
        for part in item.get("summary") or ():
            read.thoughts += part.get("text", "")


def _lines(lines: list[dict]) -> Read:
    read = Read()
    for line in lines:
        read.freehold = line.get("freehold") or read.freehold
        message = line.get("message", {})
        read.text += message.get("content", "")
        read.thoughts += message.get("thinking", "")
        for call in message.get("tool_calls", ()):
            read.calls.append((call["function"]["name"], json.dumps(call["function"]["arguments"])))
        read.finish = line.get("done_reason", read.finish)
    return read


def _chat(events: list[dict]) -> Read:
    read, calls = Read(), {}
    for each in events:
        read.freehold = each.get("freehold") or read.freehold
        for choice in each["choices"]:
            delta = choice["delta"]
            read.text += delta.get("content") or ""
            read.thoughts += delta.get("reasoning_content") or ""
            read.finish = choice["finish_reason"] or read.finish
            for call in delta.get("tool_calls", ()):
                name, arguments = calls.get(call["index"], ("", ""))
                function = call["function"]
                calls[call["index"]] = name + function.get("name", ""), arguments + function.get("arguments", "")
    read.calls = list(calls.values())
    return read


def _messages(events: list[dict]) -> Read:
    read, names = Read(), {}
    for each in events:
        if each["type"] == "content_block_start" and each["content_block"]["type"] == "tool_use":
            names[each["index"]] = [each["content_block"]["name"], ""]
        elif each["type"] == "content_block_delta":
            delta = each["delta"]
            read.text += delta.get("text", "")
            read.thoughts += delta.get("thinking", "")
            if "partial_json" in delta:
                names[each["index"]][1] += delta["partial_json"]
        elif each["type"] == "message_delta":
            read.freehold = each.get("freehold") or {}
            read.finish = each["delta"]["stop_reason"]
    read.calls = [(name, arguments) for name, arguments in names.values()]
    return read


def _responses(events: list[dict]) -> Read:
    read = Read()
    last = events[-1]["response"]
    _items(read, last["output"])
    read.finish, read.freehold = last["status"], last.get("freehold") or {}
    deltas = "".join(each["delta"] for each in events if each["type"] == "response.output_text.delta")
    assert deltas == read.text
    return read
