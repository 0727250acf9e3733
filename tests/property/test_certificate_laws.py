"""What certificates and bets promise whatever they are given."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from freehold.domain.certificates import Certificate, LabelKind, ScoredOn
from freehold.routing.betting import NOTHING_BET, Bets, settle
from freehold.routing.binomial import binomial_tail, share_at_least, share_at_most, smallest_sample
from freehold.routing.certificate import About, Aim, NotCertifiable, certify, from_json, least_escalated, to_json

ABOUT = About(
    scored_on=ScoredOn(
        workload="w", model_digest="m", engine="e", engine_version="1", template_digest="t", calibration="c"
    ),
    label_kind=LabelKind.GOLD,
    created_unix_ms=0,
    expires_unix_ms=1,
)
shares = st.floats(0.01, 0.99)
answers = st.lists(st.tuples(st.sampled_from([place / 12 for place in range(13)]), st.booleans()), max_size=120)
mostly_right = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.integers(0, 9).map(lambda die: die == 0)), min_size=20, max_size=200
)


def made(pairs, aim, traffic=None):
    scores, wrong = [score for score, _ in pairs], [is_wrong for _, is_wrong in pairs]
    return certify(scores, wrong, traffic=scores if traffic is None else traffic, aim=aim, about=ABOUT)


@given(pairs=answers | mostly_right, risk=shares, delta=shares, start=st.floats(0.01, 1.0))
def test_never_certified_where_more_than_the_risk_were_wrong(pairs, risk, delta, start):
    found = made(pairs, Aim(risk_max=risk, delta=min(delta, 0.5), coverage_min=start))
    if isinstance(found, NotCertifiable):
        assert found.message
        assert found.n == len(pairs)
        return
    taken = [is_wrong for score, is_wrong in pairs if score >= found.threshold]
    assert (found.accepted, found.errors, found.n) == (len(taken), sum(taken), len(pairs))
    assert found.errors <= risk * found.accepted
    assert binomial_tail(found.errors, found.accepted, risk) <= found.delta
    assert found.accepted >= smallest_sample(found.errors, risk, found.delta)
    assert from_json(to_json(found)) == found


@given(pairs=answers | mostly_right, seed=st.integers(0, 99))
def test_the_order_of_answers_says_nothing(pairs, seed):
    mixed = list(pairs)
    random.Random(seed).shuffle(mixed)
    assert made(pairs, Aim(risk_max=0.2)) == made(mixed, Aim(risk_max=0.2))


@given(pairs=mostly_right, which=st.integers(0, 199), risk=st.floats(0.05, 0.5))
def test_a_further_error_never_accepts_more(pairs, which, risk):
    aim = Aim(risk_max=risk)
    worse = list(pairs)
    worse[which % len(pairs)] = (worse[which % len(pairs)][0], True)
    before, after = made(pairs, aim), made(worse, aim)
    if isinstance(after, Certificate):
        assert isinstance(before, Certificate)
        assert after.threshold >= before.threshold


@given(pairs=mostly_right, risk=st.floats(0.1, 0.5), delta=st.floats(0.1, 0.6))
def test_a_laxer_aim_never_accepts_less(pairs, risk, delta):
    """Where both start at the same threshold: a laxer aim may start earlier, at a test that fails."""
    assume((1 - risk) ** math.ceil(len(pairs) / 4) <= delta)
    strict = made(pairs, Aim(risk_max=risk, delta=delta))
    for lax in (Aim(risk_max=risk * 1.5, delta=delta), Aim(risk_max=risk, delta=delta * 1.5)):
        found = made(pairs, lax)
        if isinstance(strict, Certificate):
            assert isinstance(found, Certificate)
            assert found.threshold <= strict.threshold


@given(pairs=mostly_right, power=st.sampled_from([0.5, 2.0, 3.0]))
def test_only_the_order_of_scores_counts(pairs, power):
    kept = [(round(score, 3), is_wrong) for score, is_wrong in pairs]
    before = made(kept, Aim(risk_max=0.2))
    after = made([(score**power, is_wrong) for score, is_wrong in kept], Aim(risk_max=0.2))
    if isinstance(before, Certificate):
        assert isinstance(after, Certificate)
        assert (before.accepted, before.errors) == (after.accepted, after.errors)
    else:
        assert isinstance(after, NotCertifiable)


@given(n=st.integers(1, 3_000), share=shares, data=st.data())
def test_tails_rise_with_the_count_and_fall_with_the_share(n, share, data):
    most = data.draw(st.integers(0, n))
    tail = binomial_tail(most, n, share)
    assert 0.0 <= tail <= 1.0
    assert binomial_tail(most - 1, n, share) <= tail + 1e-12
    assert binomial_tail(most, n, min(0.99, share * 1.1)) <= tail + 1e-9


@given(n=st.integers(1, 500), delta=st.floats(0.001, 0.4), data=st.data())
def test_bounds_hold_the_share_between_them(n, delta, data):
    yes = data.draw(st.integers(0, n))
    low, high = share_at_least(yes, n, delta), share_at_most(yes, n, delta)
    assert 0.0 <= low <= yes / n <= high <= 1.0
    assert share_at_most(yes, n, delta / 2) >= high - 1e-9


@given(n=st.integers(1, 500), risk=shares, data=st.data())
def test_what_must_be_escalated_lies_in_its_interval(n, risk, data):
    errors = data.draw(st.integers(0, n))
    found = least_escalated(errors, n, risk)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    kept = 1.0 - found.value
    assert (
        errors / n - found.value <= risk * kept + 1e-9
    )  # what is left has few enough errors, had all escalated been some


@given(outcomes=st.lists(st.booleans(), max_size=200), risk=st.floats(0.02, 0.6), cut=st.integers(0, 200))
def test_bets_may_be_settled_in_parts(outcomes, risk, cut):
    bets = Bets.against(risk, run_length=50)
    whole = settle(NOTHING_BET, bets, outcomes)
    assert settle(settle(NOTHING_BET, bets, outcomes[:cut]), bets, outcomes[cut:]) == whole
    assert whole.log_restarted >= whole.log_whole - 1e-9
    assert (whole.labels, whole.wrong) == (len(outcomes), sum(outcomes))


@given(outcomes=st.lists(st.booleans(), min_size=1, max_size=200), at=st.integers(0, 199), risk=st.floats(0.02, 0.6))
def test_one_more_wrong_answer_never_makes_the_alarm_later(outcomes, at, risk):
    bets = Bets.against(risk, run_length=50)
    worse = list(outcomes)
    worse[at % len(worse)] = True
    before, after = settle(NOTHING_BET, bets, outcomes), settle(NOTHING_BET, bets, worse)
    assert (after.alarm_at or math.inf) <= (before.alarm_at or math.inf)
    assert after.log_whole >= before.log_whole - 1e-9


@given(risk=st.floats(0.02, 0.6), bet=st.floats(0.05, 0.95))
def test_a_bet_is_fair_at_the_risk(risk, bet):
    bets = replace(Bets.against(risk), bet=bet / risk)
    assert math.isclose(risk * math.exp(bets.won) + (1 - risk) * math.exp(bets.lost), 1.0, rel_tol=1e-9)
