from collections import Counter

import pytest

from freehold.evals import made_choice, made_text
from freehold.evals.draw import Chooser
from freehold.evals.grade import is_right, normalise
from freehold.evals.made import choice, made_questions, short
from freehold.evals.question import Grading
from freehold.evals.questions import shipped_questions

FAMILIES = made_choice.FAMILIES | made_text.FAMILIES
MADE = [question for question in shipped_questions() if question.kind in FAMILIES]


def test_each_family_has_as_many_as_it_says():
    assert Counter(question.kind for question in MADE) == {kind: count for kind, (_, count) in FAMILIES.items()}


def test_what_is_chosen_is_right_and_everything_else_wrong():
    chosen = [question for question in MADE if question.grading is Grading.CHOICE]
    assert len(chosen) > 50
    for question in chosen:
        assert len(set(question.options)) == len(question.options) >= 3, question.prompt
        right = [option for option in question.options if is_right(question, option)]
        assert right == list(question.answers), question.prompt


def test_the_right_letter_is_any_of_them():
    letters = Counter(question.answers[0] for question in MADE if question.options[:2] == ("a", "b"))
    assert set(letters) == set("abcd")
    assert max(letters.values()) < 0.5 * letters.total()


def test_nothing_that_is_rejected_is_part_of_the_answer():
    for question in MADE:
        for reject in question.rejects:
            assert normalise(reject) not in normalise(question.answers[0]).split(), question.prompt


def test_repeating_an_extraction_whole_is_wrong():
    extracted = [question for question in MADE if question.kind.startswith("extract") and question.rejects]
    assert len(extracted) > 10
    assert not any(is_right(question, question.prompt) for question in extracted)


def test_more_questions_leave_the_first_ones_as_they_are():
    def make(draw, _tables):
        return short(f"Say {draw.between(1, 500)}.", "x")

    few, many = (made_questions({"k": (make, count)}, {}, seed=3) for count in (5, 50))
    assert many[:5] == few
    assert made_questions({"k": (make, 5)}, {}, seed=4) != few


def test_tables_that_are_too_small_are_named():
    with pytest.raises(ValueError, match="only 1 different questions of the kind k, not 2"):
        made_questions({"k": (lambda *_: short("Say x.", "x"), 2)}, {}, seed=1)


def test_a_choice_has_every_option_once():
    draw = Chooser(1, "test")
    for _ in range(50):
        made = choice(draw, "Which?", "red", ["green", "blue", "grey"])
        assert all(made.prompt.count(word) == 1 for word in ("red", "green", "blue", "grey"))
        assert made.answers[0] in made.options
