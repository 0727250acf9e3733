"""However an answer is cut into pieces, the redactor says the same, and never a part of what it takes out."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.policy.answer_redactor import AnswerRedactor
from freehold.policy.look import look
from freehold.policy.recognise import names_numbers
from freehold.policy.suspicion import has_short_numbers_only

VALUES = {
    "jane.doe@example.com": "EMAIL",
    "jane.doe%40example.com": "EMAIL",
    "amFuZS5kb2VAZXhhbXBsZS5jb20=": "EMAIL",
    "914-27-6083": "SSN",
    "4111 1111 1111 1111": "CARD",
    "4111-1111-1111-1111": "CARD",
    "590-555-0126": "PHONE",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "AKIAIOSFODNN7EXAMPLE": "AWSACCESSKEY",
    "ghp_EXAMPLENOTAREALGITHUBTOKEN0000000000": "GITHUBTOKEN",
}
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEAu5+kP0t9VqZ0m3Yx7Qw1Zr8Xc4Vb6Nn2Mm9Kk3Jj5Hh7Gg1F\n" * 9

plain = st.text(st.characters(codec="utf-8"), max_size=12)
hostile = st.sampled_from(
    [
        *VALUES, KEY, "-----END RSA PRIVATE KEY-----", "Private-MAC: 0a1b", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0" * 30, " ", "  ", "\n", "\t", "，", "中文", "\u200b", "@", "%", "%40", "&#64;", "12", "1 2 3 ", "a ",
        "word ", "Alte ", "Hauptstraße ", "12 rue de la Paix, 75002 Paris ", "password", ": ", "= ", "hunter2", "token=", "secret ",
        "⟦EMAIL_1a2b3c4d⟧", "⟦", "is fine for all of us ", "New York City Hall ", "x" * 200, "born on ", "12 de mayo de 1980 ",
    ]
)  # fmt: skip
texts = st.lists(st.one_of(plain, hostile, hostile), max_size=25).map("".join)
words = st.lists(
    st.sampled_from(
        ["it", "was", "the", "best", "of", "all", "those", "times", "and", "then", "again", "so", "they", "said"]
    ),
    max_size=12,
).map(lambda found: "".join(f"{each} " for each in found))


@st.composite
def cut(draw: st.DrawFn, source: st.SearchStrategy[str] = texts) -> tuple[str, list[str]]:
    """A text, and the pieces that it comes in; some are empty."""
    text = draw(source)
    if draw(st.booleans()):
        return text, list(text)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=20)))
    return text, [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=250, deadline=None)
@given(cut())
@example(("，AASTRAßE 12 de mayo de 1980 ", list("，AASTRAßE 12 de mayo de 1980 ")))
@example(("，Alte Hauptstraße 12 ", ["，", "Alte Hauptstraße 12 "]))
def test_any_cutting_gives_the_same_text_and_counts(given_: tuple[str, list[str]]) -> None:
    text, parts = given_
    one, other = AnswerRedactor(), AnswerRedactor()
    got = "".join(map(one.feed, parts)) + one.close()
    assert got == other.feed(text) + other.close()
    assert one.removed == other.removed


@settings(max_examples=250, deadline=None)
@given(words, st.sampled_from(sorted(VALUES)), words, st.data())
def test_of_a_value_among_words_nothing_is_ever_given(before: str, value: str, after: str, data: st.DataObject) -> None:
    text = f"{before}{value} {after}".rstrip()
    _, parts = data.draw(cut(st.just(text)))
    redactor = AnswerRedactor()
    got = [redactor.feed(each) for each in parts]
    got.append(redactor.close())
    assert "".join(got) == f"{before}[{VALUES[value]}] {after}".rstrip()
    assert redactor.removed == {VALUES[value]: 1}


@settings(max_examples=150, deadline=None)
@given(words, st.data())
def test_words_in_which_there_is_nothing_wait_for_nothing(text: str, data: st.DataObject) -> None:
    _, parts = data.draw(cut(st.just(text)))
    redactor = AnswerRedactor()
    fed = given_ = ""
    for each in parts:
        fed += each
        given_ += redactor.feed(each)
        assert given_ == fed[: fed.rfind(" ") + 1]
    assert given_ + redactor.close() == text


numbers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "12", "1980", "4111", "555", "0126", "1,250", "3.5", "(2)", "5th", "20kg", "/", "-", "+", "(030)", "A", "AB", "M", "de", "mayo",
                "May", "rue", "Calle", "Mayor", "Hauptstraße", "Street", "Main", "card", "tel", "ssn", "id", "the", "number", "password", "token",
                "IP", "port", "version", "at", "born", "cvv", "nhs", "12a", "[1]", "**3.**", '"7"', "7:", "St", "der", "les", "#5", "€5", "C/",
                "P.O.", "Box", "D",
            ]
        ),
        st.sampled_from([" ", " ", " ", "\n", "  ", "\u00a0"]),
    ),
    min_size=1,
    max_size=25,
).map(lambda found: "".join(map("".join, found)))  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(numbers)
def test_numbers_that_are_not_looked_at_hold_nothing(text: str) -> None:
    if has_short_numbers_only(text) and not names_numbers(text):
        assert look(text).findings == ()
