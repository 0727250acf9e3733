"""How a way of searching is chosen."""

from __future__ import annotations

import random

import pytest

from freehold.domain.vault import Hit
from freehold.vault.tuning import Choice, Judged, choices, ndcg, order_of, recall, reranked, tuned


def question(*, words_right: bool, vectors_right: bool, chance: random.Random) -> Judged:
    def half(is_right: bool) -> list[Hit]:
        others = chance.sample(range(10, 60), 20)
        order = [1, *others] if is_right else [*others, 1]
        return [Hit(chunk_id=each, score=1 - place / 30) for place, each in enumerate(order)]

    return Judged(words=half(words_right), vectors=half(vectors_right), relevant=frozenset({1}))


def test_ndcg_and_recall_are_as_defined() -> None:
    assert ndcg([5, 1, 2], frozenset({1})) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg([1, 2], frozenset({1, 2})) == 1.0
    assert ndcg([3], frozenset({1})) == 0.0
    assert recall([1, 3], frozenset({1, 2})) == 0.5


def test_vectors_are_chosen_where_they_are_right() -> None:
    chance = random.Random(1)
    questions = [question(words_right=False, vectors_right=True, chance=chance) for _ in range(40)]
    found = tuned(questions, present=Choice(words=1.0))
    assert found.choice.words < 0.5
    assert found.pays
    assert found.after > found.before
    assert found.gain_low <= found.after - found.before <= found.gain_high


def test_the_present_way_stays_where_nothing_is_better() -> None:
    chance = random.Random(1)
    questions = [question(words_right=True, vectors_right=True, chance=chance) for _ in range(20)]
    present = Choice(fusion="rrf", words=0.3)
    found = tuned(questions, present=present)
    assert found.choice == present
    assert not found.pays
    assert (found.gain_low, found.gain_high) == (0.0, 0.0)


def test_choosing_on_chance_is_not_told_as_a_gain() -> None:
    chance = random.Random(3)
    questions = [
        question(words_right=chance.random() < 0.5, vectors_right=chance.random() < 0.5, chance=chance)
        for _ in range(30)
    ]
    found = tuned(questions, present=tuned(questions, present=Choice()).choice)
    assert found.after <= found.before
    assert not found.pays


def test_the_same_seed_chooses_the_same() -> None:
    chance = random.Random(2)
    questions = [question(words_right=chance.random() < 0.5, vectors_right=True, chance=chance) for _ in range(15)]
    assert tuned(questions, present=Choice(), seed=4) == tuned(questions, present=Choice(), seed=4)


def test_one_question_is_too_few() -> None:
    with pytest.raises(ValueError, match="two questions"):
        tuned([question(words_right=True, vectors_right=True, chance=random.Random(1))], present=Choice())


def test_without_vectors_there_is_nothing_to_choose_but_a_reranker() -> None:
    assert choices(vectors=False, reranker=False) == (Choice(words=1.0),)
    assert {each.rerank for each in choices(vectors=False, reranker=True)} == {False, True}


def test_what_was_ordered_anew_is_before_the_rest() -> None:
    scores = reranked({1: 1.0, 2: 0.9, 3: 0.8}, {2: 0.1, 1: 0.05})
    assert list(scores) == [2, 1, 3]
    assert all(0 <= each <= 1 for each in scores.values())


def test_pieces_of_one_document_count_once() -> None:
    it = Judged(
        words=[Hit(chunk_id=at, score=9 - at) for at in range(4)], relevant=frozenset({8}), owner={0: 7, 1: 7, 2: 8}
    )
    assert order_of(it, Choice(words=1.0)) == [7, 8, 3]
