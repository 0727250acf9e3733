"""What a client sends to find its request again is taken only where it can do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.telemetry.correlation import client_request_id, traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize("name", ["a", "req_0123.4:5/6+7=8", "018f2b2e-0000-7000-8000-000000000001", "x" * 128])
def test_plain_words_are_taken(name):
    assert client_request_id(name) == name


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "x" * 129,
        "a b",
        "a\n",
        "a\r\nx: y",
        "é",
        "a;b",
        "<a>",
        "fh-" + "a" * 43,
        "sk-proj-abcdefghijkl",
        "\ud800",
    ],
)
def test_everything_else_is_not(name):
    assert client_request_id(name) == ""


@given(st.text())
def test_what_is_taken_fits_a_header_and_a_log_line(name):
    taken = client_request_id(name)
    assert taken in {"", name}
    assert taken.isascii()
    assert taken.isprintable()
    assert " " not in taken


@pytest.mark.parametrize("header", [GOOD, GOOD[:-2] + "00", GOOD[:-2] + "ff"])
def test_a_trace_goes_on(header):
    assert traceparent(header) == header


@pytest.mark.parametrize("header", [f"01-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-more-of-it"])
def test_a_later_version_is_read_as_far_as_it_is_known(header):
    assert traceparent(header) == GOOD


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        GOOD.upper(),
        GOOD + "-x",
        GOOD + "x",
        " " + GOOD,
        GOOD[:-1],
        f"ff-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01x",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-0g",
        "x" * 100_000,
    ],
)
def test_what_is_not_valid_starts_a_new_trace(header):
    assert traceparent(header) == ""
