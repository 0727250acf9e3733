"""Commands that talk to the running server: ask, receipts, models."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from freehold.cli import ask as ask_module
from freehold.cli.receipt_line import receipt_line
from freehold.cli.server_call import url_of
from freehold.config.schema import Server
from freehold.identity.first_key import write_secret
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

RECEIPT = json.loads((Path(__file__).parents[2] / "golden" / "receipt" / "typical.json").read_text("utf-8"))
KEY = "fh-" + "k" * 43
CHAT = "/v1/chat/completions"
EVENTS = (
    b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n: ping\n\n'
    b'data: {"choices": [{"delta": {"content": "Par"}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "is."}}]}\n\n'
    b'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n'
)
REFUSED = {"error": {"message": "no", "type": "policy_error", "code": "x", "freehold_code": "FH-POLICY-001"}}


@pytest.fixture
def server(home: Path) -> Generator[FakeServer]:
    home.mkdir()
    write_secret(home / "first-key", KEY)
    with fake_server() as made:
        made.answers["/v1/receipts/r-1"] = Answer(json.dumps(RECEIPT).encode())
        yield made


def _stream(body: bytes = EVENTS) -> Answer:
    return Answer(body, kind="text/event-stream; charset=utf-8")


def test_ask_shows_the_answer_and_one_line_of_its_receipt(cli: Cli, server: FakeServer) -> None:
    server.answers[CHAT] = _stream()
    shown = cli("ask", "Capital of France?", "--url", server.url)
    assert (shown.code, shown.out) == (0, "Paris.\n")
    assert shown.err == receipt_line(RECEIPT) + "\n"
    _, _, headers, body = server.asked[0]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "freehold-label" not in headers
    assert json.loads(body) == {
        "model": "auto",
        "messages": [{"role": "user", "content": "Capital of France?"}],
        "stream": True,
    }


def test_ask_passes_on_what_was_said(cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_KEY", "fh-other")
    whole = {"choices": [{"message": {"content": "Paris."}}]}
    server.answers[CHAT] = Answer(json.dumps(whole).encode())
    words = ("--model", "large", "--label", "confidential", "--max-tokens", "5", "--no-stream", "--json")
    shown = cli("ask", "Capital?", "--url", f"{server.url}/v1", *words)
    assert shown.code == 0
    assert json.loads(shown.out) == {"answer": "Paris.", "receipt": RECEIPT}
    _, _, headers, body = server.asked[0]
    assert (headers["authorization"], headers["freehold-label"]) == ("Bearer fh-other", "confidential")
    asked = json.loads(body)
    assert (asked["model"], asked["max_tokens"], asked["stream"]) == ("large", 5, False)


def test_an_answer_from_documents_shows_what_says_so(cli: Cli, server: FakeServer) -> None:
    lease = {"number": 2, "title": "lease.pdf", "page": 3, "quote": "ends on\n 31 May " + "x" * 200}
    note = {"number": 1, "title": "note.md", "page": 0}
    vault = {"citations": [lease, note, lease], "unsupported": [{"start": 0, "end": 3}], "passages": []}
    whole = {"choices": [{"message": {"content": "It ends in May [2]."}}], "vault": vault}
    server.answers[CHAT] = Answer(json.dumps(whole).encode())
    shown = cli("ask", "When?", "--url", server.url, "--vault", "archive")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "It ends in May [2].",
        "",
        "[1] note.md",
        "[2] lease.pdf, page 3: ends on 31 May " + "x" * 144 + "…",
        "No document was found to support 1 sentence of this.",
        "",
    ]
    asked = json.loads(server.asked[0][3])
    assert (asked["vault"], asked["stream"]) == ("archive", False), "it is checked as a whole"
    told = json.loads(cli("ask", "When?", "--url", server.url, "--vault", "archive", "--json").out)
    assert told == {"answer": "It ends in May [2].", "receipt": RECEIPT, "vault": vault}


def test_an_answer_that_documents_do_not_give_has_no_sources(cli: Cli, server: FakeServer) -> None:
    said = "This is not in your documents."
    whole = {"choices": [{"message": {"content": said}}], "vault": {"citations": [], "unsupported": []}}
    server.answers[CHAT] = Answer(json.dumps(whole).encode())
    assert cli("ask", "When?", "--url", server.url, "--vault", "archive").out == said + "\n"


def test_a_refusal_is_shown_with_its_code(cli: Cli, server: FakeServer) -> None:
    server.answers[CHAT] = Answer(json.dumps(REFUSED).encode(), status=403)
    shown = cli("ask", "x", "--url", server.url)
    assert (shown.code, shown.out, shown.err) == (1, "", "FH-POLICY-001: no\n")
    assert json.loads(cli("ask", "x", "--url", server.url, "--json").out) == REFUSED


def test_an_answer_that_breaks_off_is_an_error(cli: Cli, server: FakeServer) -> None:
    first = EVENTS.split(b": ping")[0]
    server.answers[CHAT] = _stream(first + b"data: " + json.dumps(REFUSED).encode() + b"\n\n")
    shown = cli("ask", "x", "--url", server.url)
    assert shown.code == 1
    assert shown.err.endswith("FH-POLICY-001: no\n")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": {"a": 1}}', b'{"choices": []}'])
def test_another_program_is_not_taken_for_freehold(cli: Cli, server: FakeServer, body: bytes) -> None:
    server.answers[CHAT] = Answer(body)
    shown = cli("ask", "x", "--url", server.url, "--no-stream")
    assert shown.code == 1
    assert shown.err.startswith("FH-SERVER-004: ")


def test_events_that_are_none_are_not_taken_for_an_answer(cli: Cli, server: FakeServer) -> None:
    server.answers[CHAT] = _stream(b"data: nonsense\n\n")
    shown = cli("ask", "x", "--url", server.url)
    assert shown.code == 1
    assert shown.err.startswith("FH-SERVER-004: ")


def test_a_stream_without_an_end_is_said_to_be_cut(cli: Cli, server: FakeServer) -> None:
    server.answers[CHAT] = _stream(EVENTS.split(b"data: [DONE]")[0])
    shown = cli("ask", "x", "--url", server.url)
    assert shown.code == 1
    assert shown.out == "Paris.\n", "the error begins a line of its own"
    assert "FH-UPSTREAM" in shown.err


@pytest.fixture
def over(server: FakeServer) -> Generator[threading.Event]:
    """That a test is over: what answers may end."""
    del server
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def interruptible() -> Generator[None]:
    """Interrupting has an effect, also where the tests were started in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_answer_that_is_interrupted_shows_what_came(
    cli: Cli, server: FakeServer, over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EVENTS.split(b'data: {"choices": [{"delta": {"content": "is."')[0]
    server.answers[CHAT] = Answer(first, kind="text/event-stream", meanwhile=over.wait)
    show = ask_module._shown

    def shown_and_interrupted(text: str) -> None:
        show(text)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ask_module, "_shown", shown_and_interrupted)
    shown = cli("ask", "x", "--url", server.url)
    assert (shown.code, shown.out) == (130, "Par\n")
    assert shown.err == "Interrupted: the answer is not whole. Receipt: freehold receipts r-1\n"
    monkeypatch.setattr(ask_module, "_hidden", lambda _: signal.raise_signal(signal.SIGINT))
    shown = cli("ask", "x", "--url", server.url, "--json")
    assert (shown.code, shown.err) == (130, "")
    assert json.loads(shown.out) == {"answer": "Par", "interrupted": True, "receipt_id": "r-1"}


