"""A workload's calibration beside a global one: as good as that with few labels, as good as its own with many."""

import math
import random
from dataclasses import replace

import numpy
import pytest

from freehold.domain.errors.evals import CalibrationImpossible
from freehold.routing.calibration import covers, from_json, from_score, log_odds, logistic, probability, score, to_json
from freehold.routing.fit import Origin, Sample, fit, quality_on

ORIGIN = Origin(
    workload="own",
    model_digest="sha256:aa",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="bb",
    question_digest="sha256:cc",
    created="2026-11-21",
)
GLOBAL_ORIGIN = replace(ORIGIN, workload="global")
NAMES = ("logprob_mean", "logprob_min", "margin_min", "agreement", "new_share", "self_consistency")
EVERYWHERE = (0.8, 0.5, 0.6, 0.9, -0.4, 0.5)
ELSEWHERE = (-0.6, 0.5, 0.2, 0.0, 1.2, 0.1)


def world(count, seed, weights=EVERYWHERE, base=0.4, missing=0.0):
    """Answers whose log odds to be right are a known sum of signals. ``missing`` is the share without ``agreement``."""
    dice, found = random.Random(seed), []
    for index in range(count):
        values = [dice.gauss(0, 1) for _ in NAMES]
        chance = logistic(base + sum(weight * value for weight, value in zip(weights, values, strict=True)))
        signals = dict(zip(NAMES, values, strict=True)) | {"tokens_log": 1.0, "empty": 0.0}
        for name in ("logprob_mean", "logprob_min"):
            signals[name] = math.log(logistic(signals[name]))
        if dice.random() < missing:
            del signals["agreement"]
        found.append(Sample(id=f"{seed}-{index}", signals=signals, right=dice.random() < chance))
    return found


def loss(calibration, samples):
    """Mean log loss: what a calibration is to be good at."""
    found = [from_score(calibration, score(calibration, sample.signals)) for sample in samples]
    return -math.fsum(math.log(p if each.right else 1 - p) for p, each in zip(found, samples, strict=True)) / len(found)


def fitted(samples, shrink_to=None, origin=ORIGIN):
    return fit(samples, seed=1, origin=origin, shrink_to=shrink_to, numpy=numpy)


EVERYBODY = fitted(world(1_200, 1), origin=GLOBAL_ORIGIN)
LIKE, UNLIKE = world(3_000, 2), world(3_000, 3, ELSEWHERE, base=-1.0)


@pytest.mark.parametrize("count", [20, 60, 150, 320])
def test_few_labels_are_as_good_as_the_global_calibration(count):
    """Where the workload is like all others. On average over four draws: a single one may be unlucky."""
    mine = [loss(fitted(world(count, seed), EVERYBODY), LIKE) for seed in range(10, 14)]
    assert sum(mine) / len(mine) <= loss(EVERYBODY, LIKE) + 0.01


@pytest.mark.parametrize(("weights", "base", "test"), [(EVERYWHERE, 0.4, LIKE), (ELSEWHERE, -1.0, UNLIKE)])
def test_many_labels_are_as_good_as_their_own(weights, base, test):
    labels = world(1_500, 20, weights, base)
    assert loss(fitted(labels, EVERYBODY), test) <= loss(fitted(labels), test) + 0.005


def test_another_base_rate_is_learnt_from_few():
    """The same signals mean the same, only less of the answers are right."""
    test = world(3_000, 4, base=-1.2)
    shifted = fitted(world(150, 30, base=-1.2), EVERYBODY)
    assert loss(shifted, test) < loss(EVERYBODY, test) - 0.05
    assert quality_on(shifted, test).ece < 0.08
    assert shifted.shrunk_to == EVERYBODY.id


def test_a_global_calibration_that_misleads_is_left():
    labels = world(250, 31, (-1.5, 0.0, 0.0, 0.0, 0.0, 0.0), base=0.0)
    found = fitted(labels, EVERYBODY)
    assert found.shrunk_to == ""
    assert [each.name for each in found.features] == ["odds:logprob_mean"]
    assert quality_on(found, world(2_000, 32, (-1.5, 0, 0, 0, 0, 0), base=0.0)).auroc > 0.7


def test_below_300_labels_no_score_of_many_features_is_learnt():
    alone = fitted(world(299, 40))
    assert len(alone.features) == 1
    assert alone.features[0].name.startswith("odds:logprob_")
    beside = fitted(world(299, 40), EVERYBODY)
    assert [each.weight for each in beside.features] == [each.weight for each in EVERYBODY.features]
    assert len(fitted(world(300, 40)).features) == len(NAMES) + 2  # a log-probability is two inputs


def test_the_map_is_platts_below_a_thousand_labels_and_isotonic_from_there():
    assert fitted(world(999, 41)).knots == ()
    assert len(fitted(world(1_000, 41)).knots) > 2
    assert fitted(world(320, 41), EVERYBODY).knots == ()


