"""A server's log held against its broker's: what one hides, the other tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from freehold.audit.compare import compare
from freehold.audit.entry import DONE, INTENT
from freehold.audit.log import TransparencyLog
from freehold.domain.receipt import AuditRecord
from tests.support.audit import StillClock


def _log(folder: Path, sent: Sequence[tuple[str, str]], *, unix_ms: int = 5_000) -> Path:
    """A log with an egress for each request and its outcome; an empty one for none."""

    async def write() -> None:
        log = TransparencyLog.open(folder, origin="test/log", clock=StillClock())
        for request, outcome in sent:
            detail: dict[str, object] = {
                "deployment": "d", "origin": "https://x.test:443", "zone": "world", "label": "public", "rules": [],
                "body_bytes": 2, "body_commit": f"c-{request}",
            }  # fmt: skip
            index = log.append(_record(INTENT, request, detail, unix_ms))
            if outcome:
                log.append(_record(DONE, request, {"intent": index, "outcome": outcome, "bytes": 2}, unix_ms))
        log.close()

    asyncio.run(write())
    return folder


def _record(event: str, request: str, detail: dict[str, object], unix_ms: int) -> AuditRecord:
    return AuditRecord(event=event, unix_ms=unix_ms, tenant="t", request_id=request, detail=detail)


def test_logs_that_say_the_same_agree(tmp_path: Path) -> None:
    told = [("r-1", "complete"), ("r-2", "broken"), ("r-1", "complete"), ("r-3", "")]
    found = compare(_log(tmp_path / "ours", told), _log(tmp_path / "theirs", told[::-1]))
    assert (found.same, found.agree, found.before) == (4, True, 0)


def test_what_the_server_hides_the_broker_tells(tmp_path: Path) -> None:
    ours = _log(tmp_path / "ours", [("r-1", "complete")])
    theirs = _log(
        tmp_path / "theirs", [("r-1", "complete"), ("r-2", "complete"), ("r-1", "complete"), ("r-3", "unknown")]
    )
    found = compare(ours, theirs)
    assert [each.request_id for each in found.only_broker] == ["r-1", "r-2", "r-3"]
    assert (found.same, found.only_server, found.agree) == (1, (), False)


def test_another_way_out_is_seen_as_what_the_broker_did_not_send(tmp_path: Path) -> None:
    ours = _log(tmp_path / "ours", [("r-1", "complete"), ("r-2", "complete")])
    _log(tmp_path / "ours-1", [("r-3", "complete")])
    found = compare(ours, _log(tmp_path / "theirs", [("r-1", "complete")]))
    assert [each.request_id for each in found.only_server] == ["r-2", "r-3"]
    assert not found.agree


def test_what_was_not_sent_may_be_in_either_alone(tmp_path: Path) -> None:
    """A disk that failed, a broker that refused, a call that was given up between two records."""
    ours = _log(tmp_path / "ours", [("r-1", "not_sent"), ("r-2", "cancelled"), ("r-4", "complete")])
    theirs = _log(tmp_path / "theirs", [("r-2", "not_sent"), ("r-3", "not_sent"), ("r-4", "complete")])
    assert compare(ours, theirs).agree


def test_what_is_older_than_the_broker_is_not_compared(tmp_path: Path) -> None:
    ours = _log(tmp_path / "ours", [("r-0", "complete")], unix_ms=1_000)
    found = compare(ours, _log(tmp_path / "theirs", [("r-1", "complete")], unix_ms=50_000))
    assert (found.before, [each.request_id for each in found.only_broker]) == (1, ["r-1"])
    assert compare(ours, _log(tmp_path / "none", [])).before == 1
