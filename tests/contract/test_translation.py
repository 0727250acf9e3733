"""A recorded corpus of requests and answers of OpenAI and Anthropic: it goes through and back unchanged in meaning.

A case is a file below ``tests/golden/translation``: what a client of one dialect sends and an upstream of the other must
receive, or what an upstream sends and a client of the other dialect must get. Within one dialect nothing may change, so
that nothing is recorded of it. ``tests/support/meaning.py`` says what "unchanged in meaning" is; it knows no code of
ours. Written anew with ``FREEHOLD_GOLDEN=write``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support import meaning
from tests.support.anthropic_schema import checked_event, checked_message
from tests.support.translation import MODEL, Answer, Passage, events_in, send

GOLDEN = Path(__file__).parents[1] / "golden" / "translation"
OTHER = {"openai": "anthropic", "anthropic": "openai"}
SEPARATOR = {"openai": "data: ", "anthropic": "event: "}
JSON, EVENTS = {"content-type": "application/json"}, {"content-type": "text/event-stream; charset=utf-8"}
ASKING: dict[str, Any] = {"model": "route", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}

Json = dict[str, Any]


def cases(*folders: str) -> Any:
    paths = [path for folder in folders for path in sorted((GOLDEN / folder).glob("*.json"))]
    return pytest.mark.parametrize("path", paths, ids=[f"{path.parent.name}/{path.stem}" for path in paths])


def read(path: Path) -> Json:
    return json.loads(path.read_text(encoding="utf-8"))


def recorded(path: Path, **made: Any) -> None:
    """Hold what was made against what is recorded, or record it."""
    case = read(path)
    if os.environ.get("FREEHOLD_GOLDEN") == "write":
        kept = {name: value for name, value in case.items() if name not in ("sent", "received", "refused", "left_out")}
        text = json.dumps({**kept, **made}, indent=2, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
    else:
        assert made == {name: case[name] for name in made}


def stream_of(events: list[Any], dialect: str) -> bytes:
    """The bytes of a stream, as that dialect's own server writes them."""
    told: list[str] = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        name = f"event: {event['type']}\n" if dialect == "anthropic" else ""
        told.append(f"{name}data: {data}\n\n")
    return "".join(told).encode()


def some_answer(dialect: str, *, stream: bool) -> Answer:
    """One that is good whatever was asked."""
    case = read(GOLDEN / f"{dialect}_answers" / "text.json")
    if stream:
        return Answer(stream_of(case["events"], dialect), headers=EVENTS)
    return Answer(json.dumps(case["whole"]).encode(), headers=JSON)


def asked(body: Json, client: str, upstream: str, headers: Any = None, *, is_judged: bool = False) -> Passage:
    """Send a request; what passes through unseen is asked for as the client asks, everything else as a stream."""
    passes = client == upstream and not is_judged
    answer = some_answer(upstream, stream=not passes or bool(body.get("stream")))
    return send(
        json.dumps(body, ensure_ascii=False).encode(),
        client=client, upstream=upstream, answer=answer, headers=headers, is_judged=is_judged,
    )  # fmt: skip


# --- requests --------------------------------------------------------------------------------------------------------


@cases("openai_requests", "anthropic_requests")
def test_a_request_reaches_its_own_dialect_as_it_was_sent(path: Path) -> None:
    case = read(path)
    client, body = case["client"], case["request"]
    for is_judged in (False, True):
        passage = asked(body, client, client, case.get("headers"), is_judged=is_judged)
        assert passage.client.status == 200, passage.client.received
        assert passage.sent is not None
        ours = {"stream", "stream_options"} if is_judged or client == "openai" else set()
        ours |= {"logprobs", "top_logprobs"} if is_judged else set()
        told = {name: value for name, value in passage.sent.items() if name not in ours}
        expected = {name: value for name, value in body.items() if name not in ours} | {"model": MODEL}
        for turn in expected["messages"] if client == "openai" else ():
            turn.pop("content_blocks", None)  # Anthropic's, and this is none of its upstreams
        assert told == expected
        for name, value in (case.get("headers") or {}).items():
            assert passage.upstream.headers[name] == value
        assert "freehold-left-out" not in passage.client.headers


