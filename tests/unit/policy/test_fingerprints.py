"""A restricted text is known again however it is pasted, and nothing else is taken for one."""

from __future__ import annotations

import json
import random
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from freehold.domain.labels import Level
from freehold.policy.boilerplate import SENTENCES
from freehold.policy.fingerprints import (
    GRAM_WORDS,
    PASSAGE_PRINTS_MAX,
    RUN_WORDS_MIN,
    RUN_WORDS_SURE,
    WINDOW,
    Index,
    Printer,
    Remembered,
    joined_by_id,
    passages,
)
from tests.support.labels import label
from tests.support.made_documents import LETTER, as_markdown, document, edited, sentence
from tests.support.shared_data import shared_data

KEY = b"a key of sixteen bytes or more"
PRINTER = Printer(KEY)
RESTRICTED = label(Level.RESTRICTED)
FOR_EVER = 1 << 60
KEPT, ASKED = 100, 300


def remembered(text: str, name: str = "r-1", *, until: int = FOR_EVER, **more: object) -> list[Remembered]:
    made = passages(PRINTER.prints(text))
    said = label(Level.RESTRICTED, **more)
    return [Remembered(id=name, label=said, expires_unix_ms=until, prints=each) for each in made]


def index_of(*texts: str, most: int = 1_000_000) -> Index:
    index = Index(most=most)
    for place, text in enumerate(texts):
        for each in remembered(text, str(place)):
            index.add(each)
    return index


def found(index: Index, text: str, *, unix_ms: int = 0) -> set[str]:
    return set(joined_by_id(index.found(PRINTER.prints(text), unix_ms=unix_ms)))


Paste = Callable[[Sequence[str]], str]


def within(pasted: str) -> str:
    lot = random.Random(99)
    return " ".join((*document(lot, 3), pasted, *document(lot, 3)))


PASTES: dict[str, tuple[Paste, float]] = {
    "verbatim": (" ".join, 0.0),
    "markdown": (lambda text: as_markdown(" ".join(text)), 0.0),
    "line breaks": (lambda text: "\r\n".join(" ".join(text).split()), 0.0),
    "quoted in JSON": (lambda text: json.dumps({"said": " ".join(text)}), 0.0),
    "decomposed letters": (lambda text: " ".join(text).replace("a", "\uff41"), 0.0),
    "a paragraph within other text": (lambda text: within(" ".join(text[4:7])), 0.0),
    "a sentence": (lambda text: text[5], 0.0),
    "a sentence within other text": (lambda text: within(text[5]), 0.0),
    "13 words within other text": (
        lambda text: within(" ".join((text[5] + text[6]).split()[3 : 3 + RUN_WORDS_SURE])),
        0.01,
    ),
    "every tenth word replaced": (lambda text: edited(random.Random(5), " ".join(text), 10), 0.0),
    "every fifth word replaced": (lambda text: edited(random.Random(5), " ".join(text), 5), 0.05),
}
"""How a text is pasted, and the share of such pastes that may be missed."""


@pytest.mark.parametrize("name", PASTES)
def test_share_of_pastes_that_are_missed(name: str) -> None:
    lot = random.Random(7)
    texts = [document(lot) for _ in range(KEPT)]
    index = index_of(*(" ".join(text) for text in texts))
    paste, missed_max = PASTES[name]
    missed = sum(str(place) not in found(index, paste(text)) for place, text in enumerate(texts))
    assert missed <= missed_max * KEPT, f"{missed} of {KEPT}"


def test_no_other_document_is_taken_for_one_although_all_are_letters() -> None:
    lot = random.Random(7)
    index = index_of(*(" ".join(document(lot)) for _ in range(KEPT)))
    other = random.Random(70)
    assert sum(bool(found(index, " ".join(document(other)))) for _ in range(ASKED)) == 0


def test_prose_on_one_subject_is_seldom_taken_for_another() -> None:
    lines = shared_data("vault", "scifact", "corpus.jsonl").read_text("utf-8").splitlines()[:600]
    texts = [json.loads(line)["text"] for line in lines]
    index = index_of(*texts[:300])
    assert sum(bool(found(index, text)) for text in texts[300:]) <= 1
    assert all(str(place) in found(index, text) for place, text in enumerate(texts[:300]))


@pytest.mark.parametrize("text", [*SENTENCES, *LETTER, " ".join(SENTENCES[:3])])
def test_what_everybody_writes_is_never_known_again(text: str) -> None:
    index = index_of(f"{sentence(random.Random(1))} {text} {sentence(random.Random(2))}", text)
    assert found(index, f"Hello! {text} Yours") == set()


