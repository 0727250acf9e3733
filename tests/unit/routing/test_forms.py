import pytest

from freehold.routing.forms import (
    Form,
    code_valid,
    decide,
    format_kept,
    quotes_found,
    read_question,
    repeated_share,
)

LETTERED = "Which is a fruit?\nA) saw\nB) pear\nC) tram\nAnswer with the letter only."


@pytest.mark.parametrize(
    ("question", "answer", "form", "decides"),
    [
        (LETTERED, "B", Form.LETTER, "B"),
        (LETTERED, "The correct answer is b) pear.", Form.LETTER, "b"),
        (LETTERED, "H", Form.WORDS, "H"),
        (LETTERED, "pear", Form.COPIED, "pear"),
        ("Is ice cold?", "Yes, it is.", Form.BOOLEAN, "Yes"),
        ("What is 17 + 26?", "17 + 26 = 43.", Form.NUMBER, "43"),
        ("What is 17 + 26?", "It is 1,043.5", Form.NUMBER, "1,043.5"),
        ("Which is larger, 17 or 26?", "26", Form.NUMBER, "26"),
        ("Which is larger, 17 or 26?", "The larger one is 26.", Form.WORDS, "The larger one is 26"),
        ("Extract the city: 'From Oslo to Porto.'", "\n Oslo.", Form.COPIED, "Oslo"),
        ("Capital of Oman?", "Muscat", Form.WORDS, "Muscat"),
        ("Capital of Oman?", "", Form.WORDS, ""),
    ],
)
def test_where_an_answer_decides(question, answer, form, decides):
    found = decide(read_question(question), answer)
    assert (found.form, answer[found.start : found.end]) == (form, decides)


def test_one_line_that_looks_like_an_option_offers_nothing():
    assert read_question("A) what is this?\nSay.").letters == frozenset()


def test_only_the_end_of_a_long_question_is_read():
    asked = read_question("77 " * 5_000 + "What is 3 + 4?")
    assert len(asked.plain) <= 4_000
    assert {"3", "4"} <= asked.numbers


@pytest.mark.parametrize(
    ("question", "answer", "kept"),
    [
        ("How many legs? Number only.", "4", True),
        ("How many legs? Number only.", "Four of them", False),
        ("Capital of Oman? One word.", "Muscat", True),
        ("Capital of Oman? One word.", "It is Muscat", False),
        ("Answer yes or no: is it cold?", "Yes.", True),
        ("Answer yes or no: is it cold?", "Maybe.", False),
        (LETTERED, "B", True),
        (LETTERED, "pear", False),
        ("Return JSON with the key a.", '```json\n{"a": 1}\n```', True),
        ("Return JSON with the key a.", "a is 1", False),
        ("Tell me of Oman.", "It is a country.", None),
    ],
)
def test_whether_the_shape_that_was_asked_for_is_kept(question, answer, kept):
    asked = read_question(question)
    assert format_kept(asked, answer, decide(asked, answer).form) is kept


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        ("no code", None),
        ("```python\ndef f(x):\n    return x\n```", True),
        ("```python\ndef f(x:\n    return x\n```", False),
        ("```py\nx = '\\d'\n```", True),
        ('```json\n{"a": [1]}\n```', True),
        ("```json\n{a: 1}\n```", False),
        ("```c\nint f(void) { return a[0]; }\n```", True),
        ("```c\nint f(void) { return a[0];\n```", False),
        ("```python\nx = 1\n```\nand\n```python\nx = (\n```", False),
        ("```python\n" + "x = 1\n" * 10_000 + "```", None),
        ("```python\n" + "(" * 5_000 + "\n```", False),
    ],
)
def test_code_is_read_and_never_run(answer, valid):
    assert code_valid(answer) is valid


def test_quotations_are_looked_for_in_the_question():
    question = "The pump must not run dry. If the tank is empty, switch it off."
    assert quotes_found(question, 'It says "the pump must not run dry".') == 1.0
    assert quotes_found(question, 'It says "the pump must not run dry" and "the pump may run hot".') == 0.5
    assert quotes_found(question, 'It says "dry".') is None


def test_repetition_is_of_runs_of_three_words():
    assert repeated_share(["a", "b", "c", "d", "e"]) == 0.0
    assert repeated_share(["a", "b", "c", "a", "b", "c", "a", "b", "c"]) == pytest.approx(4 / 7)
    assert repeated_share(["a"]) == 0.0
