"""What the start says of models that are not loaded then."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.placing import FakeLoader, placer_of
from tests.support.virtual_time import run_virtual


def test_what_can_never_be_loaded_is_not_promised_for_later(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        placer = placer_of(FakeLoader({"a": 4.0, "b": 12.0, "c": 7.0}), wanted=True)
        async with asyncio.timeout(100):
            while not all(each.begun for each in placer.entries()):
                await asyncio.sleep(0.1)
        await placer.close()

    caplog.set_level("INFO", logger="freehold.serving")
    run_virtual(scenario)
    (level, never), later = [
        (each.levelname, each.getMessage()) for each in caplog.records if "not loaded" in each.getMessage()
    ]
    needs = "'b' needs 12.0 GB of the memory, and models may have 10.0 GB there. Give it fewer slots"
    assert level == "WARNING"
    assert never.startswith(f"b is not loaded, and could not be: FH-ENGINE-016: {needs}")
    assert later == ("INFO", "c is not loaded yet: there is no room beside the others; it is when it is asked for")
