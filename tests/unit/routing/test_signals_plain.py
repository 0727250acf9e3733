"""What is written for speed says the same as what is written plainly, on answers of every kind."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.response import TokenLogprob
from freehold.routing.calibration import MISSING, Calibration, Feature, covers, score, signal_of, standardised, value_of
from freehold.routing.forms import Form, decide, read_question
from freehold.routing.tokens import LOGPROB_FLOOR, Tokens
from freehold.routing.words import _GLUE, _UNSPACED, words_of
from tests.support.routing import calibration

NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:[.,:]\d+)*(?!\w)")
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")

PIECES = (
    *("The", " answer", "\n", "12", "-3", "−4", "--", ".", "5", ",", ":", "a", "B)", "Σας ΣΑΣ", "東京", "İst", "ß", "_"),
    *("yes", "7a", "3.5", "1:30", "..", "\u00a0", "  ", "٣", "²", "é", "?"),
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=40)
values = st.floats(max_value=0.0, min_value=-25.0) | st.floats()
tokens = st.builds(
    TokenLogprob,
    token=st.sampled_from(PIECES),
    logprob=values,
    alternatives=st.lists(st.tuples(st.sampled_from(PIECES), values), max_size=4).map(tuple),
)


def bounded(value: float) -> float:
    if math.isnan(value):
        return LOGPROB_FLOOR
    return min(0.0, max(LOGPROB_FLOOR, value))


def margin(token: TokenLogprob) -> float | None:
    """Chosen minus the best other one."""
    given = token.alternatives
    if not given or (given[0][0] == token.token and len(given) < 2):
        return None
    other = given[1][1] if given[0][0] == token.token else given[0][1]
    return bounded(token.logprob) - bounded(other)


@given(st.lists(tokens, min_size=1, max_size=30))
def test_tokens(said: list[TokenLogprob]) -> None:
    bare, margins = [bounded(token.logprob) for token in said], [margin(token) for token in said]
    found, many = Tokens(said), len(said)
    over_all = found.over_all()
    assert over_all["logprob_mean"] == math.fsum(bare) / many
    assert (over_all["logprob_min"], over_all["logprob_first"]) == (min(bare), bare[0])
    assert over_all["logprob_q50"] == sorted(bare)[many // 2] or many % 2 == 0
    least = min(each for each in margins if each is not None) if None not in margins else None
    assert over_all.get("margin_min") == least
    for first in range(many):
        for last in range(first + 1, many + 1):
            assert found.logprob(first, last) == max(LOGPROB_FLOOR, math.fsum(bare[first:last]))


@given(texts, texts)
def test_words(answer: str, question: str) -> None:
    asked = {found.group() for found in WORD.finditer(question[-4_000:].lower())} | _GLUE
    found = list(WORD.finditer(answer[:300]))
    said = words_of(answer, question)
    assert said.all == tuple(each.group().lower() for each in found)
    assert said.new == tuple(each.span() for each in found if each.group().lower() not in asked)


@given(texts, texts)
def test_numbers(answer: str, question: str) -> None:
    asked = read_question(question)
    assert asked.numbers == frozenset(NUMBER.findall(question[-4_000:]))
    decision = decide(asked, answer)
    if decision.form is Form.NUMBER:
        *_, last = (each for each in NUMBER.finditer(answer) if each.group() not in asked.numbers or each.end())
        assert decision.end <= last.end()
        assert NUMBER.fullmatch(answer[decision.start : decision.end])


@given(texts, st.integers(min_value=0, max_value=200), st.integers(min_value=1, max_value=200))
def test_what_is_copied(question: str, start: int, length: int) -> None:
    """Of any length: a long one is looked for by its beginning first."""
    question *= 4
    answer = question[start : start + length]
    decision = decide(read_question(question), answer)
    piece = " ".join(answer[decision.start : decision.end].lower().split())
    plain = read_question(question).plain
    stands = any(
        not (plain[at - 1 : at].isalnum() or plain[at + len(piece) : at + len(piece) + 1].isalnum())
        for at in range(len(plain))
        if plain.startswith(piece, at)
    )
    if decision.form in {Form.COPIED, Form.WORDS} and piece:
        assert (decision.form is Form.COPIED) == stands


names = st.sampled_from(("a", "b", "tokens_log", "missing:a", "missing:c", "odds:b", "odds:d"))
numbers = st.floats(min_value=-50.0, max_value=0.0)


@given(
    st.lists(names, unique=True, min_size=1),
    st.dictionaries(st.sampled_from(("a", "b", "c", "d", "schema_valid")), numbers),
    st.lists(st.sampled_from(("a", "b", "c")), max_size=3),
)
def test_calibrations(of: list[str], signals: dict[str, float], optional: list[str]) -> None:
    features = tuple(Feature(name=name, mean=-1.0, scale=2.0, weight=0.3) for name in of)
    one: Calibration = calibration(features=features, optional=tuple(optional))
    terms = [each.weight * standardised(each, value_of(each.name, signals, default=each.mean)) for each in features]
    assert score(one, signals) == one.intercept + math.fsum(terms)
    needed = {signal_of(name) for name in of if not name.startswith(MISSING)} - set(optional)
    assert covers(one, signals) == (needed <= signals.keys() and "schema_valid" not in signals)
