"""Logs: one safe line an event, never a secret, never in the way."""

from __future__ import annotations

import io
import json
import logging
import threading

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.zones import Zone
from freehold.telemetry.logs import LogFormat, Logs, log_receipt
from freehold.telemetry.redact import is_secret_name, one_line, redact, trace
from freehold.telemetry.request_line import request_fields
from tests.support.receipts import make_attempt, make_receipt

SECRET = "fh-" + "aB3_-" * 8 + "xyz"
LOG = logging.getLogger("freehold.test")


def logged(act, *, log_format=LogFormat.JSON, level="INFO"):
    stream = io.StringIO()
    logs = Logs.start(stream=stream, log_format=log_format, level=level)
    try:
        act()
    finally:
        logs.close()
    assert logs.dropped == 0
    return stream.getvalue()


def entry(act):
    lines = logged(act).splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def test_a_json_line():
    line = entry(
        lambda: LOG.warning("disk at %d %%", 93, extra={"fields": {"path": "/x", "free_bytes": 5, "ok": None}})
    )
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "freehold.test",
        "message": "disk at 93 %",
        "path": "/x",
        "free_bytes": 5,
        "ok": None,
    }


def test_a_text_line():
    text = logged(
        lambda: LOG.info("hello", extra={"fields": {"a": "one two", "b": 3, "c": None}}), log_format=LogFormat.TEXT
    )
    assert text.endswith(' info    freehold.test: hello a="one two" b=3\n')


def test_62_nothing_breaks_the_line_or_drives_the_terminal():
    hostile = "a\nlevel=error\r\x1b[2J\x9b\u2028\ud800\x00b"
    for log_format in LogFormat:
        text = logged(lambda: LOG.info("%s", hostile, extra={"fields": {hostile: hostile}}), log_format=log_format)
        assert len(text.splitlines()) == 1
        assert not any(ord(character) < 32 or ord(character) in {0x9B, 0x2028} for character in text.rstrip("\n"))
        text.encode()


def test_62_ten_megabytes_are_cut():
    text = logged(lambda: LOG.info("x" * 10_000_000, extra={"fields": {"f": "y" * 10_000_000}}))
    assert len(text) < 6_000
    assert text.count("…") == 2
    many = logged(lambda: LOG.info("x", extra={"fields": {f"f{n}": n for n in range(10_000)}}))
    assert len(json.loads(many)) == 4 + 64


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"key={SECRET}",
        f"Authorization: Bearer {SECRET}",
        "Authorization: Bearer abc.def-ghi",
        "authorization: basic dXNlcjpwYXNz",
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijklmnop1234",
        "gsk_abcdefghijklmnop1234",
        "hf_abcdefghijklmnop1234",
        "https://user:hunter2@host/v1",
        "{'x-api-key': 'sk-abcdefgh'}",
    ],
)
def test_62_secrets_are_hidden(text):
    shown = redact(text)
    assert "[redacted]" in shown
    for part in (SECRET, "abc.def", "dXNl", "abcdefgh", "hunter2"):
        assert part not in shown


@pytest.mark.parametrize(
    "text",
    ["the fh-small deployment", "sk-learn", "bears a risk", "https://host/v1?a=b:c@d", "task-oriented", "FH-AUTH-002"],
)
def test_ordinary_words_stay(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "name", ["authorization", "api_key", "API-Key", "x-api-key", "db.password", "secret", "access_token", "token"]
)
def test_fields_of_secret_names_are_hidden(name):
    assert is_secret_name(name)
    assert entry(lambda: LOG.info("m", extra={"fields": {name: "plain"}}))[name] == "[redacted]"


@pytest.mark.parametrize("name", ["output_tokens", "key_id", "tokenizer", "keyboard", "passage"])
def test_fields_of_other_names_stay(name):
    assert not is_secret_name(name)


def test_a_secret_is_not_half_hidden_by_the_cut():
    shown = one_line("x" * 90 + " " + SECRET, characters_max=100)
    assert SECRET[:6] not in shown


def test_62_secrets_in_exceptions_and_arguments_are_hidden():
    def act():
        try:
            int(SECRET)
        except ValueError:
            LOG.exception("with %s", SECRET)

    line = entry(act)
    assert SECRET not in json.dumps(line)
    assert line["exception"].endswith("ValueError")
    assert "int(SECRET)" in line["exception"], "the line of source that failed is ours"
    assert line["message"] == "with [redacted]"


def test_an_exception_is_not_quoted_since_it_may_quote_what_was_asked():
    text = "the patient is ill"
    denied = EgressDenied(origin=text, reason=text)

    def act():
        try:
            try:
                {}[text]
            except KeyError as error:
                raise ExceptionGroup(text, [ValueError(text), OSError(28, "No space left"), denied]) from error
        except ExceptionGroup:
            LOG.exception("it broke")

    line = entry(act)
    assert "patient" not in line["exception"]
    for kind in (
        "KeyError",
        "ExceptionGroup",
        "ValueError",
        "OSError: [Errno 28] No space left",
        "EgressDenied: FH-POLICY-003",
    ):
        assert kind in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_of_a_task_that_failed_unnoticed_only_that_is_told():
    error = KeyError("the patient")
    message = f"Task exception was never retrieved\nfuture: <Task exception={error!r}>"
    line = entry(lambda: logging.getLogger("asyncio").error(message, exc_info=error))
    assert line["message"] == "Task exception was never retrieved"
    assert "patient" not in json.dumps(line)


def test_errors_that_lead_to_each_other_end():
    first, second = KeyError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert trace(first).splitlines() == ["ValueError", "KeyError"]


