"""Whatever dies when, every item of a batch comes to exactly one result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.storage import disk
from freehold.storage.batch_results import ItemResult, ResultJournal

ITEMS = 12


@st.composite
def lives(draw):
    """What a process does before it dies: groups of items whose results it keeps, and how much of what it wrote last,
    unacknowledged, the disk has."""
    groups = draw(st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=4, unique=True), max_size=4))
    return groups, draw(st.lists(st.integers(0, ITEMS - 1), max_size=4, unique=True)), draw(st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(lives(), max_size=5))
def test_exactly_one_result_whatever_dies_when(history) -> None:
    """Waiting for the medium is left out: what a power cut takes is decided by the test."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(disk, "sync", lambda _descriptor: None),
        mock.patch.object(disk, "sync_folder", lambda _path: None),
    ):
        path = Path(folder) / "b.results"
        acknowledged: dict[int, bytes] = {}
        for life, (groups, last, share) in enumerate(history):
            journal = ResultJournal(path, ITEMS)
            assert {place for place in range(ITEMS) if journal.has(place)} >= set(acknowledged)
            for group in groups:
                results = [ItemResult(place, place % 3 > 0, b'"life %d"' % life) for place in group]
                journal.add(results)
                for each in results:
                    acknowledged.setdefault(each.place, each.line)
            durable_bytes = path.stat().st_size
            journal.add([ItemResult(place, place % 3 > 0, b'"life %d"' % life) for place in last])
            journal.close()
            written = path.read_bytes()
            kept = durable_bytes + round(share * (len(written) - durable_bytes))
            path.write_bytes(written[:kept])
            for place in last:
                survivor = ResultJournal(path, ITEMS)
                if survivor.has(place):
                    acknowledged.setdefault(place, survivor.lines([place])[0].line)
                survivor.close()
        journal = ResultJournal(path, ITEMS)
        left = [place for place in range(ITEMS) if not journal.has(place)]
        assert set(left) == set(range(ITEMS)) - set(acknowledged)
        journal.add([ItemResult(place, place % 3 > 0, b'"at last"') for place in left])
        found = journal.lines(range(ITEMS))
        assert [each.place for each in found] == list(range(ITEMS))
        for place, line in acknowledged.items():
            assert found[place].line == line, "the first durable result stays"
        assert (journal.completed, journal.failed) == (8, 4)
        journal.close()
        assert len(path.read_bytes().splitlines()) == ITEMS
