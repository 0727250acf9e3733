"""What is counted as found, cited and abstained, with a search that finds what it is told to."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.errors.vault import (
    VaultComparedInvalid,
    VaultQuestionsInvalid,
    VaultQuestionsMissing,
    VaultRankerUnfit,
)
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Found, Hit, Passage, Reader, Readers, SearchSettings, VaultQuery
from freehold.evals.vault_measure import Measuring, Outcome, auc, figures_of
from freehold.evals.vault_questions import VaultQuestion, Wanted, digest_of, read_questions
from freehold.evals.vault_report import encoded, falls, read_report, report_of
from freehold.evals.vault_ways import Compared, Remembering, best, chosen, compare, judged, name_of_present, ways

TEXTS = {
    "lease": "The lease ends in May.\nThe tenant pays for\n the pump.",
    "pump": "The pump is under warranty until 2027. The valve is not.",
    "cat": "The cat sleeps on the mat.",
}
READER = Reader(tenant="t")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return 0


def passage(name: str, start: int = 0, end: int | None = None, *, cosine: float = 0.0) -> Passage:
    text = TEXTS[name]
    end = len(text) if end is None else end
    document = Document(
        id=f"d-{name}", tenant="t", source=f"file:///home/{name}.md", sha256="", size_bytes=1, media_type="text/plain",
        title=name, label="public", readers=Readers(level=Level.PUBLIC), added_unix_ms=0,
    )  # fmt: skip
    number = list(TEXTS).index(name) * 10 + (start > 0)
    return Passage(chunk_id=number, document=document, start=start, end=end, text=text[start:end], vector_score=cosine)


class Searcher:
    def __init__(self, found: Mapping[str, Sequence[Passage]], clock: Clock, *, support: float | None = None) -> None:
        self.found = found
        self.clock = clock
        self.support = support

    async def search(self, query: VaultQuery) -> Found:
        self.clock.now_s += 0.005
        return Found(passages=tuple(self.found.get(query.text, ())), support=self.support)


async def text_of(document: str) -> str | None:
    return TEXTS[document.removeprefix("d-")]


def asked(found: Sequence[Passage], *relevant: Wanted, support: float | None = None) -> Outcome:
    clock = Clock()
    measuring = Measuring(vault="archive", reader=READER, texts=text_of, clock=clock)
    searcher = Searcher({"q": found}, clock, support=support)
    question = VaultQuestion(text="q", relevant=relevant)
    return asyncio.run(measuring.ask(searcher, question, owed_s=lambda: 0.0))


def test_documents_are_counted_once_by_their_first_passage() -> None:
    found = asked([passage("cat"), passage("lease"), passage("lease", 10), passage("pump")], Wanted(source="pump.md"))
    assert found.ndcg == pytest.approx(1 / math.log2(4))
    assert found.recall == (0.0, 1.0, 1.0)
    assert found.took_ms == pytest.approx(5.0)
    assert found.cited is None


def test_a_document_is_meant_by_its_id_its_title_or_the_end_of_its_path() -> None:
    for wanted in (Wanted(document="d-pump"), Wanted(source="pump"), Wanted(source="home/pump.md")):
        assert asked([passage("pump")], wanted).ndcg == 1.0
    for wanted in (Wanted(document="pump"), Wanted(source="ump.md"), Wanted(source="")):
        assert asked([passage("pump")], wanted).ndcg == 0.0


def test_a_citation_is_right_where_it_holds_a_part_of_the_quote_whatever_its_blanks() -> None:
    wanted = Wanted(source="lease.md", quote="tenant pays for the pump")
    assert asked([passage("lease")], wanted).cited == 1.0
    assert asked([passage("lease", 0, 22)], wanted).cited == 0.0
    assert asked([passage("lease", 0, 22), passage("lease", 22)], wanted).cited == 0.5
    assert asked([passage("cat")], wanted).cited == 0.0
    assert asked([passage("lease")], replace(wanted, quote="tenant never pays")).cited == 0.0


def test_support_is_the_search_s_own_probability_else_the_best_cosine() -> None:
    assert asked([passage("cat", cosine=0.7), passage("pump", cosine=0.8)]).support == 0.8
    assert asked([passage("cat", cosine=0.7)], support=0.3).support == 0.3
    assert asked([]).support == 0.0


def outcome(support: float, *, answerable: bool, calibrated: bool = False) -> Outcome:
    return Outcome(is_answerable=answerable, support=support, is_calibrated=calibrated)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.booleans()), max_size=30))
def test_the_area_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[float, bool]]) -> None:
    outcomes = [outcome(support, answerable=answerable) for support, answerable in pairs]
    yes, no = ([each.support for each in outcomes if each.is_answerable is kind] for kind in (True, False))
    right = [1.0 if a > b else 0.5 if a == b else 0.0 for a in yes for b in no]
    assert auc(outcomes) == pytest.approx(sum(right) / len(right) if right else 0.5)


def test_abstention_is_measured_at_the_vault_s_own_threshold_or_at_the_best_one() -> None:
    outcomes = [outcome(each, answerable=True) for each in (0.6, 0.7, 0.9)]
    outcomes += [outcome(each, answerable=False) for each in (0.1, 0.2, 0.65)]
    found = figures_of(outcomes, support_at=0.5)
    assert not found.is_calibrated
    assert found.threshold == 0.6
    assert found.figures["abstained"].value == pytest.approx(2 / 3)
    assert found.figures["answered"].value == 1.0
    own = figures_of([replace(each, is_calibrated=True) for each in outcomes], support_at=0.8)
    assert (own.is_calibrated, own.threshold) == (True, 0.8)
    assert own.figures["abstained"].value == 1.0
    assert own.figures["answered"].value == pytest.approx(1 / 3)


def test_what_questions_say_nothing_about_is_not_told() -> None:
    found = figures_of([outcome(0.5, answerable=True)], support_at=0.5)
    assert set(found.figures) == {"ndcg@10", "recall@1", "recall@5", "recall@10"}


def test_latency_is_told_at_the_middle_and_at_the_end() -> None:
    outcomes = [replace(outcome(0.5, answerable=True), took_ms=float(at)) for at in range(1, 101)]
    found = figures_of(outcomes, support_at=0.5)
    assert (found.p50_ms, found.p95_ms) == (50.0, 95.0)


LINE = '{"question": "q", "relevant": [{"source": "a.md", "quote": "x"}], "answer": "y"}'


def test_questions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f'{LINE}\n\n{{"question": "nowhere", "relevant": []}}\n', encoding="utf-8")
    assert read_questions(path) == (
        VaultQuestion(text="q", relevant=(Wanted(source="a.md", quote="x"),), answer="y"),
        VaultQuestion(text="nowhere"),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Line 2"),
        ('{"question": "q"}', "relevant"),
        ('{"question": " ", "relevant": []}', "the question is empty"),
        ('{"question": "q", "relevant": [{"quote": "x"}]}', "either"),
        ('{"question": "q", "relevant": [{"source": "a", "document": "b"}]}', "either"),
        ('{"question": "q", "relevant": [{"sauce": "a"}]}', "sauce"),
    ],
)
def test_a_line_that_is_no_question_is_an_error_that_names_it(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"{LINE}\n{line}\n", encoding="utf-8")
    with pytest.raises(VaultQuestionsInvalid, match="Line 2") as caught:
        read_questions(path)
    assert reason in str(caught.value)


def test_a_file_of_nothing_and_no_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(VaultQuestionsInvalid):
        read_questions(tmp_path / "empty")
    for name in ("bytes", "none"):
        with pytest.raises(VaultQuestionsMissing):
            read_questions(tmp_path / name)


QUESTIONS = tuple(VaultQuestion(text=name, relevant=(Wanted(source=name),)) for name in TEXTS)


class Store:
    """Words find the wrong document first, vectors the right one."""

    async def search_words(self, text: str, **_: object) -> Sequence[Hit]:
        others = [passage(name).chunk_id for name in TEXTS if name != text]
        return [Hit(chunk_id=others[0], score=9.0), Hit(chunk_id=passage(text).chunk_id, score=5.0)]

    async def search_vectors(self, vector: bytes, **_: object) -> Sequence[Hit]:
        return [Hit(chunk_id=passage(vector.decode()).chunk_id, score=0.9)]

    async def passages(self, chunk_ids: Sequence[int], **_: object) -> Sequence[Passage]:
        return [passage(list(TEXTS)[each // 10]) for each in chunk_ids]


class Embedding:
    model, dimensions = "m", 1

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked = 0

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [each.encode() for each in texts]

    async def query(self, text: str) -> bytes:
        self.asked += 1
        self.clock.now_s += 1.0
        return text.encode()


def test_the_way_that_finds_more_is_chosen() -> None:
    clock = Clock()
    models = Remembering(embedder=Embedding(clock), ranker=None, clock=clock)
    present = SearchSettings(words=1.0)
    found = asyncio.run(judged(QUESTIONS, Store(), reader=READER, present=present, models=models))
    tuned = best(found * 10, present=present)
    assert tuned.pays
    assert tuned.after == 1.0 > tuned.before
    assert chosen(present, tuned.choice, ranker="").words < 1.0


class Ranking:
    """Knows which is right, and refuses one question."""

    model = "r"

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        if question == "cat":
            raise VaultRankerUnfit(model=self.model)
        return [float(text == TEXTS[question]) for text in texts]


def test_a_question_that_the_reranker_refuses_is_chosen_on_without_it() -> None:
    clock = Clock()
    models = Remembering(embedder=None, ranker=Ranking(), clock=clock)
    present = SearchSettings(words=1.0)
    found = asyncio.run(judged(QUESTIONS, Store(), reader=READER, present=present, models=models))
    assert [bool(each.reranked) for each in found] == [name != "cat" for name in TEXTS]
    tuned = best(found * 10, present=present)
    assert tuned.pays
    assert chosen(present, tuned.choice, ranker="r").reranker == "r"


def test_ways_are_compared_and_an_answer_that_was_kept_costs_what_it_had_cost() -> None:
    clock = Clock()
    embedding = Embedding(clock)
    models = Remembering(embedder=embedding, ranker=None, clock=clock)
    assert models.embedder is not None
    embedder = models.embedder

    class Both:
        async def search(self, query: VaultQuery) -> Found:
            await embedder.query(query.text)
            return Found(passages=(passage(query.text),))

    measuring = Measuring(vault="archive", reader=READER, texts=text_of, clock=clock)
    present = SearchSettings(embedder="m")

    async def whole() -> list[Compared]:
        settings = ways(present, vectors=True, ranker="r")
        return [
            each
            async for each in compare(
                QUESTIONS, settings, search_with=lambda _: Both(), measuring=measuring, saved_s=models.saved_s
            )
        ]

    found = asyncio.run(whole())
    assert [each.name for each in found] == [
        "words", "vectors", "minmax 0.3", "minmax 0.5", "minmax 0.7", "rrf 0.5", "minmax 0.5, reranked",
    ]  # fmt: skip
    assert embedding.asked == len(QUESTIONS)
    assert [each.figures.p50_ms for each in found] == pytest.approx([1_000.0] * len(found))
    assert name_of_present(present, vectors=True) == "minmax 0.5"
    assert name_of_present(present, vectors=False) == "words"


def compared(value: float) -> Compared:
    outcomes = tuple(Outcome(is_answerable=True, ndcg=value if at % 2 else 1.0) for at in range(40))
    return Compared(
        name="words", settings=SearchSettings(), figures=figures_of(outcomes, support_at=0.5), outcomes=outcomes
    )


def test_a_figure_that_fell_beyond_its_interval_is_told_and_nothing_else(tmp_path: Path) -> None:
    digest = digest_of(QUESTIONS)
    before, slightly, far = (
        report_of([compared(value)], vault="archive", questions=digest, count=3, present="words")
        for value in (0.6, 0.58, 0.1)
    )
    path = tmp_path / "kept.json"
    path.write_bytes(encoded(before))
    kept = read_report(path, questions=digest)
    assert falls(before, kept) == falls(slightly, kept) == ()
    (fall,) = falls(far, kept)
    assert (fall.figure, fall.was, fall.now) == ("ndcg@10", pytest.approx(0.8), pytest.approx(0.55))
    with pytest.raises(VaultComparedInvalid, match="other questions"):
        read_report(path, questions=digest_of(QUESTIONS[:2]))
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(VaultComparedInvalid):
        read_report(path, questions=digest)
