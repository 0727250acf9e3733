"""The roofline: laws that hold for every device, and what a measured run changes. How well it does: bench.planner.fit_speed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.planner.rows import by_device, rows
from freehold.domain.speed import Device, DeviceFamily, Load, Measured, WeightClass
from freehold.planner.speed import Form, estimate, moved, read_seconds, write_seconds
from freehold.planner.speed_table import READING, READING_CONSTANTS, WRITING, WRITING_CONSTANTS
from tests.support.shared_data import shared_data

CARD = Device(name="a card", family=DeviceFamily.GEFORCE, bandwidth_bytes_per_s=1e12, flops=3e14)
MODEL = Load(
    weights=WeightClass.QUANTISED,
    read_bytes=4.6e9,
    file_bytes=4.9e9,
    cache_bytes_per_token=131_072,
    active_parameters=8e9,
    layers=32,
    width=4_096,
)
FORMS = ((WRITING, WRITING_CONSTANTS, 256.0), (READING, READING_CONSTANTS, 1_024.0))
families = st.sampled_from([each for each in DeviceFamily if each is not DeviceFamily.CPU])


@given(family=families, weights=st.sampled_from(WeightClass), more=st.floats(1.01, 10))
def test_more_is_never_slower_and_larger_never_faster(family: DeviceFamily, weights: WeightClass, more: float) -> None:
    device, load = replace(CARD, family=family), replace(MODEL, weights=weights)
    for form, constants, tokens in FORMS:
        now = form.seconds(constants, device, load, tokens)
        faster = replace(device, bandwidth_bytes_per_s=device.bandwidth_bytes_per_s * more, flops=device.flops * more)
        assert form.seconds(constants, faster, load, tokens) < now
        larger = replace(load, read_bytes=load.read_bytes * more, file_bytes=load.file_bytes * more)
        assert form.seconds(constants, device, larger, tokens) > now
        assert form.seconds(constants, device, replace(load, layers=load.layers * 2), tokens) > now
        assert form.seconds(constants, device, load, tokens * more) > now


def test_cards_in_a_row_write_no_faster_and_read_faster() -> None:
    four = replace(CARD, count=4)
    assert write_seconds(WRITING_CONSTANTS, four, MODEL, 256) > write_seconds(WRITING_CONSTANTS, CARD, MODEL, 256)
    assert read_seconds(READING_CONSTANTS, four, MODEL, 8_192) < read_seconds(READING_CONSTANTS, CARD, MODEL, 8_192)


@pytest.mark.parametrize(("form", "constants", "tokens"), FORMS)
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.5])
def test_a_run_moves_its_own_device(form: Form, constants: dict[str, float], tokens: float, factor: float) -> None:
    """The model that ran is then expected as it ran, its larger brother moves the same way, and the band is narrower."""
    cold = estimate(form, constants, CARD, MODEL, tokens)
    reading = form is READING
    run = Measured(
        load=MODEL,
        depth_tokens=0 if reading else tokens,
        prompt_tokens=int(tokens) if reading else 0,
        tok_per_s=cold.tok_per_s * factor,
    )
    known = estimate(form, constants, CARD, MODEL, tokens, runs=(run,))
    assert (cold.source, known.source) == ("table", "measured")
    assert known.tok_per_s == pytest.approx(run.tok_per_s, rel=0.12)
    assert known.high / known.low < cold.high / cold.low
    assert known.low < known.tok_per_s < known.high
    large = replace(MODEL, read_bytes=4e10, file_bytes=4e10, active_parameters=7e10, layers=80)
    before = estimate(form, constants, CARD, large, tokens).tok_per_s
    after = estimate(form, constants, CARD, large, tokens, runs=(run,)).tok_per_s
    if factor == 1.0:
        assert after == pytest.approx(before, rel=0.01)
    else:
        assert (after > before) == (factor > 1)


def test_without_a_run_nothing_moves() -> None:
    assert moved(WRITING, WRITING_CONSTANTS, CARD, ()) is WRITING_CONSTANTS


def test_published_runs_are_in_the_band() -> None:
    """Of the devices that the constants were fitted on: a wrong unit, or a table of another form, would show at once."""
    folder = shared_data("hardware")
    for form, constants, test in ((WRITING, WRITING_CONSTANTS, "tg"), (READING, READING_CONSTANTS, "pp")):
        found = rows(folder, test)
        off = [
            abs(math.log(form.seconds(constants, each.device, each.run.load, each.tokens) / each.seconds))
            for each in found
        ]
        assert len(by_device(found)) >= 15
        assert sum(each <= form.band for each in off) / len(off) > 0.87
