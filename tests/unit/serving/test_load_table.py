"""What several processes run at once, in one small file."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.serving.load_table import LoadTable


def test_each_sees_what_the_others_run(tmp_path: Path) -> None:
    path = tmp_path / "load"
    parent = LoadTable.make(path, workers=3)
    one, two, three = (LoadTable.open(path, worker=each) for each in range(3))
    one.publish(slot_s=10.0, running=2, at_s=100.0)
    two.publish(slot_s=1.0, running=0, at_s=50.0)
    assert three.others(101.5) == 10.0 + 2 * 1.5 + 1.0
    assert one.others(101.5) == 1.0
    assert two.others(99.0) == 10.0  # never less than what was run
    with parent:
        parent.clear(0)
    assert three.others(102.0) == 1.0
    two.publish(slot_s=5.0, running=1, at_s=60.0)
    LoadTable.open(path, worker=1).close()  # started anew
    assert three.others(102.0) == 0.0
    for each in (parent, one, two, three):
        each.close()


def test_no_room_is_said(tmp_path: Path) -> None:
    path = tmp_path / "load"
    LoadTable.make(path, workers=1).close()
    with pytest.raises(ValueError, match="no room"):
        LoadTable.open(path, worker=1)
