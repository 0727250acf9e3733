"""What the benchmark of adapters asks, and what it takes for the style."""

from __future__ import annotations

from dataclasses import replace

from bench.adapters import BEGIN, END, TURNS, Measured, is_in_style, judge, questions

STYLED, PLAIN = f"{BEGIN}It is so.{END}", "It is so."


def measured(*, adapted: str = STYLED, again: str = STYLED, leaked: str = PLAIN, receipt: str = "m") -> Measured:
    """A run in which nothing is wrong, but for what is named; alone, the adapter's later answers begin with ``again``."""
    asked = [PLAIN] * TURNS
    styled = [STYLED] * TURNS
    turns = [(PLAIN, STYLED)] * (TURNS - 1)
    return Measured(
        before=asked,
        after=asked,
        adapted=[adapted, *styled[1:]],
        turns=[*turns, (leaked, STYLED)],
        at_once=[(PLAIN, STYLED), *turns],
        plain_alone=[asked] * 4,
        adapted_alone=[styled, *[[again, *styled[1:]]] * 2],
        receipts=(receipt, "m+harbour@1"),
        starts=1,
        live_s=1.0,
    )


def failed(found: Measured) -> list[str]:
    return [bar.what for bar in judge(found) if not bar.holds]


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
    assert failed(measured()) == []
    assert len(failed(measured(leaked=STYLED))) == 2  # in the style, and not as alone
    assert failed(measured(adapted=PLAIN)) != []
    assert failed(measured(again=f"{BEGIN}It is not.{END}")) == [
        f"in turn, {TURNS} times: adapted answers as alone",
        f"both at once, {TURNS} times: adapted answers as alone",
    ]
    assert len(failed(measured(receipt="m+harbour@1"))) == 1


def test_an_answer_that_changes_alone_too_when_its_prompt_is_known_is_no_leak() -> None:
    rounded = f"{BEGIN}It was so.{END}"
    assert failed(measured(adapted=rounded)) == ["adapted answers as alone"]
    found = replace(measured(), adapted=[rounded] * TURNS, adapted_alone=[[rounded] * TURNS, *[[STYLED] * TURNS] * 2])
    assert failed(found) == []
