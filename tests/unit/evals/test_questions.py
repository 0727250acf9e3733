import json
from collections import Counter
from dataclasses import replace

import pytest

from freehold.evals.grade import is_right
from freehold.evals.numeric import numeric_questions
from freehold.evals.question import Grading, Part, digest, spread
from freehold.evals.questions import parse_questions, shipped_questions

SHIPPED = shipped_questions()
LINE = {"id": "a", "prompt": "Capital of Norway?", "grade": "contains", "answers": ["oslo"]}


def parse(*lines):
    return parse_questions("\n".join(json.dumps(line) for line in lines))


def test_there_are_enough_of_many_kinds_and_none_twice():
    assert len(SHIPPED) >= 600
    assert len({question.kind for question in SHIPPED}) >= 40
    assert len({question.id for question in SHIPPED}) == len(SHIPPED)
    assert len({question.prompt for question in SHIPPED}) == len(SHIPPED)


def test_every_question_is_right_by_its_own_answers_and_wrong_by_nonsense():
    for question in SHIPPED:
        for answer in question.answers:
            assert is_right(question, answer), question.id
        assert not is_right(question, "xyzzy"), question.id


def test_parts_are_as_large_as_they_should_be_and_do_not_move_when_questions_are_added():
    count = Counter(question.part for question in SHIPPED)
    shares = {Part.FIT: 0.42, Part.CERTIFY: 0.25, Part.CHECK: 0.33}
    assert all(abs(count[part] / len(SHIPPED) - share) < 0.05 for part, share in shares.items())
    first = SHIPPED[0]
    assert replace(first, id="other", kind="other").part is first.part


def test_numeric_questions_are_the_same_for_the_same_seed_only():
    assert numeric_questions(1) == numeric_questions(1)
    assert {each.prompt for each in numeric_questions(1)} != {each.prompt for each in numeric_questions(2)}


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("What is {} + {}? Number only.", lambda a, b: a + b), ("What is {} * {}? Number only.", lambda a, b: a * b)],
)
def test_numeric_answers_are_right(prompt, answer):
    checked = 0
    for question in numeric_questions(5):
        for a in range(1000):
            if question.prompt.startswith(prompt.split("{}")[0] + f"{a} " + prompt.split(" ")[3]):
                b = int(question.prompt.split("?")[0].rsplit(" ", 1)[1])
                assert float(question.answers[0]) == answer(a, b)
                checked += 1
    assert checked > 3


def test_digest_depends_on_content_and_not_on_order():
    assert digest(SHIPPED) == digest(reversed(SHIPPED))
    assert digest(SHIPPED) != digest(SHIPPED[1:])
    assert digest([SHIPPED[0]]) != digest([replace(SHIPPED[0], answers=("other",))])


def test_reads_own_questions():
    (found,) = parse(LINE)
    assert (found.kind, found.grading, found.words_max) == ("own", Grading.CONTAINS, 40)


def test_a_file_without_questions_is_none():
    with pytest.raises(ValueError, match="there is no question in it"):
        parse_questions("\n\n")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"grade": "guess"}, "line 1 is not a question: grade is 'guess'; allowed are contains"),
        ({"prompt": 3}, "prompt must be a text"),
        ({"prompt": " "}, "not an empty one"),
        ({"answers": []}, "answers is empty"),
        ({"answers": "oslo"}, "answers must be a list of texts"),
        ({"grade": "choice"}, "options must hold every answer"),
        ({"words_max": "many"}, "line 1"),
    ],
)
def test_a_line_that_is_no_question_is_named(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(LINE | change)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="line 1 is not a question: grade, answers are missing"):
        parse_questions('{"id": "a", "prompt": "b"}')
    with pytest.raises(ValueError, match="line 1 is not a question: it is not JSON"):
        parse_questions("nonsense")
    with pytest.raises(ValueError, match="line 1 is not a question: it is not an object"):
        parse_questions("3")


def test_other_mistakes_are_named_by_line():
    with pytest.raises(ValueError, match="line 2 uses the id 'a' a second time"):
        parse(LINE, LINE)
    with pytest.raises(ValueError, match="line 1"):
        parse_questions("not json")
    with pytest.raises(ValueError, match="line 1"):
        parse_questions("[1]")
    with pytest.raises(ValueError, match="line 1"):
        parse({"id": "a"})


def test_every_kind_is_in_every_part_in_the_same_shares():
    for count in (10, 25, 60):
        questions = spread(replace(SHIPPED[0], id=f"{kind}{n}", kind=kind) for kind in "abcdef" for n in range(count))
        for kind in "abcdef":
            fit = sum(each.part is Part.FIT for each in questions if each.kind == kind)
            assert abs(fit - 0.42 * count) < 2.5


def test_questions_that_are_added_move_no_other_one():
    some = spread(replace(SHIPPED[0], id=str(n)) for n in range(20))
    more = spread(replace(SHIPPED[0], id=str(n)) for n in range(50))
    assert more[:20] == some
