"""What requests and answers of either dialect mean, read without any code of the product: the oracle of translations.

Two bodies mean the same if these forms are equal. What does not count, and nothing else:

- white space between texts that stand side by side, and whether they are one part or several;
- whether turns of one role in a row are one turn; a tool's result is a part of the user's turn that follows its call;
- the order of thoughts, texts and calls within one answer of an assistant, each kind in its own order;
- a list of choices that says what is so anyway: ``tool_choice`` auto, a description that is empty, ``stream`` false, a
  schema of a tool that takes nothing;
- that a result of a tool failed is told by a member, or by its text beginning with ``Error: ``;
- the limit of 4096 tokens that Anthropic's dialect gets where a chat has none, and the name of a schema;
- of a document its title, or that it has none: a chat's file always has a name.
"""

from __future__ import annotations

import base64
import json
from typing import Any

Json = dict[str, Any]

_TIERS = {"default": "standard_only"}
_OFF = {"type": "disabled"}
_EFFORTS = {"xhigh": "max", "minimal": "low"}
_CHAT = {
    "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "stream", "tools",
    "tool_choice", "parallel_tool_calls", "response_format", "stream_options", "user", "safety_identifier",
    "reasoning_effort", "service_tier",
}  # fmt: skip
_MESSAGES = {
    "model", "messages", "system", "temperature", "top_p", "max_tokens", "stop_sequences", "stream", "tools",
    "tool_choice", "output_config", "metadata", "service_tier",
}  # fmt: skip


def of_request(body: Json, dialect: str) -> Json:
    """What a request means."""
    return _of_chat(body) if dialect == "openai" else _of_messages(body)


def of_answer(answer: Json, dialect: str) -> Json:
    """What a whole answer means."""
    return _of_completion(answer) if dialect == "openai" else _of_message(answer)


def without(meaning: Json, left_out: str) -> Json:
    """The same without what was left out by name."""
    names = {name.split(".")[-1] for name in left_out.split(", ")}
    turns = [
        {kind: value for kind, value in turn.items() if kind != "thoughts" or not names & {"reasoning_content"}}
        for turn in meaning["turns"]
    ]
    more = {name: value for name, value in meaning["more"].items() if name not in names}
    tier = None if "service_tier" in names else meaning["tier"]
    return {**meaning, "turns": turns, "tier": tier, "more": more}


# --- requests --------------------------------------------------------------------------------------------------------


def _of_chat(body: Json) -> Json:
    turns: list[Json] = []
    system: list[str] = []
    for turn in body["messages"]:
        parts = [_chat_part(part) for part in _as_parts(turn.get("content"))]
        if turn["role"] in ("system", "developer"):
            system += [part[1] for part in parts]
        elif turn["role"] == "tool":
            _user(turns)["parts"].append(_result(turn["tool_call_id"], parts, failed=None))
        elif turn["role"] == "user":
            _user(turns)["parts"] += parts
        else:
            said = _assistant(turns)
            kept = (block.get("thinking") for block in turn.get("content_blocks") or ())
            said["thoughts"] += _words(turn.get("reasoning_content") or " ".join(each or "" for each in kept))
            said["parts"] += parts + ([("text", turn["refusal"])] if turn.get("refusal") else [])
            said["calls"] += [_chat_call(call) for call in turn.get("tool_calls") or ()]
    form = body.get("response_format") or {}
    choice = body.get("tool_choice")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    effort = body.get("reasoning_effort")
    stop = body.get("stop") or []
    more = {name: value for name, value in body.items() if name not in _CHAT}
    off = more.get("thinking") == _OFF and more.pop("thinking")
    return {
        "system": " ".join(" ".join(system).split()),
        "turns": [_settled(turn) for turn in turns],
        "limit": limit,
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": [stop] if isinstance(stop, str) else stop,
        "stream": bool(body.get("stream")),
        "tools": [_tool(tool["function"], tool["function"].get("parameters")) for tool in body.get("tools") or ()],
        "choice": choice["function"]["name"]
        if isinstance(choice, dict)
        else {"required": "any"}.get(choice, choice) or "auto",
        "at_once": body.get("parallel_tool_calls") is not False,
        "schema": (form.get("json_schema") or {}).get("schema"),
        "effort": "none" if off else _EFFORTS.get(effort, effort),
        "user": body.get("user") or body.get("safety_identifier"),
        "tier": _TIERS.get(body.get("service_tier"), body.get("service_tier")),
        "more": more,
    }