@pytest.mark.usefixtures("interruptible")
def test_what_was_not_checked_is_not_shown_by_interrupting(cli: Cli, server: FakeServer, over: threading.Event) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        over.wait()

    server.answers[CHAT] = Answer(b'{"choices": [', meanwhile=interrupt)
    shown = cli("ask", "x", "--url", server.url, "--vault", "archive")
    assert (shown.code, shown.out) == (130, "")
    assert shown.err.startswith("Interrupted: nothing of an answer was shown.")


def test_an_answer_from_documents_ends_where_one_that_loops_would_not(cli: Cli, server: FakeServer) -> None:
    whole = {"choices": [{"message": {"content": "It ends in"}, "finish_reason": "length"}], "vault": {"x": 1}}
    server.answers[CHAT] = Answer(json.dumps(whole).encode())
    shown = cli("ask", "When?", "--url", server.url, "--vault", "archive")
    assert (shown.code, shown.out) == (0, "It ends in\n")
    said = "The answer is cut off where it had no more tokens (512): --max-tokens may allow more."
    assert shown.err.splitlines() == [said, receipt_line(RECEIPT)]
    assert json.loads(cli("ask", "x", "--url", server.url, "--vault", "archive", "--json").out)["cut_off"] is True
    cli("ask", "x", "--url", server.url, "--vault", "archive", "--max-tokens", "2000")
    asked = [json.loads(body) for method, _, _, body in server.asked if method == "POST"]
    assert [each["max_tokens"] for each in asked] == [512, 512, 2000], "as many as are kept free for it"


