"""Parts of pieces: scored with what is beside them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.vault import Passage
from freehold.vault import windows
from freehold.vault.windows import WINDOW_CHARACTERS, parts_of
from freehold.vault.words import counted, kept_terms
from tests.support.vaults import made

RARITY = {"lease": 1.0, "mill": 3.0, "end": 2.0}
FILLER = "x" * (WINDOW_CHARACTERS - 40)
TEXTS = st.text(st.sampled_from("abes .1,\n漢ก็\u0301ـو"), max_size=60) | st.text(max_size=60)


def line(text: str) -> str:
    """A text that is a part of its own."""
    return f"{text} {FILLER}"[: WINDOW_CHARACTERS - 1]


def pieces(*texts: str, name: str = "a", first: int = 1, scores: Sequence[float] = ()) -> list[Passage]:
    """Neighbouring pieces of a document."""
    document, at, found = made(name, *texts).document, 0, list[Passage]()
    for number, (text, score) in enumerate(itertools.zip_longest(texts, scores, fillvalue=0.5), start=first):
        found.append(
            Passage(
                chunk_id=number,
                document=document,
                start=at,
                end=at + len(str(text)),
                text=str(text),
                score=float(score),
            )
        )
        at += len(str(text)) + 1
    return found


def test_parts_are_slices_and_hold_all_of_the_pieces() -> None:
    (piece,) = pieces("\n".join(line(f"Line {number}.") for number in range(5)))
    parts = sorted(parts_of("mill", [piece], RARITY), key=lambda each: each.start)
    assert [piece.text[each.start : each.end] for each in parts] == [each.text for each in parts]
    assert "".join(each.text for each in parts) == piece.text.replace("\n", "")
    assert all(0.0 <= each.score <= 1.0 for each in parts)
    assert len(parts) == 5


def test_an_answer_that_does_not_repeat_its_question_stands_near_to_it() -> None:
    far, asked, answer = line("Of the weather."), line("When does the lease of the mill end?"), line("In May.")
    first, second, *_, last = parts_of(
        "end of the mill's lease", pieces("\n".join([asked, answer, far, far, far])), RARITY
    )
    assert (first.text, second.text) == (asked, answer)
    assert last.score < second.score < first.score


def test_words_count_across_the_border_of_two_pieces_of_one_document() -> None:
    asked, answer = line("When does the lease of the mill end?"), line("In May.")
    alone = {
        each.text: each.score for each in parts_of("mill", [*pieces(asked), *pieces(answer, name="b", first=2)], RARITY)
    }
    beside = {each.text: each.score for each in parts_of("mill", pieces(asked, answer), RARITY)}
    assert beside[answer] > alone[answer]
    assert alone[answer] == pytest.approx(0.5 * windows._OF_PIECE / (1 + windows._OF_PIECE))


def test_pieces_between_which_one_was_not_found_are_no_neighbours() -> None:
    first, _, third = pieces(line("The mill."), line("Nothing."), line("In May."))
    found = {each.text: each.score for each in parts_of("mill", [third, first], RARITY)}
    assert found[third.text] == pytest.approx(0.5 * windows._OF_PIECE / (1 + windows._OF_PIECE))


def test_what_is_rare_counts_more_and_what_nobody_may_read_nothing() -> None:
    both = [*pieces(line("The lease.")), *pieces(line("The mill."), name="b", first=5)]
    assert parts_of("lease of the mill", both, RARITY)[0].document.id == "b"
    assert parts_of("lease of the mill", both, {"lease": 1.0})[0].document.id == "a"
    assert {each.score for each in parts_of("lease", both, {})} == {0.5 * windows._OF_PIECE / (1 + windows._OF_PIECE)}


def test_of_equal_parts_those_of_the_better_piece_are_first() -> None:
    both = [*pieces(line("The mill."), scores=[0.2]), *pieces(line("The mill."), name="b", first=5, scores=[0.9])]
    assert [each.document.id for each in parts_of("mill", both, RARITY)] == ["b", "a"]


def test_nothing_found_has_no_parts() -> None:
    assert parts_of("mill", [], RARITY) == []


@given(st.lists(TEXTS, max_size=4), st.lists(st.sampled_from(["a", "b", "se", "漢", "1", "ส"]), max_size=4))
def test_terms_are_counted_as_they_are_kept(texts: list[str], asked: list[str]) -> None:
    kept = [Counter(kept_terms(text).split()) for text in texts]
    wanted = [*asked, *itertools.chain.from_iterable(list(each)[:2] for each in kept)]
    expected = [(each.total(), Counter({term: each[term] for term in each if term in wanted})) for each in kept]
    assert counted(texts, wanted) == expected