@cases("openai_requests", "anthropic_requests")
def test_a_request_for_the_other_dialect_means_the_same(path: Path) -> None:
    case = read(path)
    client, body = case["client"], case["request"]
    upstream = OTHER[client]
    passage = asked(body, client, upstream, case.get("headers"))
    if passage.sent is None:
        told = json.loads(passage.client.received)["error"]
        refused = {name: told.get(name) for name in ("freehold_code", "param", "message")}
        assert passage.client.status == 400
        recorded(path, refused=refused)
        return
    left_out = passage.client.headers.get("freehold-left-out", "")
    recorded(path, sent=passage.sent, left_out=left_out)
    assert "anthropic-beta" not in passage.upstream.headers
    sent = {**passage.sent, "stream": bool(body.get("stream"))}  # always asked for as a stream
    meant, got = meaning.of_request(body, client), meaning.of_request(sent, upstream)
    assert meaning.without(got, left_out) == meaning.without(meant, left_out)
    assert bool(left_out) or not lost(meant, got)


def lost(meant: Json, got: Json) -> set[str]:
    return meant["more"].keys() - got["more"].keys()


@cases("openai_requests", "anthropic_requests")
def test_a_request_goes_there_and_back(path: Path) -> None:
    """What the other dialect's upstream got, sent by a client of that dialect, means what was meant at first."""
    case = read(path)
    client, body = case["client"], case["request"]
    if "sent" not in case:
        return
    there = {**case["sent"], "model": "route", "stream": bool(body.get("stream"))}
    back = asked(there, OTHER[client], client)
    assert back.sent is not None, back.client.received
    left_out = f"{case['left_out']}, {back.client.headers.get('freehold-left-out', '')}"
    sent = {**back.sent, "stream": bool(body.get("stream"))}
    meant, got = meaning.of_request(body, client), meaning.of_request(sent, client)
    assert meaning.without(got, left_out) == meaning.without(meant, left_out)


# --- answers ---------------------------------------------------------------------------------------------------------


def body_for(client: str, *, stream: bool) -> bytes:
    options = {"stream_options": {"include_usage": True}} if stream and client == "openai" else {}
    return json.dumps({**ASKING, "stream": stream, **options}).encode()


def answered(case: Json, client: str, *, stream: bool, is_judged: bool = False, piece_bytes: int = 0) -> Passage:
    upstream = case["upstream"]
    if stream or client != upstream or is_judged:
        answer = Answer(stream_of(case["events"], upstream), headers=EVENTS, piece_bytes=piece_bytes)
    else:
        answer = Answer(json.dumps(case["whole"], ensure_ascii=False).encode(), headers=JSON)
    passage = send(
        body_for(client, stream=stream), client=client, upstream=upstream, answer=answer, is_judged=is_judged
    )
    assert passage.client.status == 200, passage.client.received
    assert (passage.client.ended, passage.client.broken) == (True, False)
    return passage


@cases("openai_answers", "anthropic_answers")
def test_an_answer_passes_through_byte_for_byte(path: Path) -> None:
    case = read(path)
    dialect = case["upstream"]
    for piece_bytes in (0, 7, 100):
        passage = answered(case, dialect, stream=True, piece_bytes=piece_bytes)
        assert passage.client.received == passage.upstream.answer.body
        assert passage.receipt is not None
        noted(passage, case)
    whole = answered(case, dialect, stream=False)
    assert whole.client.received == whole.upstream.answer.body
    noted(whole, case)


def noted(passage: Passage, case: Json) -> None:
    """The receipt knows what the answer said of itself."""
    assert passage.receipt is not None
    usage, meant = passage.receipt.answer_usage, meaning.of_answer(case["whole"], case["upstream"])
    assert usage.measured
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (
        meant["input"],
        meant["cached"],
        meant["output"],
    )
    assert passage.receipt.attempts[0].finish_reason is not None


@cases("openai_answers", "anthropic_answers")
def test_a_judged_answer_loses_nothing_in_its_own_dialect(path: Path) -> None:
    case = read(path)
    dialect = case["upstream"]
    streamed = answered(case, dialect, stream=True, is_judged=True)
    whole = json.loads(answered(case, dialect, stream=False, is_judged=True).client.received)
    if dialect == "anthropic":
        assert streamed.client.received == streamed.upstream.answer.body
        assert whole == case["whole"]
        return
    assert [named(event) for event in streamed.events] == [named(event) for event in case["events"]]
    assert named(whole) == named(case["whole"])


def named(event: Any) -> Any:
    """The same under our name: a judged answer of OpenAI's dialect is told under its deployment's."""
    return event if isinstance(event, str) else without_nulls({**event, "model": "up"})


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


