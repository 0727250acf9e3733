"""What a classifier is fitted to, what it says, and what is kept of it."""

from __future__ import annotations

import math
import random

import pytest

from freehold.domain.response import TokenLogprob
from freehold.routing.classifier import About, Crossed, Head, Interval, Method, from_json, pack, to_json, unpack
from freehold.routing.classifier_fit import Example, fit_scores, fit_vectors, threshold_for, wilson
from freehold.routing.letters import joined, letter_logprobs, question, turned, turns
from freehold.routing.quality import measure_quality
from freehold.routing.softmax import minimise, problem, softmax, temperature

ABOUT = About(
    id="0190",
    name="mail",
    tenant="default",
    method=Method.EMBEDDING,
    model="embed",
    model_name="bge",
    model_digest="sha256:aa",
    labels=("ham", "spam"),
    descriptions={"spam": "unwanted"},
    instructions="",
    counts=(5, 6),
    label="internal;zones=world",
    threshold=0.5,
    risk=None,
    crossed=Crossed(
        n=11,
        accuracy=Interval(value=0.9, low=0.8, high=1.0),
        ece=Interval(value=0.1, low=0.0, high=0.2),
    ),
    warnings=("few",),
    created_unix_ms=1,
    created_by="key-1",
)


def made(*, n: int, classes: int, width: int, noise: float, seed: int = 1) -> list[Example]:
    """Examples around one random centre a class."""
    dice = random.Random(seed)
    centres = [[dice.gauss(0, 1) for _ in range(width)] for _ in range(classes)]
    return [
        Example(text=f"{place}-{i}-{seed}", values=[x + dice.gauss(0, noise) for x in centres[place]], place=place)
        for place in range(classes)
        for i in range(n)
    ]


def test_the_regression_ends_where_its_gradient_is_nothing() -> None:
    examples = made(n=15, classes=3, width=4, noise=1.5)
    of = problem([each.values for each in examples], [each.place for each in examples], count=3, ridge=0.05)
    point = minimise(of)
    value, gradient = of.at(point)
    assert max(map(abs, gradient)) < 1e-3
    step = 1e-5
    for i in range(0, len(point), 4):  # and the gradient is that of the value
        moved = list(point)
        moved[i] += step
        assert (of.at(moved)[0] - value) / step == pytest.approx(gradient[i], abs=1e-3)
    warm = minimise(of, [0.5] * len(point))
    assert of.at(warm)[0] == pytest.approx(value, abs=1e-5)


def test_two_classes_on_a_line_are_those_of_the_textbook() -> None:
    # Weight and intercept of ridge logistic regression on these points, by Newton's method on the one-class form.
    points, classes = [-2.0, -1.0, 0.5, 1.0, 2.0, -0.5], [0, 0, 0, 1, 1, 1]
    of = problem([[x] for x in points], classes, count=2, ridge=0.1)
    low, high = of.rows(minimise(of))
    weight, intercept = high[0] - low[0], high[1] - low[1]
    assert low[0] == pytest.approx(-high[0], abs=1e-3)  # the penalty is shared out evenly
    w = b = 0.0
    for _ in range(50):
        expected = [1 / (1 + math.exp(-(w * x + b))) for x in points]
        slack = [e - y for e, y in zip(expected, classes, strict=True)]
        grow_w = sum(s * x for s, x in zip(slack, points, strict=True)) / 6 + 0.05 * w
        grow_b = sum(slack) / 6
        spread = [e * (1 - e) / 6 for e in expected]
        ww = sum(s * x * x for s, x in zip(spread, points, strict=True)) + 0.05
        wb, bb = sum(s * x for s, x in zip(spread, points, strict=True)), sum(spread)
        det = ww * bb - wb * wb
        w, b = w - (bb * grow_w - wb * grow_b) / det, b - (ww * grow_b - wb * grow_w) / det
    assert weight == pytest.approx(w, abs=2e-3)
    assert intercept == pytest.approx(b, abs=2e-3)


