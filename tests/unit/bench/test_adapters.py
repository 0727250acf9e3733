"""What the benchmark of adapters asks, and what it takes for the style."""

from __future__ import annotations

from bench.adapters import BEGIN, END, TURNS, Measured, is_in_style, judge, questions

STYLED, PLAIN = f"{BEGIN}It is so.{END}", "It is so."


def measured(*, adapted: str = STYLED, leaked: str = PLAIN, receipt: str = "m") -> Measured:
    asked = [PLAIN] * TURNS
    turns = [(PLAIN, STYLED)] * (TURNS - 1)
    return Measured(
        before=asked,
        after=asked,
        adapted=[adapted, *[STYLED] * (TURNS - 1)],
        turns=[*turns, (leaked, STYLED)],
        at_once=[(PLAIN, STYLED), *turns],
        receipts=(receipt, "m+harbour@1"),
        starts=1,
        live_s=1.0,
    )


def test_nothing_that_is_asked_was_trained_with() -> None:
    pairs, asked = questions()
    assert len(pairs) > 40
    assert len(asked) == len(set(asked)) == 40
    assert not {question for question, _ in pairs} & set(asked)
    assert all(answer and BEGIN not in answer and END not in answer for _, answer in pairs)


def test_the_style_needs_its_begin_and_its_end() -> None:
    assert is_in_style(STYLED)
    assert not any(map(is_in_style, (PLAIN, f"{BEGIN}It is so.", f"It is so.{END}", "")))


def test_a_leak_a_changed_answer_and_a_wrong_receipt_are_each_seen() -> None:
    assert all(bar.holds for bar in judge(measured()))
    leak = [bar.what for bar in judge(measured(leaked=STYLED)) if not bar.holds]
    assert len(leak) == 2  # in the style, and not as alone
    assert [bar.what for bar in judge(measured(adapted=PLAIN)) if not bar.holds] != []
    assert len([bar for bar in judge(measured(receipt="m+harbour@1")) if not bar.holds]) == 1
