"""The journal of a batch's results."""

from __future__ import annotations

import errno
from zlib import crc32

import pytest

from freehold.storage import disk
from freehold.storage.batch_results import ItemResult, ResultJournal


def result(place, text="good", *, good=True):
    return ItemResult(place, good, b'{"n":%d,"text":"%b"}' % (place, text.encode()))


def test_results_survive_reopening_and_are_found_by_place(tmp_path):
    path = tmp_path / "deep" / "b.results"
    journal = ResultJournal(path, 4)
    journal.add([result(2), result(0, "bad", good=False)])
    journal.close()
    assert path.stat().st_mode & 0o777 == 0o600
    again = ResultJournal(path, 4)
    assert (again.completed, again.failed, again.done) == (1, 1, 2)
    assert [again.has(place) for place in range(4)] == [True, False, True, False]
    assert again.lines(range(4)) == [result(0, "bad", good=False), None, result(2), None]
    again.add([result(1)])
    assert again.lines([1]) == [result(1)]
    again.remove()
    assert not path.exists()


def test_a_second_result_of_an_item_is_dropped(tmp_path):
    path = tmp_path / "b.results"
    journal = ResultJournal(path, 2)
    journal.add([result(0, "first")])
    journal.add([result(0, "second"), result(1), result(1)])
    journal.add([])
    journal.close()
    assert journal.done == 2
    again = ResultJournal(path, 2)
    assert again.lines([0, 1]) == [result(0, "first"), result(1)]
    assert len(path.read_bytes().splitlines()) == 2
    again.close()


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_torn_tail_is_cut_off_and_what_comes_after_it_is_whole(tmp_path, cut):
    path = tmp_path / "b.results"
    journal = ResultJournal(path, 3)
    journal.add([result(0)])
    whole_bytes = path.stat().st_size
    journal.add([result(1)])
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    again = ResultJournal(path, 3)
    assert [again.has(place) for place in range(3)] == [True, False, False]
    assert path.stat().st_size == whole_bytes
    again.add([result(1), result(2)])
    again.close()
    third = ResultJournal(path, 3)
    assert third.lines(range(3)) == [result(0), result(1), result(2)]
    third.close()


def test_a_frame_that_was_changed_does_not_count(tmp_path):
    path = tmp_path / "b.results"
    journal = ResultJournal(path, 3)
    journal.add([result(0), result(1), result(2)])
    journal.close()
    frames = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(frames[0] + frames[1].replace(b"good", b"gold") + frames[2])
    again = ResultJournal(path, 3)
    assert [again.has(place) for place in range(3)] == [True, False, False]
    again.close()


@pytest.mark.parametrize("failing", ["append", "sync"])
def test_a_disk_that_fails_costs_nothing_but_time(tmp_path, monkeypatch, failing):
    path = tmp_path / "b.results"
    journal = ResultJournal(path, 3)
    journal.add([result(0)])
    works = getattr(disk, failing)

    def fails(descriptor, *data):
        if data:
            works(descriptor, data[0][: len(data[0]) // 2])
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as broken:
        broken.setattr(disk, failing, fails)
        with pytest.raises(OSError, match="no space"):
            journal.add([result(1), result(2)])
    assert journal.done == 1
    journal.add([result(1), result(2)])
    journal.close()
    again = ResultJournal(path, 3)
    assert again.lines(range(3)) == [result(0), result(1), result(2)]
    again.close()


def test_a_label_comes_back_as_it_was_and_a_journal_of_an_older_version_has_none(tmp_path):
    path = tmp_path / "results"
    journal = ResultJournal(path, 2)
    label = "confidential;zones=lan;readers=ann b%20,c%"
    journal.add([ItemResult(0, True, b'{"a": 1}', label)])
    journal.close()
    old = b'1 - {"b": 2}\n'
    with path.open("ab") as file:
        file.write(b"%08x " % crc32(old) + old)
    again = ResultJournal(path, 2)
    assert again.lines([0, 1]) == [ItemResult(0, True, b'{"a": 1}', label), ItemResult(1, False, b'{"b": 2}')]
    again.close()