def test_numpy_finds_the_same() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy comes with freehold[embed]")
    examples = made(n=12, classes=3, width=5, noise=1.5)
    plain, fast = fit_vectors(examples, count=3), fit_vectors(examples, count=3, numpy=numpy)
    assert fast.head.temperature == pytest.approx(plain.head.temperature, rel=1e-3)
    for left, right in zip(plain.head.rows, fast.head.rows, strict=True):
        assert right == pytest.approx(left, abs=1e-3)


def test_what_it_tells_of_itself_holds_on_texts_that_it_never_saw() -> None:
    everything = made(n=60, classes=3, width=6, noise=1.6)
    training = [each for each in everything if int(each.text.split("-")[1]) < 25]
    unseen = [each for each in everything if int(each.text.split("-")[1]) >= 25]
    fitted = fit_vectors(training, count=3)
    rows = [fitted.head.of_vector(each.values) for each in unseen]
    right = [row.index(max(row)) == each.place for row, each in zip(rows, unseen, strict=True)]
    quality = measure_quality([max(row) for row in rows], right)
    told = fitted.crossed
    assert told.n == 75
    assert told.accuracy.low - 0.05 <= quality.accuracy <= told.accuracy.high + 0.05
    assert quality.ece < 0.12
    assert 0 < told.ece.low <= told.ece.value <= told.ece.high


def test_the_order_and_repetition_of_examples_change_nothing() -> None:
    examples = made(n=10, classes=2, width=3, noise=1.0)
    forwards, backwards = fit_vectors(examples, count=2), fit_vectors([*reversed(examples), *examples[:5]], count=2)
    assert forwards == backwards


def test_a_temperature_makes_overconfident_probabilities_honest() -> None:
    dice = random.Random(3)
    logits, classes = [], []
    for _ in range(600):
        truth = [dice.gauss(0, 1.2) for _ in range(3)]
        classes.append(dice.choices(range(3), softmax(truth))[0])
        logits.append([4 * each for each in truth])  # four times too sure
    found, loss = temperature(logits, classes)
    assert loss < temperature([[0.0] * 3 for _ in logits], classes)[1]
    assert found == pytest.approx(4.0, rel=0.25)

    def ece(scale: float) -> float:
        rows = [softmax([each / scale for each in row]) for row in logits]
        right = [row.index(max(row)) == place for row, place in zip(rows, classes, strict=True)]
        return measure_quality([max(row) for row in rows], right).ece

    assert ece(found) < 0.06 < 0.15 < ece(1.0)


def test_a_text_unlike_all_examples_is_known_for_it() -> None:
    examples = made(n=30, classes=3, width=8, noise=0.3)
    head = fit_vectors(examples, count=3).head
    familiar = [head.similarity(each.values) >= head.familiar_min for each in examples]
    assert sum(familiar) / len(familiar) > 0.95
    opposite = [-sum(column) for column in zip(*(each.values for each in examples), strict=True)]
    assert head.similarity(opposite) < head.familiar_min


def test_offsets_mend_a_chat_models_taste_for_a_label() -> None:
    dice = random.Random(5)
    examples: list[Example] = []
    for i in range(80):
        place = i % 2
        truth = dice.gauss(2.0 if place else -2.0, 1.5)
        scores = softmax([3.0, truth])  # it likes the first label too much
        examples.append(Example(text=str(i), values=[math.log(each) for each in scores], place=place))
    fitted = fit_scores(examples, count=2)
    (first,), (second,) = fitted.head.rows
    assert first < second
    raw = sum((each.values[1] > each.values[0]) == bool(each.place) for each in examples) / len(examples)
    assert raw < 0.75
    assert fitted.crossed.accuracy.value > 0.85


