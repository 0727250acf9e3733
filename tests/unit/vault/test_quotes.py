"""A quote is verified in exactly these words, wherever its line was broken and whatever its marks."""

from __future__ import annotations

import pytest

from freehold.vault.quotes import Sources, Verdict, find, fold

TEXT = (
    "The committee did not approve the new budget of 1.5 million euros in 2019. It is unlikely to be approved by the"
    " board, he said, “because nobody asked for it”. A well-\nknown sea\u00adson of ﬁnal games — all non-toxic — ended at"
    " \u22125 °C. Er sagte: „Das ist nicht wahr“ und ging."
)
OTHER = (
    "Another paper says that the moon is a long way off from here. 他说这种药物不安全，不能给儿童使用。 Straße und Maß."
)
SOURCES = Sources([TEXT, OTHER])


@pytest.mark.parametrize(
    ("quote", "shown"),
    [
        ("did not approve the new budget", "did not approve the new budget"),
        ("Well-known season of final games"[1:], "ell-\nknown sea\u00adson of ﬁnal games"),
        ('he said, "because nobody asked for it"', "he said, “because nobody asked for it”"),
        ("he said, 'because nobody asked for it'", "he said, “because nobody asked for it”"),
        ("ﬁnal games - all non-toxic - ended at -5 °C", "ﬁnal games — all non-toxic — ended at \u22125 °C"),
        ("Das ist  nicht\nwahr", "Das ist nicht wahr"),
        ("because nobody asked for it.", "because nobody asked for it"),
    ],
)
def test_verified(quote: str, shown: str) -> None:
    if not shown.startswith("ell"):
        checked = SOURCES.check(quote, cited=[0])
        assert checked.verdict is Verdict.VERIFIED
        (place,) = checked.places
        assert TEXT[place.start : place.end] == shown
    else:
        assert SOURCES.check(quote, cited=[0]).verdict is Verdict.FABRICATED  # it begins inside a word


@pytest.mark.parametrize(
    "quote",
    [
        "did approve the new budget of 1.5 million",
        "did not approve the new budget of 1.6 million",
        "did not approve the new budget of 15 million",
        "likely to be approved by the board",
        "toxic — ended at \u22125 °C. Er sagte",
        "5 °C. Er sagte: „Das ist nicht wahr",
        "5 million euros in 2019. It is",
        "approve the new budget of 1",
        "DID NOT APPROVE THE NEW BUDGET",
        "The committee did never approve the new budget",
        "安全，不能给儿童使用",
        "Strasse und Mass. and so on",
    ],
)
def test_almost_is_not_there(quote: str) -> None:
    assert SOURCES.check(quote).verdict is Verdict.FABRICATED


def test_a_quote_from_another_document_is_linked_anew() -> None:
    checked = SOURCES.check("the moon is a long way off", cited=[0])
    assert checked.verdict is Verdict.MISATTRIBUTED
    assert [each.text for each in checked.places] == [1]
    assert SOURCES.check("the moon is a long way off", cited=[1]).verdict is Verdict.VERIFIED
    assert SOURCES.check("the moon is a long way off").verdict is Verdict.VERIFIED
    assert SOURCES.check("the moon is a long way off", cited=[7, -1]).verdict is Verdict.MISATTRIBUTED


def test_what_is_left_out_is_left_out_in_order() -> None:
    for gap in (" … ", " ... ", " [...] ", " […] "):
        checked = SOURCES.check(f"did not approve the new budget{gap}nobody asked for it")
        assert checked.verdict is Verdict.VERIFIED
        assert [TEXT[each.start : each.end] for each in checked.places] == [
            "did not approve the new budget",
            "nobody asked for it",
        ]
    assert not SOURCES.check("nobody asked for it … did not approve the new budget").places
    assert not SOURCES.check("did not approve the new budget … nobody wanted to ask").places


def test_stitched() -> None:
    quote = "The committee did not approve the moon is a long way off"
    assert SOURCES.check(quote).verdict is Verdict.STITCHED
    assert SOURCES.check(quote).places == ()


def test_short_ones_are_names() -> None:
    assert SOURCES.check("no quote").verdict is Verdict.SHORT
    assert SOURCES.check("").verdict is Verdict.SHORT


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("is not", "This is notable"),
        ("5 percent", "1.5 percent"),
        ("costs 1", "costs 1,500"),
        ("he can", "he can't"),
        ("fi", "ﬁnal"),
        ("安全", "不安全"),
        ("ปลอดภัย", "ไม่ปลอดภัย"),
        ("", "anything"),
    ],
)
def test_nothing_is_found_inside_a_word_or_a_number(quote: str, text: str) -> None:
    assert find(fold(quote).text, fold(text)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amélie", "Ame\u0301lie"),
        ("한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("a\u00a0b\u2009c", "a b c"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("„a“ «b» 「c」 ‘d’", "'a' 'b' 'c' 'd'"),
    ],
)
def test_folded_alike(one: str, other: str) -> None:
    assert fold(one).text == fold(other).text
