"""A key that is revoked ends what runs for it, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.server import eventually
from tests.support.site import Site, site

ENDS_WITHIN_S = 5.0


@pytest.fixture
def house(tmp_path: Path) -> Generator[Site]:
    with site(tmp_path) as running:
        yield running


def test_a_stream_ends_within_seconds_and_says_why(house: Site) -> None:
    secret, key_id = house.gateway.new_key(tenant="other")
    body = {"model": "plain", "stream": True, "messages": [{"role": "user", "content": "stall"}]}
    received = b""
    with (
        house.gateway.http(secret) as theirs,
        theirs.stream("POST", "/v1/chat/completions", json=body, timeout=30) as ended,
        house.gateway.http() as ours,
        ours.stream("POST", "/v1/chat/completions", json=body, timeout=30) as goes_on,
    ):
        pieces = ended.iter_raw()
        received += next(pieces)
        others = goes_on.iter_raw()
        next(others)
        with house.gateway.key_ring() as ring:
            ring.revoke(key_id)
        revoked_s = time.monotonic()
        with pytest.raises(Exception, match=r"incomplete|peer closed"):
            for piece in pieces:
                received += piece
        assert time.monotonic() - revoked_s < ENDS_WITHIN_S
        first, second = house.small.exchanges
        eventually(first.gone.is_set, what="the end of the upstream's connection")
        assert not second.gone.is_set()
    last = json.loads(received.rstrip().rpartition(b"data: ")[2])
    assert last["error"]["freehold_code"] == "FH-AUTH-002"
    assert b"[DONE]" not in received


def test_an_answer_that_nobody_has_begun_to_send_is_refused(house: Site) -> None:
    secret, key_id = house.gateway.new_key(tenant="other")
    body = {"model": "plain", "messages": [{"role": "user", "content": "silent"}]}
    with ThreadPoolExecutor(1) as pool, house.gateway.http(secret) as theirs:
        asked = pool.submit(theirs.post, "/v1/chat/completions", json=body, timeout=30)
        eventually(lambda: len(house.small.exchanges) == 1, what="the call")
        with house.gateway.key_ring() as ring:
            ring.revoke(key_id)
        reply = asked.result(timeout=ENDS_WITHIN_S)
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (401, "FH-AUTH-002")