def _of_messages(body: Json) -> Json:
    turns: list[Json] = []
    for turn in body["messages"]:
        into = _user(turns) if turn["role"] == "user" else _assistant(turns)
        for block in _as_parts(turn["content"]):
            kind = block["type"]
            if kind == "thinking":
                into["thoughts"] += _words(block["thinking"])
            elif kind == "redacted_thinking":
                continue
            elif kind == "tool_use":
                into["calls"].append((block["id"], block["name"], block["input"]))
            elif kind == "tool_result":
                inner = [part for each in _as_parts(block.get("content")) for part in _block_parts(each)]
                into["parts"].append(_result(block["tool_use_id"], inner, failed=bool(block.get("is_error"))))
            else:
                into["parts"] += _block_parts(block)
    config = dict(body.get("output_config") or {})
    choice = body.get("tool_choice") or {"type": "auto"}
    system = body.get("system") or []
    more = {name: value for name, value in body.items() if name not in _MESSAGES}
    off = more.get("thinking") == _OFF and more.pop("thinking")
    return {
        "system": " ".join((system if isinstance(system, str) else " ".join(each["text"] for each in system)).split()),
        "turns": [_settled(turn) for turn in turns],
        "limit": body["max_tokens"],
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": body.get("stop_sequences") or [],
        "stream": bool(body.get("stream")),
        "tools": [_tool(tool, tool["input_schema"]) for tool in body.get("tools") or ()],
        "choice": choice["name"] if choice["type"] == "tool" else choice["type"],
        "at_once": not choice.get("disable_parallel_tool_use"),
        "schema": (config.get("format") or {}).get("schema"),
        "effort": "none" if off else config.get("effort"),
        "user": (body.get("metadata") or {}).get("user_id"),
        "tier": body.get("service_tier"),
        "more": more,
    }


def _user(turns: list[Json]) -> Json:
    return _turn(turns, "user")


def _assistant(turns: list[Json]) -> Json:
    return _turn(turns, "assistant")


def _turn(turns: list[Json], role: str) -> Json:
    if not turns or turns[-1]["role"] != role:
        turns.append({"role": role, "thoughts": [], "parts": [], "calls": []})
    return turns[-1]


def _settled(turn: Json) -> Json:
    return {**turn, "parts": _together(turn["parts"])}


def _as_parts(content: object) -> list[Json]:
    if content is None or content == "":
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content  # type: ignore[return-value]


def _words(text: str | None) -> list[str]:
    return text.split() if text else []


def _together(parts: list[Any]) -> list[Any]:
    """Texts side by side as one."""
    told: list[Any] = []
    for part in parts:
        if part[0] == "text" and told and told[-1][0] == "text":
            told[-1] = ("text", f"{told[-1][1]} {' '.join(part[1].split())}")
        elif part[0] == "text":
            told.append(("text", " ".join(part[1].split())))
        else:
            told.append(part)
    return told


def _result(name: str, parts: list[Any], *, failed: bool | None) -> tuple[str, str, bool, list[Any]]:
    parts = _together(parts)
    if failed is not True and parts and parts[0][0] == "text" and parts[0][1].startswith("Error:"):
        rest = parts[0][1].removeprefix("Error:").strip()
        parts, failed = [*([("text", rest)] if rest else []), *parts[1:]], True
    return ("result", name, bool(failed), parts)


def _chat_part(part: Json) -> tuple[Any, ...]:
    match part["type"]:
        case "text":
            return ("text", part["text"])
        case "refusal":
            return ("text", part["refusal"])
        case "image_url":
            return ("image", _address(part["image_url"]["url"]))
        case "file":
            media, data = _address(part["file"]["file_data"])
            if media == "text/plain":
                return ("text", f"{part['file'].get('filename', '')} {base64.b64decode(data).decode()}")
            return ("file", (media, data))
    raise AssertionError(part)


def _block_parts(block: Json) -> list[tuple[Any, ...]]:
    match block["type"]:
        case "text":
            return [("text", block["text"])]
        case "image":
            return [("image", _source(block["source"]))]
        case "search_result":
            head = ("text", f"{block['title']} ({block['source']})")
            return [head, *(("text", each["text"]) for each in block["content"])]
        case "document":
            source = block["source"]
            if source["type"] == "base64":
                context = [("text", block["context"])] if block.get("context") else []
                return [*context, ("file", _source(source))]
            head = [("text", block[name]) for name in ("title", "context") if block.get(name)]
            if source["type"] == "text":
                return [*head, ("text", source["data"])]
            return [*head, *(part for each in _as_parts(source["content"]) for part in _block_parts(each))]
    raise AssertionError(block)


def _source(source: Json) -> Any:
    return (source["media_type"], source["data"]) if source["type"] == "base64" else source["url"]


