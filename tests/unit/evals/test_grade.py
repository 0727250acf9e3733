import pytest

from freehold.evals.grade import is_right
from freehold.evals.question import Grading, Question


def question(grading, *answers, prompt="?", **fields):
    return Question(id="q", kind="k", prompt=prompt, grading=Grading(grading), answers=answers, **fields)


CAPITAL = question("contains", "bern", "berne")
YES_NO = question("choice", "no", options=("yes", "no"))
MOOD = question("choice", "negative", options=("positive", "negative"), words_max=8)
SUM = question("number", "43", prompt="What is 17 + 26?")
YEAR = question("contains", "1987", rejects=("The firm was founded in 1987",))


@pytest.mark.parametrize(
    ("asked", "text", "right"),
    [
        (CAPITAL, "Bern", True),
        (CAPITAL, "  **Berne**.", True),
        (CAPITAL, "The capital is Bern.", True),
        (CAPITAL, "Bernard", False),
        (CAPITAL, "", False),
        (CAPITAL, "bern " * 41, False),
        (question("contains", "brasília"), "BRASÍLIA", True),
        (question("contains", "naïve"), "nai\u0308ve", True),
        (question("contains", "o(log n)"), "It is O(log n).", True),
        (question("contains", "ann@x.example"), "ann@x.example.", True),
        (YEAR, "1987", True),
        (YEAR, "The firm was founded in 1987 in Oslo.", False),
        (YES_NO, "No.", True),
        (YES_NO, "No, yes would be wrong", True),
        (YES_NO, "Yes", False),
        (YES_NO, "I know nothing", False),
        (MOOD, "Negative", True),
        (MOOD, "The review is positive, but it is also a bit negative", False),
        (MOOD, "Positive, not negative", False),
        (SUM, "43", True),
        (SUM, "17 + 26 = 43", True),
        (SUM, "43 is the sum of 17 and 26.", True),
        (SUM, "The answer is forty", False),
        (SUM, "17 + 26 = 44", False),
        (SUM, "430", False),
        (SUM, "43.5", False),
        (question("number", "1200"), "1,200", True),
        (question("number", "2.5"), "It is 2.5 kg.", True),
        (question("number", "2"), "Two.", True),
        (question("number", "30"), "30%", True),
        (question("number", "-4"), "−4", True),
        (question("number", "9", prompt="Which is larger, 5 or 9?"), "9", True),
        (question("number", "9", prompt="Which is larger, 5 or 9?"), "5", False),
    ],
)
def test_grading(asked, text, right):
    assert is_right(asked, text) is right


PERSON = question("json", '{"name": "Ana", "age": 31}')


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"name": "Ana", "age": 31}', True),
        ('```json\n{"age": "31", "name": "ana"}\n```', True),
        ('{"name": "Ana"}', False),
        ('{"name": "Ana", "age": 31, "city": "Porto"}', False),
        ('{"name": "Ana", "age": 13}', False),
        ("[]", False),
        ('The answer is {"name": "Ana", "age": 31}', False),
        ("Ana, 31", False),
    ],
)
def test_grading_of_json(text, right):
    assert is_right(PERSON, text) is right