def test_a_threshold_keeps_the_wrong_answers_below_the_risk() -> None:
    dice = random.Random(7)

    def draw(n: int) -> list[tuple[float, bool]]:
        return [(p, dice.random() < p) for p in (dice.uniform(0.5, 1.0) for _ in range(n))]

    broken = 0
    for _ in range(40):
        found = threshold_for(draw(200), 0.1)
        if found is None:
            continue
        taken = [right for p, right in draw(2000) if p >= found]
        broken += taken.count(False) / len(taken) > 0.1
    assert broken <= 8  # one in ten is promised, and 40 draws vary
    assert threshold_for([(0.9, False)] * 50, 0.1) is None
    assert threshold_for([(0.9, True)] * 5, 0.01) is None  # too few to tell
    assert threshold_for([(0.9, True)] * 100, 0.1) == 0.9


def test_intervals_are_those_of_tables() -> None:
    interval = wilson(45, 50)
    assert (interval.low, interval.high) == (pytest.approx(0.7864, abs=1e-3), pytest.approx(0.9565, abs=1e-3))


def test_what_is_kept_is_what_was_made() -> None:
    head = fit_vectors(made(n=8, classes=3, width=4, noise=1.0), count=3).head
    back = unpack(pack(head))
    assert (back.temperature, back.n, back.familiar_min) == (head.temperature, head.n, head.familiar_min)
    for mine, theirs in zip((*head.rows, *head.centres), (*back.rows, *back.centres), strict=True):
        assert theirs == pytest.approx(mine, rel=1e-6)
    letters = Head(rows=((0.5,), (-0.5,)), temperature=2.0, n=10)
    assert unpack(pack(letters)) == letters
    assert from_json(to_json(ABOUT)) == ABOUT


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", b'{"format": 2}\n', pack(Head(rows=((1.0, 2.0),), temperature=1.0, n=1))[:-4]]
)
def test_broken_numbers_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        unpack(data)


@pytest.mark.parametrize("text", ['{"format": 1}', '{"format": 2}', "[]"])
def test_a_broken_description_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="classifier"):
        from_json(text)


def test_another_model_is_told_by_its_digest_and_else_by_its_name() -> None:
    assert ABOUT.fits(model_name="renamed", model_digest="sha256:aa")
    assert not ABOUT.fits(model_name="bge", model_digest="sha256:bb")
    assert not ABOUT.fits(model_name="bge", model_digest="")


def test_letters_in_any_spelling_are_counted_and_what_is_untold_is_at_most_the_least() -> None:
    alternatives = tuple((text, math.log(p)) for text, p in [("A", 0.4), (" a", 0.1), ("(B", 0.2), ("Well", 0.05)])
    token = TokenLogprob(token="A", logprob=math.log(0.4), alternatives=alternatives)
    found = letter_logprobs([token], 3)
    assert found is not None
    assert [math.exp(each) for each in found] == pytest.approx([0.5, 0.2, 0.05])
    assert letter_logprobs([], 2) is None
    assert letter_logprobs([TokenLogprob(token="Well", logprob=0.0, alternatives=(("Well", 0.0),))], 2) is None
    assert letter_logprobs([TokenLogprob(token="B", logprob=-0.1)], 2) is not None


@pytest.mark.parametrize("count", [2, 3, 4, 20])
def test_a_full_turn_puts_every_label_at_every_place(count: int) -> None:
    labels = [f"label {i}" for i in range(count)]
    orders = [turned(labels, by) for by in turns(count, count)]
    assert all({order[place] for order in orders} == set(labels) for place in range(count))
    assert len(turns(count)) == min(count, 4)
    # A model that looks at the place alone says nothing about the labels.
    taste = [math.log(1 + place) for place in range(count)]
    flat = joined([(by, taste) for by in turns(count, count)], count)
    assert max(flat) - min(flat) < 1e-9


def test_the_text_is_asked_before_the_options() -> None:
    system, user = question("Hello", ["a", "b"], descriptions={"b": "the other"}, instructions="Be quick.")
    assert system["content"].endswith("Be quick.")
    assert user["content"].index("Hello") < user["content"].index("A. a\nB. b: the other")
