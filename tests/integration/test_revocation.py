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


def test_a_key_that_is_rotated_without_overlap_ends_what_runs_for_it_and_is_recorded(house: Site) -> None:
    """As ``freehold keys rotate ID --overlap 0`` does it, beside the server."""
    secret, key_id = house.gateway.new_key(tenant="other")
    body = {"model": "plain", "stream": True, "messages": [{"role": "user", "content": "stall"}]}
    with (
        house.gateway.http(secret) as theirs,
        theirs.stream("POST", "/v1/chat/completions", json=body, timeout=30) as ended,
    ):
        pieces = ended.iter_raw()
        next(pieces)
        with house.gateway.key_ring() as ring:
            later, record = ring.rotate(key_id, overlap_s=0)
        rotated_s = time.monotonic()
        with pytest.raises(Exception, match=r"incomplete|peer closed"):
            list(pieces)
        assert time.monotonic() - rotated_s < ENDS_WITHIN_S
    with house.gateway.http(later) as client:
        assert client.get("/v1/models").status_code == 200

    def recorded() -> bool:
        # Whoever made, rotated or revoked a key: the events leave the database for the audit log.
        with house.gateway.key_ring() as ring:
            return not ring.events()

    eventually(recorded, what="the events of keys in the audit log")
    log = b"".join(path.read_bytes() for path in house.gateway.audit_folder.rglob("*") if path.is_file())
    assert b"key.rotated" in log
    assert record.id.encode() in log
    assert later.encode() not in log
