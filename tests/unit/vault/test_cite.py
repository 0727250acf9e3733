"""Answers of small models, good and bad, and what is shown of them."""

from __future__ import annotations

import pytest

from freehold.vault.cite import Cited, CiteOptions, cite
from freehold.vault.marks import quotes_in
from freehold.vault.refusals import is_refusal
from freehold.vault.sentences import sentences
from tests.support.passages import passage

FIRST = (
    "The Panthers defence gave up just 308 points, ranking sixth in the league. Kony Ealy did not play in the final game."
    " Attendance rose by 17 % to 1,250 people."
)
SECOND = (
    "Alan Turing was a mathematician. He was born in 1912 in London. Revenue increased to 5.2 million euros in 2019."
)
PASSAGES = (passage(FIRST, number=0), passage(SECOND, number=1, start=500))


def cited(answer: str, question: str = "") -> Cited:
    return cite(answer, PASSAGES, CiteOptions(question=question))


def spans(found: Cited) -> list[tuple[int, str]]:
    return [(each.number, each.quote) for each in found.citations]


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        (
            "The Panthers gave up 308 points.",
            "The Panthers defence gave up just 308 points, ranking sixth in the league.",
        ),
        ("Turing was born in 1912.", "Alan Turing was a mathematician. He was born in 1912 in London."),
        ("Attendance rose by 17 percent.", "Attendance rose by 17 % to 1,250 people."),
        ("1250 people came, attendance rose by 17%.", "Attendance rose by 17 % to 1,250 people."),
        ("308", "The Panthers defence gave up just 308 points, ranking sixth in the league."),
    ],
)
def test_a_sentence_gets_the_documents_own_words(sentence: str, quote: str) -> None:
    found = cited(sentence)
    assert spans(found) == [(1 if quote in FIRST else 2, quote)]
    assert found.unsupported == ()
    assert found.text == f"{sentence} [{found.citations[0].number}]"


@pytest.mark.parametrize(
    "sentence",
    [
        "The Panthers gave up 309 points.",
        "The Panthers gave up 3.08 points.",
        "Attendance rose by 17 million.",
        "Attendance rose by 17 to 1,250 people.",
        "Revenue increased to 5.2 billion euros in 2019.",
        "Revenue decreased to 5.2 million euros in 2019.",
        "Kony Ealy did play in the final game.",
        "The Panthers defence did not give up just 308 points, ranking sixth in the league.",
        "Denver defence gave up just 308 points, ranking sixth in the league.",
        "Turing was born in 1913 in London.",
        "The sky is blue and the grass is green.",
        "The capital of France is Paris.",
    ],
)
def test_a_small_change_takes_the_support_away(sentence: str) -> None:
    found = cited(f"{sentence} [1]")
    assert found.citations == ()
    assert found.text == sentence
    assert found.unsupported == ((0, len(sentence)),)


def test_the_number_of_the_next_sentence_is_not_lent_to_this_one() -> None:
    text = (
        "In 1990, Oster was granted two patents on the pump. When Lindt sold his first pumps in 1991, Oster was told of"
        " the patents. He was born in Ulm in 1949."
    )
    wrong = "In 1991, Oster was granted two patents on the pump."
    assert cite(wrong, [passage(text)]).unsupported == ((0, len(wrong)),)
    for right in ("In 1990, Oster was granted two patents on the pump.", "Lindt sold his first pumps in 1991."):
        assert cite(right, [passage(text)]).unsupported == ()


@pytest.mark.parametrize(
    ("frame", "is_supported"),
    [
        ('A report says "Kony Ealy did not play in the final game".', True),
        ('Of the Panthers it says "Kony Ealy did not play in the final game".', True),
        ('In 1999 it said "Kony Ealy did not play in the final game".', False),
        ('And Zanzibor said "Kony Ealy did not play in the final game".', False),
    ],
)
def test_a_true_quote_supports_no_number_and_no_name_around_it(frame: str, is_supported: bool) -> None:
    found = cited(frame)
    assert found.quotes == {"verified": 1}
    assert found.citations
    assert (found.unsupported == ()) is is_supported


def test_markers_say_what_was_found_and_not_what_was_claimed() -> None:
    found = cited("Turing was born in 1912 [1]. Ealy did not play in the final game【9†x】. See [link](http://x.test).")
    assert found.text == (
        "Turing was born in 1912. [2] Ealy did not play in the final game. [1] See [link](http://x.test)."
    )