def test_an_isotonic_global_calibration_is_moved_knot_by_knot():
    assert EVERYBODY.knots
    moved = fitted(world(200, 42, base=-1.0), EVERYBODY)
    assert [at for at, _ in moved.knots] == [at for at, _ in EVERYBODY.knots]
    lower = [mine < theirs for (_, mine), (_, theirs) in zip(moved.knots, EVERYBODY.knots, strict=True)]
    assert sum(lower) > len(lower) / 2


def test_it_says_what_it_was_shrunk_to_and_knows_as_much():
    found = fitted(world(30, 43), EVERYBODY)
    assert (found.n, found.n_shrunk_to, found.shrunk_to) == (30, 1_200, EVERYBODY.id)
    sure = dict.fromkeys(NAMES, 9.0) | dict.fromkeys(NAMES[:2], 0.0) | {"new_share": -9.0, "tokens_log": 1.0}
    assert probability(found, sure) > 0.97  # thirty answers alone support no more than 31 of 32
    assert from_json(to_json(found)) == found


def test_too_few_are_refused_even_beside_a_global_one():
    with pytest.raises(CalibrationImpossible, match="19 answers with signals; at least 20"):
        fitted(world(19, 44), EVERYBODY)


@pytest.mark.parametrize("name", ["model_digest", "engine", "engine_version", "template_digest", "scope"])
def test_what_is_of_another_model_is_nothing_to_shrink_to(name):
    with pytest.raises(CalibrationImpossible, match=f"another {name.replace('_', ' ')}"):
        fitted(world(100, 45), replace(EVERYBODY, **{name: "other"}))


def test_a_missing_signal_has_its_own_indicator():
    found = fitted(world(600, 46, missing=0.3))
    assert "missing:agreement" in {each.name for each in found.features}
    assert found.optional == ("agreement",)
    without = {name: 0.0 for name in NAMES if name != "agreement"} | {"tokens_log": 1.0}
    assert covers(found, without)
    assert not covers(fitted(world(320, 46)), without)


def test_a_log_probability_counts_by_its_log_odds():
    """Between 0.9 and 0.999 lies most of what a log-probability can tell; linear in the logarithm that is nothing."""
    assert log_odds(math.log(0.5)) == pytest.approx(0.0)
    assert log_odds(math.log(0.9)) == pytest.approx(math.log(9))
    assert [log_odds(0.0), log_odds(-1e-9)] == pytest.approx([math.log(1e5)] * 2, abs=1e-3)
    found = fitted([replace(each, signals={"logprob_mean": each.signals["logprob_mean"]}) for each in world(250, 52)])
    shown = [probability(found, {"logprob_mean": math.log(p)}) for p in (0.5, 0.9, 0.99)]
    assert shown[1] - shown[0] > 0.1
    assert shown[2] - shown[1] > 0.05


def test_answers_without_log_probabilities_are_calibrated_on_what_there_is():
    few, many = (
        [replace(each, signals={"agreement": each.signals["agreement"], "finish_length": 0.0}) for each in world(n, 47)]
        for n in (200, 600)
    )
    for labels in (few, many):
        found = fitted(labels)
        assert [each.name for each in found.features] == ["agreement"]
        assert found.crossed.auroc > 0.6
    nothing = [replace(each, signals={"finish_length": 0.0, "empty": 0.0}) for each in world(200, 47)]
    with pytest.raises(CalibrationImpossible, match="0 answers with signals"):
        fitted(nothing)


def test_shapes_that_were_seen_are_covered():
    """A workload whose answers are all shaped by a schema; failed ones are gated, and take no part."""
    shaped = [
        replace(each, signals=dict(each.signals) | {"schema_valid": float(place % 10 > 0)})
        for place, each in enumerate(world(400, 48))
    ]
    found = fitted(shaped)
    assert (found.n, found.shapes) == (360, ("schema_valid",))
    signals = dict(shaped[1].signals)
    assert covers(found, signals)
    assert not covers(found, {name: value for name, value in signals.items() if name != "schema_valid"})
    both = fitted([*shaped, *world(100, 49)])
    assert both.shapes == ("", "schema_valid")
    assert "missing:schema_valid" in {each.name for each in both.features}


def test_a_prefix_is_another_scope():
    found = fitted(world(300, 50), origin=replace(ORIGIN, scope="prefix-16"))
    assert found.scope == "prefix-16"
    assert from_json(to_json(found)) == found


@pytest.mark.parametrize("count", [200, 400, 1_050])
def test_without_numpy_it_is_the_same(count):
    labels = world(count, 51)[:count]
    slow, fast = fit(labels, seed=1, origin=ORIGIN), fitted(labels)
    assert slow.ridge == fast.ridge
    for sample in labels[:50]:
        assert probability(slow, sample.signals) == pytest.approx(probability(fast, sample.signals), abs=1e-6)
    assert slow.crossed.brier == pytest.approx(fast.crossed.brier, abs=1e-6)