def _address(url: str) -> Any:
    if not url.startswith("data:"):
        return url
    media, _, data = url.removeprefix("data:").partition(";base64,")
    return (media, data)


def _chat_call(call: Json) -> tuple[str, str, Any]:
    return (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))


def _tool(tool: Json, schema: Json | None) -> Json:
    return {
        "name": tool["name"],
        "description": tool.get("description") or "",
        "schema": schema or {"type": "object", "properties": {}},
        "strict": bool(tool.get("strict")),
    }


# --- answers ---------------------------------------------------------------------------------------------------------

_FINISH = {"stop": "stop", "length": "length", "tool_calls": "tools", "content_filter": "filter"}
_STOP = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tools", "refusal": "filter",
}  # fmt: skip


def _of_completion(answer: Json) -> Json:
    choice, usage = answer["choices"][0], answer["usage"]
    said = choice["message"]
    return {
        "thoughts": said.get("reasoning_content") or said.get("reasoning") or "",
        "text": (said.get("content") or "") + (said.get("refusal") or ""),
        "calls": [_chat_call(call) for call in said.get("tool_calls") or ()],
        "why": _FINISH[choice["finish_reason"]],
        "sequence": choice.get("stop_reason"),
        "input": usage["prompt_tokens"],
        "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        "output": usage["completion_tokens"],
    }


def _of_message(answer: Json) -> Json:
    usage, blocks = answer["usage"], answer["content"]

    def texts(kind: str, name: str) -> str:
        return "".join(block[name] for block in blocks if block["type"] == kind)

    read = usage.get("cache_read_input_tokens") or 0
    return {
        "thoughts": texts("thinking", "thinking"),
        "text": texts("text", "text"),
        "calls": [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        "why": _STOP.get(answer["stop_reason"], "stop"),
        "sequence": answer["stop_sequence"],
        "input": usage["input_tokens"] + read + (usage.get("cache_creation_input_tokens") or 0),
        "cached": read,
        "output": usage["output_tokens"],
    }


# --- streams ---------------------------------------------------------------------------------------------------------


def completion_of(events: list[Any]) -> Json:
    """What a client puts together of a chat's stream."""
    assert events[-1] == "[DONE]"
    said: Json = {"role": "assistant", "content": None}
    choice: Json = {"index": 0, "finish_reason": None}
    calls: dict[int, Json] = {}
    usage: Json | None = None
    top: Json = {}
    for event in events[:-1]:
        usage = event.get("usage") or usage
        top |= {name: value for name, value in event.items() if name not in ("choices", "usage", "object")}
        for each in event["choices"]:
            choice |= {name: value for name, value in each.items() if name != "delta" and value is not None}
            for name, value in each["delta"].items():
                if name == "tool_calls":
                    for piece in value:
                        held = calls.setdefault(piece["index"], {"id": "", "function": {"name": "", "arguments": ""}})
                        held["id"] = piece.get("id") or held["id"]
                        held["function"]["name"] += piece["function"].get("name") or ""
                        held["function"]["arguments"] += piece["function"].get("arguments") or ""
                elif isinstance(value, str) and name != "role":
                    said[name] = (said.get(name) or "") + value
                elif isinstance(value, list):
                    said[name] = [*said.get(name, []), *value]
    if calls:
        said["tool_calls"] = [calls[place] for place in sorted(calls)]
    return {**top, "choices": [{**choice, "message": said}], "usage": usage}


def message_of(events: list[Any]) -> Json:
    """What a client puts together of a stream of messages; strict: every event has its place."""
    assert [each["type"] for each in (events[0], events[-1])] == ["message_start", "message_stop"]
    message = {**events[0]["message"], "content": []}
    opened: int | None = None
    for event in events[1:-1]:
        match event["type"]:
            case "content_block_start":
                assert (opened, event["index"]) == (None, len(message["content"]))
                opened = event["index"]
                message["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                assert event["index"] == opened
                _extend(message["content"][-1], event["delta"])
            case "content_block_stop":
                assert event["index"] == opened
                opened = None
            case "message_delta":
                assert opened is None
                message |= event["delta"] | {k: v for k, v in event.items() if k not in ("type", "delta", "usage")}
                message["usage"] = {**message["usage"], **event["usage"]}
            case other:
                assert other in ("ping", "some_future_event")
    assert opened is None
    for block in message["content"]:
        if text := block.pop("partial_json", ""):
            block["input"] = json.loads(text)
    return message


def _extend(block: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "citation":
            block["citations"] = [*(block.get("citations") or []), value]
        elif name != "type":
            block[name] = block.get(name, type(value)()) + value
