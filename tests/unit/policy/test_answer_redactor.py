"""What is taken out of an answer, what passes, and when."""

from __future__ import annotations

import pytest

from freehold.policy.answer_redactor import (
    HELD_CHARACTERS_MAX,
    QUIET_WORDS,
    STRADDLE_CHARACTERS,
    WORD_CHARACTERS_MAX,
    AnswerRedactor,
)

KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEpAIBAAKCAQEAu5+kP0t9VqZ0m3Yx7Qw1Zr8Xc4Vb6Nn2Mm9Kk3Jj5Hh7Gg1F\n" * 25
    + "-----END RSA PRIVATE KEY-----"
)
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ik" * 25
    + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r"
)


def cleaned(text: str) -> str:
    """A text that comes character by character."""
    redactor = AnswerRedactor()
    return "".join(map(redactor.feed, text)) + redactor.close()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Reference record: 914-27-6083", "Reference record: [SSN]"),
        ("Reference record: 590-555-0126, call.", "Reference record: [PHONE], call."),
        ("write to jane.doe@example.com, please", "write to [EMAIL], please"),
        ("write to jane.doe%40example.com", "write to [EMAIL]"),
        ("write to jane&#46;doe&commat;example.com now", "write to [EMAIL] now"),
        ("it says amFuZS5kb2VAZXhhbXBsZS5jb20= there", "it says [EMAIL] there"),
        ("paid with 4111 1111 1111 1111 on that day", "paid with [CARD] on that day"),
        ("to DE89 3704 0044 0532 0130 00 as agreed", "to [IBAN] as agreed"),
        ("use ghp_EXAMPLENOTAREALGITHUBTOKEN0000000000", "use [GITHUBTOKEN]"),
        ("password : correcthorsebattery\nis it", "password : [LOGIN]\nis it"),
        ("Er wohnt Alte Hauptstraße 12, 12345 Berlin ist die Stadt", "Er wohnt [ADDRESS] ist die Stadt"),
        ("nacido el 12 de mayo de 1980 en la ciudad", "nacido el [DATEOFBIRTH] en la ciudad"),
        ("a key:\n" + KEY + "\nand that is all", "a key:\n[PRIVATEKEY]\nand that is all"),
        ("a token " + JWT + " of mine", "a token [JWT] of mine"),
    ],
)
def test_a_value_is_taken_out_whole(text: str, clean: str) -> None:
    assert cleaned(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "It was the best of times, it was the worst of times.\n\nAnd then?",
        "In 2023 the 3 teams had 45 members, 1,250 in all, or 12.5 % of 10,000.",
        "1. First\n2. Second\n\n| a | 1 |\n|---|---|\n",
        "def sum_of(numbers: list[int]) -> int:\n    return sum(each * 2 for each in numbers)\n",
        "中文，没有空格。2023年的报告，在这里。",
        "Title Case Is Used In Many Headings Of Many Texts",
        "",
    ],
)
def test_what_holds_nothing_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


def test_plain_words_pass_as_soon_as_they_are_whole() -> None:
    redactor = AnswerRedactor()
    assert [redactor.feed(each) for each in ("it is a fi", "ne day and the su", "n shines ")] == [
        "it is a ",
        "fine day and the ",
        "sun shines ",
    ]


def test_a_value_is_held_until_a_few_plain_words_are_behind_it() -> None:
    redactor = AnswerRedactor()
    assert redactor.feed("mail ") == "mail "
    assert redactor.feed("jane@example.com ") == ""
    words = ["today ", "or ", "maybe ", "tomorrow "]
    assert len(words) == QUIET_WORDS
    assert [redactor.feed(each) for each in words] == ["", "", "", "[EMAIL] today or maybe tomorrow "]


def test_words_with_a_capital_wait_for_what_they_may_begin() -> None:
    redactor = AnswerRedactor()
    assert redactor.feed("wohnt Alte ") == "wohnt "
    assert redactor.feed("Hauptstraße ") == ""
    assert redactor.feed("und ") == "Alte Hauptstraße und "


@pytest.mark.parametrize("size", [1, 7, 400])
def test_not_much_more_than_the_bound_is_ever_held(size: int) -> None:
    text = "17 + 26 = 43; " * 300
    redactor = AnswerRedactor()
    given = fed = 0
    for place in range(0, len(text), size):
        piece = text[place : place + size]
        fed += len(piece)
        given += len(redactor.feed(piece))
        assert fed - given <= HELD_CHARACTERS_MAX + STRADDLE_CHARACTERS + size
    assert given + len(redactor.close()) == len(text)


def test_a_word_that_does_not_end_is_given_in_parts() -> None:
    text = "0_" * WORD_CHARACTERS_MAX
    redactor = AnswerRedactor()
    first = redactor.feed(text)
    assert 0 < len(text) - len(first) <= WORD_CHARACTERS_MAX
    assert first + redactor.close() == text


@pytest.mark.parametrize("before", range(0, 700, 23))
def test_a_value_among_numbers_without_end_is_found_wherever_the_bound_falls(before: int) -> None:
    numbers = " ".join(f"x{each}" for each in range(200))[:before]
    clean = cleaned(f"{numbers} jane.doe@example.com {numbers}")
    assert clean == f"{numbers} [EMAIL] {numbers}"


def test_the_rest_of_a_key_that_never_ends_is_left_out() -> None:
    begun = KEY.removesuffix("-----END RSA PRIVATE KEY-----")
    assert cleaned("a key:\n" + begun) == "a key:\n[PRIVATEKEY]"


@pytest.mark.parametrize("size", [1, 3, 5_000])
def test_a_signed_token_of_any_length_is_left_out_to_its_end(size: int) -> None:
    text = (
        "a token "
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" * 40 + ".dBjft" + "eZ4CVP-mB92K27" * 400 + " of mine"
    )
    redactor = AnswerRedactor()
    clean = "".join(redactor.feed(text[place : place + size]) for place in range(0, len(text), size)) + redactor.close()
    assert clean == "a token [JWT] of mine"


def test_what_was_taken_out_is_counted() -> None:
    redactor = AnswerRedactor()
    redactor.feed("jane@example.com, joe@example.com and 914-27-6083")
    redactor.close()
    assert redactor.removed == {"EMAIL": 2, "SSN": 1}


def test_a_value_that_is_kept_keeps_what_lies_in_it() -> None:
    asked: list[str] = []

    def keeps(value: str) -> bool:
        asked.append(value)
        return value == "jane@example.com"

    redactor = AnswerRedactor(keeps)
    text = "jane@example.com and joe@example.com"
    assert redactor.feed(text) + redactor.close() == "jane@example.com and [EMAIL]"
    assert set(asked) == {"jane@example.com", "joe@example.com"}


def test_nobody_is_asked_about_an_answer_in_which_nothing_is_found() -> None:
    def keeps(value: str) -> bool:
        raise AssertionError(value)

    redactor = AnswerRedactor(keeps)
    text = "nothing is in here, but for 12 months and 3 names"
    assert redactor.feed(text) + redactor.close() == text


@pytest.mark.parametrize(
    "text",
    ["its token is ⟦EMAIL_1a2b3c4d⟧, and", "password: ⟦APIKEY_0a1b2c3d4e5f⟧ is it", "call ⟦PHONE_12345678⟧ now"],
)
def test_tokens_of_values_stay(text: str) -> None:
    assert cleaned(text) == text


def test_a_value_beside_a_token_goes_and_the_token_stays() -> None:
    assert cleaned("password: hunter2⟦CARD_0a1b2c3d⟧ it") == "password: [LOGIN]⟦CARD_0a1b2c3d⟧ it"