@cases("openai_answers", "anthropic_answers")
def test_an_answer_for_a_client_of_the_other_dialect_means_the_same(path: Path) -> None:
    case = read(path)
    upstream = case["upstream"]
    client = OTHER[upstream]
    streamed = answered(case, client, stream=True, piece_bytes=11).events
    whole = json.loads(answered(case, client, stream=False).client.received)
    recorded(path, received={"events": streamed, "whole": whole})
    meant = meaning.of_answer(case["whole"], upstream)
    assert meaning.of_answer(whole, client) == meant
    put_together = meaning.completion_of(streamed) if client == "openai" else meaning.message_of(streamed)
    assert meaning.of_answer(put_together, client) == meant
    CHECKS[client](whole, streamed)


def check_openai(whole: Json, streamed: list[Any]) -> None:
    ChatCompletion.model_validate(whole, strict=True)
    for event in streamed[:-1]:
        ChatCompletionChunk.model_validate(event, strict=True)
    assert streamed[-1] == "[DONE]"


def check_anthropic(whole: Json, streamed: list[Any]) -> None:
    checked_message(whole)
    for event in streamed:
        checked_event(event)


CHECKS: dict[str, Callable[[Json, list[Any]], None]] = {"openai": check_openai, "anthropic": check_anthropic}


@cases("openai_answers", "anthropic_answers")
def test_an_answer_goes_there_and_back(path: Path) -> None:
    """What a client of the other dialect gets, as that dialect's own answer, means the same to a client of this one."""
    case = read(path)
    dialect = case["upstream"]
    there = {"upstream": OTHER[dialect], **case["received"]}
    back = json.loads(answered(there, dialect, stream=False).client.received)
    assert meaning.of_answer(back, dialect) == meaning.of_answer(case["whole"], dialect)


@cases("anthropic_answers")
def test_a_turn_of_anthropics_goes_back_to_it_as_it_was(path: Path) -> None:
    """A client of OpenAI's that sends back the turn that it got: Anthropic's signatures and blocks are all there."""
    case = read(path)
    said = case["received"]["whole"]["choices"][0]["message"]
    if not case["whole"]["content"]:
        return
    turns = [ASKING["messages"][0], said, {"role": "user", "content": "Go on."}]
    sent = asked({**ASKING, "messages": turns}, "openai", "anthropic").sent
    assert sent is not None
    blocks = sent["messages"][1]["content"]
    plain = [{k: v for k, v in block.items() if k != "caller"} for block in case["whole"]["content"]]
    assert blocks == plain if "content_blocks" not in said else blocks == case["whole"]["content"]
    if any(block["type"] in ("thinking", "redacted_thinking") for block in plain):
        assert "content_blocks" in said


# --- errors ----------------------------------------------------------------------------------------------------------


@cases("errors")
def test_an_error_keeps_what_its_clients_act_on(path: Path) -> None:
    case = read(path)
    upstream = case["upstream"]
    received: Json = {}
    for client in ("openai", "anthropic"):
        if "events" in case:
            answer = Answer(stream_of(case["events"], upstream), headers=EVENTS)
        else:
            is_json = not isinstance(case["body"], str)
            body = json.dumps(case["body"]) if is_json else case["body"]
            headers = {**case["headers"], **(JSON if is_json else {"content-type": "text/html"})}
            answer = Answer(body.encode(), status=case["status"], headers=headers)
        passage = send(body_for(client, stream="events" in case), client=client, upstream=upstream, answer=answer)
        told = passage.client
        last = passage.events[-1] if told.headers["content-type"].startswith("text/") else json.loads(told.received)
        received[client] = {"status": told.status, "retry-after": told.headers.get("retry-after"), "error": last}
        assert told.broken or told.status != 200
        assert b"sk-a-credential" not in told.received
        for end in (b"data: [DONE]", b"event: message_stop"):
            assert end not in told.received
        if "status" in case and case["status"] not in (401, 403):
            assert told.status == case["status"]
            assert told.headers.get("retry-after") == case["headers"].get("retry-after")
        if client == "anthropic":
            checked_event(last)
    recorded(path, received=received)


def test_the_corpus_is_as_large_as_promised() -> None:
    counts = {folder.name: len(list(folder.glob("*.json"))) for folder in GOLDEN.iterdir()}
    assert counts["openai_requests"] >= 15
    assert counts["anthropic_requests"] >= 15
    assert counts["openai_answers"] >= 12
    assert counts["anthropic_answers"] >= 12
    assert counts["errors"] >= 8
    assert sum(counts.values()) >= 60


def test_streams_are_cut_as_servers_cut_them() -> None:
    case = read(GOLDEN / "anthropic_answers" / "text.json")
    assert events_in(stream_of(case["events"], "anthropic")) == case["events"]
