"""Scores of detectors on small texts whose scores are known by hand."""

from __future__ import annotations

import pytest

from bench.detect.score import f2, is_soft, merged, score_pii, score_secrets
from freehold.domain.findings import Finding


def said(*places: tuple[int, int], type_: str = "X") -> list[Finding]:
    return [Finding(start=start, end=end, kind="pii", type=type_) for start, end in places]


def record(text: str, *spans: tuple[int, int, bool]) -> dict:
    marked = [{"start": start, "end": end, "type": "T", "req": req} for start, end, req in spans]
    return {"id": "r", "source": "s", "lang": "en", "text": text, "spans": marked}


def test_f2_weighs_recall() -> None:
    assert f2(0.5, 1.0) == pytest.approx(5 / 6)
    assert f2(1.0, 0.5) == pytest.approx(5 * 0.5 / 4.5)
    assert f2(0, 0) == 0


def test_touching_predictions_are_one_and_some_types_are_left_out() -> None:
    assert merged([*said((4, 6), (0, 2), (2, 3), (5, 9)), *said((20, 30), type_="DATE_TIME")]) == [(0, 3), (4, 9)]


@pytest.mark.parametrize(("end", "hits"), [(10, 1), (9, 1), (8, 0)])
def test_nine_tenths_of_the_letters_and_digits_must_be_covered(end, hits) -> None:
    score = score_pii([record("abcdefghij tail", (0, 10, True))], lambda _: said((0, end)))
    assert (score.whole.required, score.whole.hits) == (1, hits)
    assert score.types == {"T": (1, hits)}


def test_signs_do_not_count() -> None:
    score = score_pii([record("(555) 010-9999", (0, 14, True))], lambda _: said((1, 14)))
    assert score.whole.recall == 1


def test_a_prediction_is_good_if_half_of_it_is_marked() -> None:
    marked = record("abcd efgh ijkl", (0, 4, True), (5, 9, False))
    good = score_pii([marked], lambda _: said((0, 9)))
    assert (good.whole.good, good.whole.counted) == (1, 1)
    wrong = score_pii([marked], lambda _: said((2, 4), (10, 14)))
    assert (wrong.whole.good, wrong.whole.counted) == (1, 2)
    assert wrong.wrong == [("r", 10, 14)]
    assert wrong.missed == [("r", 0, 4, "T")]


def test_what_lies_on_optional_spans_alone_is_not_counted() -> None:
    score = score_pii([record("abcd efgh", (5, 9, False))], lambda _: said((5, 9)))
    assert (score.whole.counted, score.whole.character_f2) == (0, 0)


def test_characters_leave_optional_ones_out() -> None:
    score = score_pii([record("abcd efgh ij", (0, 4, True), (5, 9, False))], lambda _: said((2, 12)))
    assert score.whole.characters == [2, 2, 2]
    assert score.whole.character_f2 == pytest.approx(f2(0.5, 0.5))


def test_scores_are_also_by_source_and_language() -> None:
    score = score_pii([record("abcd", (0, 4, True))], lambda _: said((0, 4)))
    assert {name: tally.recall for name, tally in score.by.items()} == {"source:s": 1, "lang:en": 1}


@pytest.mark.parametrize(
    ("category", "soft"),
    [("UUID", True), ("Salt:Nonce", True), ("Auth:Nonce", True), ("Token:UUID", False), ("Key:Nonce", False)],
)
def test_soft_secrets_are_those_of_which_every_part_is(category, soft) -> None:
    assert is_soft(category) is soft


TEXT = "key one\nkey two\nnothing\nnot a key\n"


def code(*secrets: tuple[int, int, str, str]) -> dict:
    spans = [{"start": start, "end": end, "category": category, "id": name} for start, end, category, name in secrets]
    return {"id": "r", "text": TEXT, "secrets": spans, "negative_lines": [{"start": 24, "end": 33, "category": "K"}]}


def test_secrets_of_several_lines_are_one_and_soft_ones_do_not_count() -> None:
    marked = code((4, 7, "Key", "a"), (12, 15, "Key", "a"), (0, 3, "UUID", "b"))
    score = score_secrets([marked], lambda _: said((5, 6)))
    assert (score.hard, score.touched, score.covered) == (1, 1, 0)
    assert score.categories == {"Key": (1, 1)}
    whole = score_secrets([marked], lambda _: said((4, 7), (12, 14)))
    assert (whole.covered, whole.right, whole.recall_covered) == (1, 2, 1)


def test_findings_are_right_on_a_negative_line_or_noise() -> None:
    score = score_secrets([code((4, 7, "Key", "a"))], lambda _: said((4, 7), (24, 27), (16, 20), (0, 3)))
    assert (score.right, score.negative, score.noise) == (1, 1, 1)
    assert score.precision == 0.5
    assert score.noise_per_mb == pytest.approx(1e6 / len(TEXT))
    assert [each[3] for each in score.wrong] == [False, False, True]


def test_what_nobody_says_is_missed() -> None:
    score = score_secrets([code((4, 7, "Key", "a"))], lambda _: [])
    assert score.missed == [("r", "a", "Key")]
    assert (score.precision, score.f2) == (0, 0)