def test_a_stream_that_is_cut_off_says_so(cli: Cli, server: FakeServer) -> None:
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
    server.answers[CHAT] = _stream(EVENTS.split(b"data: [DONE]")[0] + end)
    shown = cli("ask", "x", "--url", server.url)
    assert shown.out == "Paris.\n"
    said = "The answer is cut off where it had no more tokens: the model has room for no more."
    assert shown.err.splitlines() == [said, receipt_line(RECEIPT)]


@pytest.mark.parametrize("words", [("ask", "x"), ("receipts",), ("receipts", "r-1")])
def test_nobody_there(cli: Cli, words: tuple[str, ...]) -> None:
    shown = cli(*words, "--url", "http://127.0.0.1:1")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("FH-SERVER-004: No Freehold answers at http://127.0.0.1:1: ")


def test_a_key_file_that_others_can_read_is_refused(cli: Cli, server: FakeServer, home: Path) -> None:
    (home / "first-key").chmod(0o644)
    shown = cli("receipts", "--url", server.url)
    assert shown.code == 1
    assert "FH-SERVER-013" in shown.err and "chmod 600" in shown.err
    assert server.asked == []


def test_a_key_file_that_is_not_there(cli: Cli, server: FakeServer) -> None:
    shown = cli("receipts", "--url", server.url, "--key-file", "/nonexistent")
    assert (shown.code, shown.out) == (2, "")
    assert "/nonexistent" in shown.err


