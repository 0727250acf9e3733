import json
import math

import pytest

from freehold.routing.calibration import Feature, applies, covers, from_json, from_score, probability, score, to_json
from tests.support.routing import calibration

HERE = {
    "model_digest": "sha256:aa",
    "engine": "llama.cpp",
    "engine_version": "b1",
    "template_digest": "bb",
    "workload": "general",
}


def test_applies_to_exactly_what_it_was_fitted_on():
    assert applies(calibration(), **HERE)


@pytest.mark.parametrize("name", HERE)
def test_any_other_value_makes_it_void(name):
    assert not applies(calibration(), **HERE | {name: "other"})


@pytest.mark.parametrize("name", ["model_digest", "engine_version", "template_digest"])
def test_unknown_matches_nothing_not_even_unknown(name):
    assert not applies(calibration(**{name: ""}), **HERE | {name: ""})


@pytest.mark.parametrize(
    ("signals", "covered"),
    [
        ({"logprob_mean": -1.0, "tokens_log": math.log(64)}, True),
        ({"logprob_mean": -1.0, "tokens_log": math.log(65)}, False),
        ({}, False),
        ({"logprob_mean": -1.0, "schema_valid": 1.0}, False),
        ({"logprob_mean": -1.0, "tool_arguments_valid": 1.0}, False),
        ({"logprob_mean": -1.0, "constrained": 1.0}, False),
    ],
)
def test_covers_only_answers_of_the_kind_seen(signals, covered):
    assert covers(calibration(), signals) is covered


def test_a_signal_that_was_sometimes_absent_may_be_absent():
    features = (*calibration().features, Feature(name="new_logprob_min", mean=-1, scale=1, weight=1))
    signals = {"logprob_mean": -1.0}
    assert not covers(calibration(features=features), signals)
    assert covers(calibration(features=features, optional=("new_logprob_min",)), signals)


def test_score_is_the_standardised_weighted_sum():
    assert score(calibration(), {"logprob_mean": -0.25}) == pytest.approx(1.0)
    assert probability(calibration(), {"logprob_mean": -0.25}) == pytest.approx(1 / (1 + math.exp(-1)))


def test_far_signals_are_clipped_and_absent_ones_count_as_the_mean():
    assert score(calibration(), {"logprob_mean": -1e9}) == -8.0
    assert score(calibration(), {}) == 0.0


def test_the_indicator_of_an_absent_signal():
    features = (Feature(name="missing:x", mean=0.5, scale=0.5, weight=1.0),)
    assert score(calibration(features=features), {}) == 1.0
    assert score(calibration(features=features), {"x": 3.0}) == -1.0


def test_no_probability_is_more_extreme_than_its_answers_support():
    assert from_score(calibration(n=98), 1e6) == 0.99
    assert from_score(calibration(n=98), -1e6) == 0.01


def test_isotonic_knots_are_joined_by_straight_lines():
    stepped = calibration(knots=((0.0, 0.2), (1.0, 0.4), (3.0, 0.9)))
    shown = [from_score(stepped, value) for value in (-5, 0, 0.5, 1, 2, 3, 9)]
    assert shown == pytest.approx([0.2, 0.2, 0.3, 0.4, 0.65, 0.9, 0.9])


def test_json_round_trip():
    for each in (
        calibration(),
        calibration(knots=((0.0, 0.25), (1.0, 0.5)), optional=("a",), held_out=calibration().crossed),
    ):
        assert from_json(to_json(each)) == each


def test_a_file_of_the_first_format_is_of_whole_answers_and_of_its_own_labels():
    members = json.loads(to_json(calibration())) | {"format": 1}
    for name in ("scope", "shrunk_to", "n_shrunk_to", "shapes"):
        del members[name]
    assert from_json(json.dumps(members)) == calibration()
    assert (calibration().scope, calibration().shrunk_to) == ("whole", "")


def test_what_was_fitted_on_a_prefix_is_nothing_for_the_whole():
    prefix = calibration(scope="prefix-16")
    assert not applies(prefix, **HERE)
    assert applies(prefix, **HERE, scope="prefix-16")
    assert not applies(calibration(), **HERE, scope="prefix-16")


def test_what_was_shrunk_supports_as_much_as_both():
    assert from_score(calibration(n=10, n_shrunk_to=88), 1e6) == 0.99


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"slope": -1.0},
        {"slope": float("nan")},
        {"intercept": "1"},
        {"features": [{"name": "a", "mean": 0, "scale": 0, "weight": 1}]},
        {"features": [{"name": "a"}]},
        {"features": 3},
        {"knots": [[0, 0.5], [0, 0.6]]},
        {"knots": [[0, 0.5], [1, 0.4]]},
        {"n": 0},
        {"n_shrunk_to": -1},
        {"more": 1},
    ],
)
def test_a_damaged_file_is_refused(change):
    text = json.dumps(json.loads(to_json(calibration())) | change)
    with pytest.raises(ValueError, match="not a calibration"):
        from_json(text)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '"x"'])
def test_something_else_is_refused(text):
    with pytest.raises(ValueError):
        from_json(text)
