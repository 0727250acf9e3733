"""Judging a result of the shared rig's behave.py: what a gateway kept, passed on, retried and made look whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.bars import Bar, all_of

AT_ONCE_S = 0.5
LEAVE_MAX_S = 0.05
COMMENTS = 2


def bars_of(result: Mapping[str, Any]) -> list[Bar]:
    """The bars over one line of behave.jsonl."""
    reply = result["resp_unknown_kept"]
    kept = {
        "fields of a request": result["req_unknown_kept"],
        "fields of a whole reply": _truths(reply) if isinstance(reply, dict) else {"reply": False},
        "fields of a stream": result["stream_extra_kept"],
        "a stream's text and calls": {
            "comments": result["sse_comment_kept"] == COMMENTS,
            "comments are sent as they come": result["sse_first_byte_on_comment"],
            "tool calls": result["tools_ok"] and result["tools_finish"] == ["tool_calls"],
            "split characters": result["utf8_split_ok"],
            "usage when asked for": result["usage_when_asked"],
        },
    }
    bars = [_counted(f"behave: {what} kept", truths) for what, truths in kept.items()]
    return [*bars, *_errors(result), *_broken(result)]


def _truths(reply: Mapping[str, Any]) -> dict[str, bool]:
    known = {"id": "chatcmpl-x", "model": "mock-model"}
    return {name: value == known[name] if name in known else bool(value) for name, value in reply.items()}


def _counted(what: str, truths: Mapping[str, object]) -> Bar:
    lost = [name for name, is_true in truths.items() if not is_true]
    named = f" (not: {', '.join(lost)})" if lost else ""
    return all_of(f"{what}{named}", len(truths) - len(lost), len(truths))


def _errors(result: Mapping[str, Any]) -> list[Bar]:
    bars = []
    for name, status in (("err429", 429), ("err500", 500), ("err400", 400)):
        told = result[name]
        truths = {
            f"status {told['status']}": told["status"] == status,
            f"{told['upstream_hits']} hits": told["upstream_hits"] == 1,
            f"after {told['secs']} s": told["secs"] < AT_ONCE_S,
            "error code": told["code_kept"],
        }
        if status == 429:
            truths["Retry-After"] = told["retry_after"]
        bars.append(_counted(f"behave: {status} passed on at once, one hit, code kept", truths))
    once = result["once503"]
    honest = (once["status"], once["upstream_hits"]) in {(503, 1), (200, 2)}
    bars.append(_counted(f"behave: 503 once: {once['status']} with {once['upstream_hits']} hits", {"honest": honest}))
    for name, what in (("cancel_stream_s", "a stream"), ("cancel_nonstream_s", "a whole answer")):
        bars.append(
            Bar(
                what=f"behave: client leaves {what}: upstream closed",
                measured=result[name],
                needed=LEAVE_MAX_S,
                unit=" s",
            )
        )
    return bars


def _broken(result: Mapping[str, Any]) -> list[Bar]:
    truths = {}
    for name, what in (("die", "reset"), ("trunc", "end without a last chunk"), ("errevent", "error event")):
        seen = result[name]
        looks_broken = seen["error_event"] or seen["end"] != "eof"
        truths[what] = looks_broken and not seen["finish"] and not (seen["done"] and name != "errevent")
    bars = [_counted("behave: broken streams that look broken", truths)]
    return [
        *bars,
        _counted("behave: the engine's own error event", {"kept": result["errevent"]["engine_error_passed"]}),
    ]
