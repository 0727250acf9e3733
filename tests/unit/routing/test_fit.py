import hashlib
import math
from dataclasses import replace

import pytest

from freehold.domain.errors.evals import CalibrationImpossible
from freehold.routing.calibration import covers, from_json, logistic, probability, to_json
from freehold.routing.fit import Origin, Sample, fit, quality_on

ORIGIN = Origin(
    workload="general",
    model_digest="sha256:aa",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="bb",
    question_digest="sha256:cc",
    created="2026-11-21",
)


def uniform(*parts):
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big") / 2**48


def world(count, *, seed=0, truth=lambda x: logistic(4 * x + 3)):
    """Answers whose chance to be right is a known function of one signal; a second one is noise."""
    samples = []
    for index in range(count):
        x = -1.5 * uniform(seed, index, "x")
        signals = {"logprob_mean": x, "noise": uniform(seed, index, "n"), "tokens_log": 1.0, "empty": 0.0}
        if index % 10 == 0:
            signals["rare"] = 1.0
        samples.append(Sample(id=f"{seed}-{index}", signals=signals, right=uniform(seed, index, "y") < truth(x)))
    return samples


SAMPLES = world(300)
FITTED = fit(SAMPLES, seed=1, origin=ORIGIN, held_out=world(600, seed=7))


def test_recovers_a_known_world():
    for x in (-1.2, -0.75, -0.2):
        signals = {"logprob_mean": x, "noise": 0.5, "tokens_log": 1.0}
        assert probability(FITTED, signals) == pytest.approx(logistic(4 * x + 3), abs=0.1)


def test_reported_quality_is_what_fresh_answers_show():
    fresh = quality_on(FITTED, world(2000, seed=99))
    assert FITTED.held_out is not None
    for reported in (FITTED.crossed, FITTED.held_out):
        assert reported.auroc == pytest.approx(fresh.auroc, abs=0.05)
        assert reported.brier == pytest.approx(fresh.brier, abs=0.03)
        assert reported.ece < 0.1


def test_noise_alone_is_not_sold_as_skill():
    blind = fit(world(200, seed=3, truth=lambda _: 0.4), seed=1, origin=ORIGIN)
    assert blind.crossed.auroc == pytest.approx(0.5, abs=0.12)
    spread = [probability(blind, {"logprob_mean": x, "noise": 0.5, "tokens_log": 1.0}) for x in (-1.4, -0.1)]
    assert spread == pytest.approx([0.4, 0.4], abs=0.15)


def test_same_samples_and_seed_give_the_same_bits_in_any_order():
    again = fit(sorted(SAMPLES, key=lambda sample: sample.signals["noise"]), seed=1, origin=ORIGIN)
    assert to_json(replace(again, held_out=FITTED.held_out)) == to_json(FITTED)
    assert fit(SAMPLES, seed=2, origin=ORIGIN).crossed != FITTED.crossed


def test_knows_what_it_was_fitted_on():
    assert (FITTED.n, FITTED.n_right) == (300, sum(sample.right for sample in SAMPLES))
    assert FITTED.optional == ("rare",)
    assert "missing:rare" in {feature.name for feature in FITTED.features}
    assert "empty" not in {feature.name for feature in FITTED.features}
    assert FITTED.tokens_max == round(math.e)
    assert covers(FITTED, {"logprob_mean": -1.0, "noise": 0.1, "tokens_log": 0.5})
    assert from_json(to_json(FITTED)) == FITTED


def test_gated_and_unscored_answers_take_no_part():
    extra = [
        Sample(id="e", signals={"empty": 1.0, "logprob_mean": 0.0}, right=False),
        Sample(id="r", signals={"refusal": 1.0, "logprob_mean": 0.0}, right=False),
        Sample(id="u", signals={"empty": 0.0}, right=True),
    ]
    assert to_json(fit([*SAMPLES, *extra], seed=1, origin=ORIGIN)) == to_json(replace(FITTED, held_out=None))


@pytest.mark.parametrize(
    "samples", [SAMPLES[:59], [replace(sample, right=True) for sample in SAMPLES], []], ids=["few", "all right", "none"]
)
def test_too_little_to_learn_from_is_refused(samples):
    with pytest.raises(CalibrationImpossible, match="at least 60 are needed"):
        fit(samples, seed=1, origin=ORIGIN)


def test_from_a_thousand_answers_on_the_map_is_isotonic():
    steep = fit(world(1000, truth=lambda x: 0.9 if x > -0.5 else 0.1), seed=1, origin=ORIGIN)
    assert len(steep.knots) >= 2
    assert from_json(to_json(steep)) == steep
    sure = {"logprob_mean": -0.1, "noise": 0.5, "tokens_log": 1.0}
    assert probability(steep, sure) == pytest.approx(0.9, abs=0.07)
    assert steep.crossed.ece < 0.07


def test_a_score_that_misleads_becomes_the_base_rate():
    """Every right answer is paired with its mirror image, so that held-out scores cannot rank."""
    samples = [
        Sample(id=f"{index}", signals={"logprob_mean": -float(index % 2), "tokens_log": 1.0}, right=index // 2 % 2 == 0)
        for index in range(80)
    ]
    fitted = fit(samples, seed=1, origin=ORIGIN)
    assert fitted.slope >= 0
    assert probability(fitted, {"logprob_mean": 0.0, "tokens_log": 1.0}) == pytest.approx(0.5, abs=0.1)