def test_records_of_libraries_pass_here_too():
    line = entry(lambda: logging.getLogger("somebody.else").warning("got %s", SECRET))
    assert (line["logger"], line["message"]) == ("somebody.else", "got [redacted]")


def test_the_level_is_kept_and_put_back():
    before = logging.getLogger("freehold").level
    handlers = logging.getLogger().handlers[:]
    assert logged(lambda: LOG.info("quiet"), level="WARNING") == ""
    assert logging.getLogger("freehold").level == before
    assert logging.getLogger().handlers == handlers


def test_arguments_that_do_not_fit_lose_no_line():
    assert entry(lambda: LOG.warning("%d files", "many"))["message"] == "%d files"


def test_fields_that_are_no_numbers_stay_json():
    line = entry(lambda: LOG.info("m", extra={"fields": {"a": float("nan"), "b": [1, SECRET], "c": 1.5}}))
    assert (line["a"], line["b"], line["c"]) == ("nan", "[1, '[redacted]']", 1.5)


def test_fields_never_replace_what_we_say_ourselves():
    line = entry(lambda: LOG.info("mine", extra={"fields": {"message": "theirs", "level": "fatal"}}))
    assert (line["message"], line["level"]) == ("mine", "info")


class StuckStream(io.StringIO):
    def __init__(self):
        super().__init__()
        self.entered, self.open = threading.Event(), threading.Event()

    def write(self, text):
        self.entered.set()
        self.open.wait(10)
        return super().write(text)


def test_61_a_stuck_sink_drops_and_counts_and_never_blocks():
    stream = StuckStream()
    logs = Logs.start(stream=stream, log_format=LogFormat.JSON, queue_max=10)
    try:
        LOG.info("first")
        assert stream.entered.wait(10)
        for number in range(100):
            LOG.info("%d", number)
        assert logs.dropped == 90
    finally:
        stream.open.set()
        logs.close()
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages == ["first", *(str(number) for number in range(10))]


class FullStream(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


def test_61_a_full_disk_is_counted():
    logs = Logs.start(stream=FullStream(), log_format=LogFormat.TEXT)
    for _ in range(3):
        LOG.info("x")
    logs.close()
    logs.close()
    assert logs.dropped == 3


class TestRequests:
    def test_a_line_has_the_facts_and_no_text(self):
        line = entry(lambda: log_receipt(make_receipt(attempts=(make_attempt(error_message="the prompt said: hush"),))))
        assert line["message"] == "chat complete"
        assert line["request_id"] == make_receipt().id
        assert (line["answered_by"], line["zone"], line["bytes_left"]) == ("small", "device", 0)
        assert (line["cost"], line["confidence"], line["label"]) == ("0.000012 USD", 0.91, "internal")
        assert line["level"] == "info"
        assert "hush" not in json.dumps(line)

    def test_a_refused_request(self):
        fields = request_fields(
            make_receipt(attempts=(), answered_index=None, outcome=Outcome.REFUSED, error_code="FH-POLICY-001")
        )
        assert (fields["answered_by"], fields["zone"], fields["tried"]) == (None, None, "")
        assert fields["error_code"] == "FH-POLICY-001"

    def test_nothing_is_built_where_nobody_reads(self):
        assert logged(lambda: log_receipt(make_receipt()), level="WARNING") == ""

    def test_the_clients_own_names_are_shown(self):
        line = entry(lambda: log_receipt(make_receipt()))
        assert line["client_request_id"] == "mine-1"
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        plain = entry(lambda: log_receipt(make_receipt(client_request_id="", traceparent="")))
        assert (plain["client_request_id"], plain["trace_id"]) == (None, None)

    def test_the_line_is_of_the_moment_at_which_the_request_ended(self):
        receipt = make_receipt(created_unix_ms=1_790_000_000_000, total_ms=1_500.0)
        assert entry(lambda: log_receipt(receipt))["time"] == "2026-09-21T14:13:21.500+00:00"

    def test_62_nothing_in_a_receipt_breaks_the_line(self):
        hostile = "a\nlevel=error\r\x1b[2J\x9b\u2028\ud800\x00b " + SECRET
        attempt = make_attempt(deployment=hostile, zone=Zone(hostile))
        receipt = make_receipt(
            tenant=hostile, key_id=hostile, route=hostile, client_request_id=hostile, attempts=(attempt,), task=hostile
        )
        for log_format in LogFormat:
            text = logged(lambda: log_receipt(receipt), log_format=log_format)
            assert len(text.splitlines()) == 1
            assert not any(ord(character) < 32 or ord(character) in {0x9B, 0x2028} for character in text.rstrip("\n"))
            assert SECRET not in text
            text.encode()

    def test_61_a_stuck_sink_holds_no_request_up(self):
        stream = StuckStream()
        logs = Logs.start(stream=stream, queue_max=10)
        try:
            log_receipt(make_receipt())
            assert stream.entered.wait(10)
            for _ in range(1_000):
                log_receipt(make_receipt())
            assert logs.dropped == 990
        finally:
            stream.open.set()
            logs.close()
        assert len(stream.getvalue().splitlines()) == 11

    def test_somebody_elses_logging_gets_the_line_too(self, caplog):
        with caplog.at_level(logging.INFO, logger="freehold.requests"):
            log_receipt(make_receipt())
        assert [record.getMessage() for record in caplog.records] == ["chat complete"]

    def test_nothing_is_lost_between_two_threads(self):
        stream = io.StringIO()
        logs = Logs.start(stream=stream, queue_max=10**6)

        def say(name):
            for number in range(2_000):
                LOG.info("%s-%d", name, number)

        threads = [threading.Thread(target=say, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logs.close()
        assert logs.dropped == 0
        assert len(stream.getvalue().splitlines()) == 6_000