def test_receipts_in_a_table(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/receipts?limit=3"] = Answer(json.dumps({"data": [RECEIPT]}).encode())
    shown = cli("receipts", "--limit", "3", "--url", server.url)
    assert shown.code == 0
    assert RECEIPT["id"] in shown.out
    assert receipt_line(RECEIPT) in shown.out
    assert json.loads(cli("receipts", "--limit", "3", "--url", server.url, "--json").out) == [RECEIPT]


def test_no_receipts(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/receipts?limit=20"] = Answer(b'{"data": []}')
    assert cli("receipts", "--url", server.url).out == "No receipts yet.\n"


@pytest.mark.parametrize("limit", ["0", "201", "-1"])
def test_a_limit_out_of_range(cli: Cli, limit: str) -> None:
    assert cli("receipts", "--limit", limit).code == 2


def test_one_receipt_says_why(cli: Cli, server: FakeServer) -> None:
    shown = cli("receipts", "r-1", "--url", server.url)
    assert shown.code == 0
    for attempt in RECEIPT["attempts"]:
        assert attempt["deployment"] in shown.out
    for decision in RECEIPT["decisions"]:
        assert all(reason in shown.out for reason in decision["reasons"])


def test_what_is_no_receipt_id_is_not_sent(cli: Cli, server: FakeServer) -> None:
    shown = cli("receipts", "../models?x", "--url", server.url)
    assert (shown.code, shown.out, server.asked) == (2, "", [])


def test_models_shows_what_the_server_serves(cli: Cli, server: FakeServer) -> None:
    deployment = {"name": "small", "model": "m", "zone": "device", "slots": 2, "context_tokens": 4096}
    deployment |= {"ready": True, "detail": ""}
    listed = {"data": [{"id": each, "freehold": {"deployments": [deployment]}} for each in ("auto", "gpt-4o")]}
    server.answers["/v1/models"] = Answer(json.dumps(listed).encode())
    shown = cli("models", "--url", server.url)
    assert shown.code == 0
    assert "2 x 4096" in shown.out
    assert "auto, gpt-4o" in shown.out
    assert json.loads(cli("models", "--url", server.url, "--json").out)["served"] == listed


def _receipt(**changes: Any) -> dict[str, Any]:
    attempt = {
        "deployment": "small",
        "zone": "device",
        "timings": {"generated_tokens": 176, "generation_ms": 10_000.0},
        "confidence": {"probability": 0.834, "status": "calibrated"},
    }
    values: dict[str, Any] = {
        "answered_index": 0,
        "bytes_left": 0,
        "cost": {"micros": 12, "currency": "USD"},
        "counterfactual": {"micros": 400, "currency": "USD"},
        "attempts": [attempt | changes.pop("attempt", {})],
    }
    return values | changes


def test_the_line_of_a_receipt() -> None:
    assert receipt_line(_receipt()) == (
        "device · small · 17.6 tok/s measured · 0 bytes left this machine · confidence 0.83 (calibrated) · "
        "$0.000012 (cloud: $0.0004)"
    )


def test_the_line_counts_answers_not_what_was_asked_about_them() -> None:
    one = {**_receipt()["attempts"][0], "verdict": {"action": "accept", "reason": "confident", "certificate": "c"}}
    opinion = {**one, "role": "opinion"}
    line = receipt_line(_receipt(attempts=[one, opinion]))
    assert "attempt" not in line
    assert "(calibrated, certified)" in line
    two = {**one, "deployment": "large"}
    assert "large · attempt 2 ·" in receipt_line(_receipt(attempts=[one, opinion, two], answered_index=2))
    assert "small · attempt 1 ·" in receipt_line(_receipt(attempts=[one, opinion, two], answered_index=0))


def test_a_receipt_shows_what_was_taken_out_of_the_answer(cli: Cli, server: FakeServer) -> None:
    cleaned = {**RECEIPT, "removed": {"image": 2, "tool-call": 1}}
    for told, expected in ((cleaned, ["removed   image 2, tool-call 1"]), (RECEIPT, [])):
        server.answers[f"/v1/receipts/{RECEIPT['id']}"] = Answer(json.dumps(told).encode())
        shown = cli("receipts", RECEIPT["id"], "--url", server.url).out
        assert [line for line in shown.splitlines() if line.startswith("removed")] == expected


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "label     internal"),
        ({"kinds": ["phi", "pii"]}, "label     internal;kinds=phi,pii"),
        ({"zones": ["device", "lan"]}, "label     internal;zones=device,lan"),
        ({"readers": []}, "label     internal;readers=nobody"),
        ({"readers": ["ann"], "trusted": False}, "label     internal;readers=ann;trusted=no"),
    ],
)
def test_a_receipt_shows_the_whole_label_and_what_each_source_made_of_it(
    cli: Cli, server: FakeServer, changes: dict[str, Any], line: str
) -> None:
    plain = {"level": "internal", "kinds": [], "zones": ["device", "lan", "world"], "readers": None, "trusted": True}
    source = {"origin": "detector", "rule": "detector:x", "label": plain | changes}
    told = {**RECEIPT, "label": plain | changes, "label_sources": [source]}
    server.answers[f"/v1/receipts/{RECEIPT['id']}"] = Answer(json.dumps(told).encode())
    shown = cli("receipts", RECEIPT["id"], "--url", server.url).out.splitlines()
    assert line in shown
    assert f"          from detector (detector:x): {line.removeprefix('label     ')}" in shown


def test_a_receipt_shows_what_detectors_did(cli: Cli, server: FakeServer) -> None:
    (attempt,) = RECEIPT["attempts"]
    left_out = {
        "act": "pseudonymise",
        "label": "internal;zones=world",
        "counts": {"EMAIL": 1, "PERSON": 3},
        "answered": {"restored": 4},
    }
    why = "redact: looking through it again found 1 more"
    told = {**RECEIPT, "attempts": [attempt | {"left_out": left_out}], "detectors": ["secrets 1"], "detours": [why]}
    server.answers[f"/v1/receipts/{RECEIPT['id']}"] = Answer(json.dumps(told).encode())
    shown = cli("receipts", RECEIPT["id"], "--url", server.url).out
    sent = "sent after pseudonymise as internal;zones=world: 1 EMAIL, 3 PERSON, 4 restored in the answer"
    assert sent in shown and f"detour    {why}" in shown and "looked    secrets 1" in shown