def test_short_texts_and_tables_of_one_number_are_not_remembered() -> None:
    eight = " ".join(sentence(random.Random(3)).split()[: RUN_WORDS_MIN - 1])
    assert passages(PRINTER.prints(eight)) == []
    assert passages(PRINTER.prints("")) == passages(PRINTER.prints("0 " * 500)) == []
    assert passages(PRINTER.prints(sentence(random.Random(3))))


def test_fewer_words_in_a_row_than_the_least_raise_nothing() -> None:
    text = " ".join(document(random.Random(4)))
    index, words = index_of(text), text.split()
    for first in range(len(words) - RUN_WORDS_SURE):
        assert found(index, " ".join(words[first : first + RUN_WORDS_MIN - 1])) == set()


def test_chosen_are_at_most_a_window_apart_and_words_in_a_row_are_sure() -> None:
    text = " ".join(sentence(random.Random(6)) for _ in range(9))
    places = [each.place for each in PRINTER.prints(text)]
    assert max(later - earlier for earlier, later in pairwise(places)) <= WINDOW
    assert 0.4 < len(places) / (len(text.split()) - GRAM_WORDS) < 0.6
    words, index = text.split(), index_of(text)
    for first in range(len(words) - RUN_WORDS_SURE):
        assert found(index, " ".join(words[first : first + RUN_WORDS_SURE])), first


def test_another_key_knows_nothing() -> None:
    text = " ".join(document(random.Random(8)))
    mine, theirs = ({each.value for each in Printer(key).prints(text)} for key in (KEY, KEY + b"!"))
    assert len(mine) > 50
    assert not mine & theirs
    assert max(mine) >= 1 << 60  # 64 bits, not the 32 that chose them


def test_languages_without_blanks_have_words_too() -> None:
    text = "会社の機密情報は外部に送信してはいけません。契約の金額は来月まで公開されません。"
    assert found(index_of(text), f"次の文を要約してください：{text}") == {"0"}


def test_the_oldest_are_forgotten_beyond_the_bound_and_what_is_out_of_date() -> None:
    texts = [" ".join(document(random.Random(seed))) for seed in range(6)]
    sizes = [len(PRINTER.prints(text)) for text in texts]
    index = index_of(*texts, most=sum(sizes[3:]))
    assert [found(index, text) for text in texts] == [set(), set(), set(), {"3"}, {"4"}, {"5"}]
    assert index.prints == sum(sizes[3:])
    (early,) = remembered(texts[0], "early", until=1_000)
    index.add(early)
    assert found(index, texts[0], unix_ms=999) == {"early"} and found(index, texts[0], unix_ms=1_000) == set()
    before = index.prints
    index.expire(1_000)
    assert index.prints == before - len(early.prints)


def test_a_text_in_two_labels_has_both_and_is_not_remembered_twice() -> None:
    text = " ".join(document(random.Random(9)))
    (one,), (other,) = remembered(text, kinds=frozenset({"pii"})), remembered(text, "r-2", kinds=frozenset({"phi"}))
    index, prints = Index(most=10_000), PRINTER.prints(text)
    index.add(one)
    assert index.covers(prints, one.label, until_unix_ms=5) and not index.covers(prints, other.label, until_unix_ms=5)
    assert not index.covers(prints, one.label, until_unix_ms=FOR_EVER + 1)
    index.add(other)
    assert {each.id for each in index.found(prints, unix_ms=0)} == {"r-1", "r-2"}
    index.add(Remembered(id="r-3", label=RESTRICTED, expires_unix_ms=1, prints=array("Q", one.prints)))
    index.expire(5)
    assert {each.id for each in index.found(prints, unix_ms=0)} == {"r-1", "r-2"}


def test_long_texts_are_several_passages_and_each_is_known() -> None:
    text = document(random.Random(10), sentences=150)
    made = passages(PRINTER.prints(" ".join(text)))
    assert len(made) > 3 and all(len(each) <= PASSAGE_PRINTS_MAX for each in made)
    index = index_of(" ".join(text))
    assert all(found(index, each) == {"0"} for each in text[1:-1])


def test_looking_takes_a_fraction_of_a_millisecond_for_a_kilobyte() -> None:
    """0.3 ms is the bar on an idle core; what other processes do to this one is left room for, and the best of ten counts."""
    lot = random.Random(11)
    index = index_of(*(" ".join(document(lot)) for _ in range(100)))
    text = " ".join(document(lot, 60))

    def look_s() -> float:
        before = time.process_time()
        index.found(PRINTER.prints(text), unix_ms=0)
        return time.process_time() - before

    per_kb_ms = min(look_s() for _ in range(10)) * 1_000 / (len(text) / 1_000)
    assert per_kb_ms < 0.9, per_kb_ms