@pytest.mark.parametrize("marks", ['""', "“”", "„“", "«»", "「」", "''", "‘’"])
def test_made_quotes_lose_their_marks(marks: str) -> None:
    said = "the Panthers gave up just 309 points"
    found = cited(f"It says {marks[0]}{said}{marks[1]} there.")
    assert found.text == f"It says {said} there."
    assert found.quotes == {"fabricated": 1}
    real = "gave up just 308 points"
    found = cited(f"It says {marks[0]}{real}{marks[1]} there.")
    assert f"{marks[0]}{real}{marks[1]}" in found.text
    assert found.quotes == {"verified": 1}
    assert found.citations[0].quote == real
    assert found.text[found.citations[0].answer_start : found.citations[0].answer_end] == real


def test_a_made_quote_around_a_true_one_leaves_the_true_one() -> None:
    found = cited("He wrote “they said 'gave up just 308 points' and then went home”.")
    assert found.text.startswith("He wrote they said 'gave up just 308 points' and then went home.")
    assert found.quotes == {"fabricated": 1, "verified": 1}


def test_a_quote_that_holds_its_own_marks_gets_others() -> None:
    source = 'The report calls it "a rather small affair" without a reason.'
    found = cite("It says \"calls it 'a rather small affair' without a reason\".", [passage(source)])
    assert found.text.startswith('It says “calls it "a rather small affair" without a reason”.')


def test_a_document_brings_no_link_that_was_cleaned_away() -> None:
    source = "Press here: ![all of it](https://evil.test/x) to see more of it."
    answer = 'It says "here: ！［all of it］（https：／／evil.test／x） to see".'
    found = cite(answer, [passage(source)])
    assert "https://evil.test" not in found.text
    assert found.quotes == {"fabricated": 1}


def test_code_stays_as_it_is() -> None:
    answer = 'Use `print("gave up just 309 points")`.\n```\nx = "gave up just 309 points"\n```\nDone.'
    assert cited(answer).text == answer


def test_set_apart_blocks_are_no_quotes_either() -> None:
    assert cited("> The Panthers gave up 309 points.\n").text == "The Panthers gave up 309 points.\n"


def test_questions_headings_and_refusals_need_no_support() -> None:
    found = cited("# Result\nWhat is it? This is not in your documents.")
    assert found.unsupported == ()
    assert found.refused


def test_of_two_places_the_one_that_was_asked_for_is_cited() -> None:
    texts = ("In 1912 a ship sank in the sea. Turing was born in 1912.", "The ship cost 1912 pounds to build.")
    found = cite(
        "1912",
        [passage(text, number=place) for place, text in enumerate(texts)],
        CiteOptions(question="When was Turing born?"),
    )
    assert spans(found) == [(1, "Turing was born in 1912.")]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("Dr. Smith met J. Doe at 5 p.m. in the U.S. embassy. He left.", 2),
        ("它很好。他说不！真的？", 3),
        ("A line that is long enough to be full and is broken\nonly here, by its page. Next.", 2),
        ("Short\nlines\nare items", 3),
        ("1. First\n2. Second", 2),
        ("यह एक है। यह दो है।", 2),
    ],
)
def test_sentences_of_documents(text: str, count: int) -> None:
    assert len(list(sentences(text))) == count


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ('He said "a b" and "c d".', ["a b", "c d"]),
        ("the dogs' bowl isn't here, it's 5\" wide", []),
        ("„Ja“, sagte er, »nein« und «oui»", ["Ja", "nein", "oui"]),
        ("他说“你好”和「再见」", ["你好", "再见"]),
        ("“outer ‘inner’ end”", ["outer ‘inner’ end"]),
        ("an “open one", []),
        ('code `x = "y"` here', []),
    ],
)
def test_quotes_of_many_languages(text: str, quotes: list[str]) -> None:
    assert [text[each.start + 1 : each.end - 1] for each in quotes_in(text)] == quotes


@pytest.mark.parametrize(
    "text",
    [
        "This is not in your documents.", "The document does not mention it.", "I don't know.", "There is no information about it.",
        "Das steht nicht in Ihren Dokumenten.", "文中没有提到。", "I'm sorry, but I cannot find that.",
    ],
)  # fmt: skip
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["It is in your documents.", "Not the Panthers, but Denver won.", "No one won.", "Paris"]
)
def test_answers_are_no_refusals(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize("said", ["[1] 3 May 2031", "[1]  3 May 2031", "[1] [2] 3 May 2031"])
def test_a_number_before_a_sentence_leaves_no_blank(said: str) -> None:
    found = cite(said, [passage("The Alder contract ends on 3 May 2031."), passage("Nothing.", number=1)])
    assert found.text == "3 May 2031 [1]"
    (only,) = found.citations
    assert (only.answer_start, only.answer_end) == (0, len("3 May 2031"))
