"""The committed outcomes, and that what ships was made from them."""

import numpy as np
import pytest

from bench.routing import ladder, ladder_world
from bench.routing.ladder_outcomes import (
    PREFIXES,
    RUNGS,
    Outcome,
    Table,
    _classes,
    calibration_of,
    proofs_of,
    read_table,
    write_table,
)
from freehold.evals.question import Part
from freehold.evals.questions import shipped_questions
from freehold.evals.shipped import shipped_calibrations, shipped_certificates
from freehold.routing.calibration import score

TABLE = read_table()
SHIPPED = {(each.model_digest, each.scope): each for each in shipped_calibrations()}


def test_every_model_answered_every_shipped_question():
    assert TABLE.questions == shipped_questions()
    assert len(TABLE.questions) >= 600
    assert all(len(rows) == len(TABLE.questions) for rows in TABLE.outcomes.values())


def test_it_is_written_as_it_was_read(tmp_path):
    write_table(TABLE, tmp_path)
    assert read_table(tmp_path) == TABLE


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_what_ships_was_made_from_it(rung):
    shipped = SHIPPED[TABLE.origins[rung.name].model_digest, "whole"]
    again = calibration_of(TABLE, rung.name, numpy=np)
    assert [each.name for each in again.features] == [each.name for each in shipped.features]
    signals = [each.signals for each in TABLE.outcomes[rung.name]]
    assert [score(again, each) for each in signals] == pytest.approx(
        [score(shipped, each) for each in signals], abs=1e-4
    )


def test_certificates_that_ship_are_those_that_can_be_had():
    made = {
        proof.certificate.id
        for rung in RUNGS
        for shipped in [SHIPPED[TABLE.origins[rung.name].model_digest, "whole"]]
        for proof in proofs_of(TABLE, rung.name, shipped)
        if proof.certificate is not None
    }
    whole = {each.id for each in shipped_certificates() if each.scored_on.scope == "whole"}
    assert whole == made


def test_certificates_name_calibrations_that_ship():
    ids = {each.id for each in SHIPPED.values()}
    assert {each.scored_on.calibration for each in shipped_certificates()} <= ids


def test_prefixes_are_of_answers_that_are_longer():
    for rows in TABLE.outcomes.values():
        for each in rows:
            assert set(each.first) == {tokens for tokens in PREFIXES if each.output_tokens > tokens}


def test_answers_that_say_the_same_are_told_from_those_that_do_not():
    assert _classes(["Oslo", "The capital is Oslo.", "Bergen"]) == [0, 0, 2]
    assert _classes(["12", "120", "It is 12."]) == [0, 1, 0]
    assert len(set(_classes(["", "", "x"]))) == 3


UNSURE = "medium, large if unsure"


def world(count=400):
    """Rungs of which the middle one is right, and sure, on the first half of the questions."""
    found = object.__new__(ladder_world.World)
    easy = np.arange(count) % 2 == 0
    found._done = {}
    found.table = Table(origins={}, questions=(), outcomes={})
    found.held = found.fit = np.arange(count)
    found.right = {"small": np.zeros(count), "medium": easy.astype(float), "large": np.ones(count)}
    found.compute = {"small": np.full(count, 0.1), "medium": np.full(count, 0.3), "large": np.ones(count)}
    found.price = {name: float(each.mean()) for name, each in found.compute.items()}
    found.sure = {"small": np.full(count, 0.01), "medium": np.where(easy, 0.9, 0.1), "large": np.full(count, 0.95)}
    return found


def test_a_ladder_that_knows_when_to_climb_beats_every_mixture():
    made = world()
    done = ladder_world.within(made, UNSURE, 0.8)
    assert done.compute.mean() == pytest.approx(0.8)
    assert done.right.mean() == 1.0
    assert ladder_world.mixed(made, 0.8, made.held) == pytest.approx(0.5 + 0.5 * 0.5 / 0.7)
    assert ladder.lead(made, done, 50).low > 0.0


def test_a_budget_is_never_exceeded_where_it_can_be_kept():
    made = world()
    assert ladder_world.within(made, UNSURE, 0.5).compute.mean() <= 0.5
    assert ladder_world.within(made, UNSURE, 0.3).compute.mean() == pytest.approx(0.3)


def test_mixtures_reach_from_rung_to_rung():
    made = world()
    assert ladder_world.mixed(made, 0.1, made.held) == 0.0
    assert ladder_world.mixed(made, 0.3, made.held) == pytest.approx(0.5)
    assert ladder_world.mixed(made, 5.0, made.held) == 1.0


def test_parts_are_disjoint_and_all_used():
    counts = [sum(question.part is part for question in TABLE.questions) for part in Part]
    assert sum(counts) == len(TABLE.questions)
    assert min(counts) > 100


def test_an_outcome_needs_no_prefix():
    assert Outcome(right=True, said=0, input_tokens=1, output_tokens=1, busy_ms=0.0, signals={}).first == {}


def test_a_price_is_worked_out_once(monkeypatch):
    asked = []

    def policy(of, price):
        asked.append(price)
        return ladder_world.Spent(of.compute["small"], of.right["small"])

    monkeypatch.setitem(ladder_world.POLICIES, UNSURE, policy)
    made = world()
    ladder_world.within(made, UNSURE, 0.5)
    ladder_world.within(made, UNSURE, 0.6)
    assert len(asked) == len(set(asked)) == len(ladder_world.PRICES)


def test_the_plan_follows_the_price():
    made = world()
    made.crossed = made.sure
    cheap, middle, dear = (ladder_world.World.plan(made, price) for price in (0.01, 0.5, 100.0))
    assert dear[0].name == "small"
    assert [each.name for each in middle][:2] == ["medium", "large"]
    assert sorted(each.name for each in cheap) == sorted(ladder_world.NAMES)