def test_a_receipt_shows_what_each_attempt_was_for(cli: Cli, server: FakeServer) -> None:
    (attempt,) = RECEIPT["attempts"]
    verdict = {**attempt["verdict"], "certificate": "cert-1"}
    asked = {
        **RECEIPT,
        "attempts": [{**attempt, "verdict": verdict}, {**attempt, "role": "self_check", "verdict": None}],
    }
    server.answers[f"/v1/receipts/{RECEIPT['id']}"] = Answer(json.dumps(asked).encode())
    shown = cli("receipts", RECEIPT["id"], "--url", server.url)
    assert shown.code == 0
    assert "attempt   self check of small in device" in shown.out
    assert f"({attempt['verdict']['reason']}, certified)" in shown.out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cost": None, "counterfactual": None}, "unpriced"),
        ({"cost": None}, "unpriced (cloud: $0.0004)"),
        ({"attempt": {"timings": None}}, "speed not measured"),
        ({"attempt": {"timings": {"generated_tokens": 0, "generation_ms": 0.0}}}, "speed not measured"),
        ({"attempt": {"confidence": None}}, "confidence unmeasured"),
        ({"attempt": {"confidence": {"probability": None, "status": "uncalibrated"}}}, "confidence uncalibrated"),
        ({"bytes_left": 1}, "1 byte left this machine"),
        ({"bytes_left": 12345}, "12,345 bytes left this machine"),
        ({"cost": {"micros": 2_500_000, "currency": "CHF"}}, "2.50 CHF (cloud"),
        ({"answered_index": None, "error_code": "FH-POLICY-001"}, "no answer (FH-POLICY-001)"),
    ],
)
def test_what_is_not_known_is_a_word(changes: dict[str, Any], words: str) -> None:
    line = receipt_line(_receipt(**changes))
    assert words in line
    assert "None" not in line


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "http://127.0.0.1:8484"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8484"),
        ({"host": "::", "port": 9}, "http://[::1]:9"),
        ({"host": "box.lan", "tls_certificate": "c", "tls_key": "k"}, "https://box.lan:8484"),
    ],
)
def test_the_address_of_the_configured_server(changes: dict[str, Any], url: str) -> None:
    assert url_of(Server(**changes)) == url


BATCH = {
    "id": "batch_01a",
    "status": "failed",
    "endpoint": CHAT,
    "request_counts": {"total": 3, "completed": 1, "failed": 2},
    "created_at": 1_700_000_000,
    "expires_at": 1_700_086_400,
    "input_file_id": "file-1",
    "output_file_id": None,
    "error_file_id": "file-2",
    "errors": {"data": [{"code": "url_mismatch", "message": "no.", "line": 2, "param": "url"}]},
}


def test_batches_are_listed_shown_and_cancelled(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/batches?limit=20"] = Answer(json.dumps({"data": [BATCH]}).encode())
    server.answers["/v1/batches?limit=1"] = Answer(b'{"data": []}')
    server.answers["/v1/batches/batch_01a"] = Answer(json.dumps(BATCH).encode())
    server.answers["/v1/batches/batch_01a/cancel"] = Answer(json.dumps(BATCH | {"status": "cancelling"}).encode())
    at = ("--url", server.url)
    listed = cli("batches", "list", *at).out
    assert "batch_01a" in listed
    assert "1 completed, 2 failed, 3 in all" in listed
    assert "2023-11-14 22:13:20" in listed
    assert cli("batches", "list", "--limit", "1", *at).out == "No batches yet.\n"
    shown = cli("batches", "show", "batch_01a", *at).out
    assert "output    -\n" in shown
    assert "wrong     line 2: url_mismatch: no.\n" in shown
    assert "state     cancelling\n" in cli("batches", "cancel", "batch_01a", *at).out
    assert [each[0] for each in server.asked] == ["GET", "GET", "GET", "POST"]
    assert json.loads(cli("batches", "show", "batch_01a", *at, "--json").out) == BATCH
    assert json.loads(cli("batches", "list", *at, "--json").out) == [BATCH]


@pytest.mark.parametrize("words", [("list", "--limit", "0"), ("show", "../keys"), ("cancel", "b")])
def test_what_is_no_batch_is_said_before_anything_is_sent(cli: Cli, server: FakeServer, words: tuple[str, ...]) -> None:
    assert cli("batches", *words, "--url", server.url).code == 2
    assert server.asked == []
