"""What was known again stays known whatever is written around it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.labels import Level
from freehold.policy.fingerprints import Index, Printer, Remembered, passages
from freehold.policy.markings import Markings
from tests.support.labels import TREE, label
from tests.support.made_documents import COMMON, document

PRINTER = Printer(b"0123456789abcdef")
MARKINGS = Markings(TREE)
TEXT = " ".join(document(random.Random(3), 6))
WORDS = TEXT.split()


def _index() -> Index:
    index = Index(most=100_000)
    for each in passages(PRINTER.prints(TEXT)):
        index.add(Remembered(id="r", label=label(Level.RESTRICTED), expires_unix_ms=1 << 60, prints=each))
    return index


INDEX = _index()
around = st.text(max_size=200) | st.lists(st.sampled_from([*COMMON, *WORDS]), max_size=60).map(" ".join)
separators = st.sampled_from([" ", "\n", ", ", " \u200b\n> ", "** "])


def is_known(text: str) -> bool:
    return bool(INDEX.found(PRINTER.prints(text), unix_ms=0))


@given(first=st.integers(0, len(WORDS)), count=st.integers(0, 60), before=around, behind=around, between=separators)
def test_a_raised_label_never_falls_by_editing_around_it(
    first: int, count: int, before: str, behind: str, between: str
) -> None:
    pasted = " ".join(WORDS[first : first + count])
    if is_known(pasted):
        assert is_known(f"{before}{between}{pasted}{between}{behind}")


@given(st.text(max_size=300), st.sampled_from(["TLP:RED", "STRENG VERTRAULICH", "[restricted]", "mip:x"]))
def test_a_marking_on_a_line_of_its_own_raises_whatever_is_around_it(text: str, marking: str) -> None:
    plain, marked = MARKINGS.of([text]), MARKINGS.of([f"{text}\n{marking}\n{text}"])
    rules = {source.rule for source in marked}
    assert {source.rule for source in plain} <= rules
    if marking != "mip:x":
        assert max(source.label.level for source in marked) == Level.RESTRICTED
        assert MARKINGS.may_be_in(f"{text}\n{marking}\n{text}".encode("utf-8", "surrogatepass"))
