"""Searching a real store: words and vectors, what the question narrows it to, neighbours, budgets, and readers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.vault import VaultError, VaultUnknown
from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Filters, Found, Reader, Readers, SearchSettings, VaultQuery, vector_bytes
from freehold.domain.vault_ports import VaultStore
from freehold.vault.search import VaultSearch
from tests.support.vaults import DIMENSIONS, MODEL, Made, made, with_store

ANA = Reader(tenant="home", names=frozenset({"user:ana"}))
HIDDEN = Readers(level=Level.RESTRICTED, names=frozenset({"user:bo"}))


class Points:
    """An embedder that knows a few texts."""

    model = MODEL
    dimensions = DIMENSIONS

    def __init__(self, at: Mapping[str, int] | None = None, *, fails: bool = False) -> None:
        self._at = at or {}
        self._fails = fails

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [axis(self._at.get(text, 0)) for text in texts]

    async def query(self, text: str) -> bytes:
        if self._fails:
            raise VaultUnknown(vault="v", tenant="t", known="none")
        return axis(self._at.get(text, 0))


class Prefers:
    """A reranker that likes texts with one word in them."""

    model = "prefers"

    def __init__(self, word: str, *, fails: bool = False) -> None:
        self._word = word
        self._fails = fails

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        if self._fails:
            raise VaultUnknown(vault="v", tenant="t", known="none")
        return [0.9 if self._word in text else 0.1 for text in texts]


def axis(place: int) -> bytes:
    return vector_bytes([1.0 if place == at else 0.0 for at in range(DIMENSIONS)])


def points(*places: int) -> list[list[float]]:
    return [[1.0 if place == at else 0.0 for at in range(DIMENSIONS)] for place in places]


def asked(
    path: Path,
    documents: Sequence[Made],
    text: str,
    *,
    embedder: Points | None = None,
    ranker: Prefers | None = None,
    settings: SearchSettings | None = None,
    vectors: bool = True,
    **query: object,
) -> Found:
    async def use(store: VaultStore) -> Found:
        for each in documents:
            await each.into(store, vectors=vectors)
        search = VaultSearch(store, embedder=embedder, ranker=ranker, settings=settings or SearchSettings())
        return await search.search(replace(VaultQuery(vault="archive", text=text, reader=ANA), **query))

    path.mkdir(exist_ok=True)
    return with_store(path / "vault", use)


def texts(found: Found) -> list[str]:
    return [each.text for each in found.passages]


def test_words_find_and_a_better_vector_decides(tmp_path: Path) -> None:
    documents = [
        made("a", "the lease ends in May", vectors=points(1)),
        made("b", "the lease ends in June", vectors=points(2)),
        made("c", "nothing of that kind", vectors=points(3)),
    ]
    found = asked(tmp_path, documents, "when does the lease end", embedder=Points({"when does the lease end": 2}))
    assert found.passages[0].text == "the lease ends in June"
    assert found.passages[0].vector_score == pytest.approx(1.0)
    assert found.passages[0].words_score > 0
    assert all(0.0 <= each.score <= 1.0 for each in found.passages)
    assert found.support is None


def test_vectors_find_what_has_none_of_the_words(tmp_path: Path) -> None:
    documents = [made("a", "Mietvertrag", vectors=points(1)), made("b", "Kochbuch", vectors=points(2))]
    found = asked(tmp_path, documents, "tenancy agreement", embedder=Points({"tenancy agreement": 1}))
    assert texts(found)[0] == "Mietvertrag"


@pytest.mark.parametrize("vectors", [True, False])
def test_without_an_embedder_words_answer(tmp_path: Path, *, vectors: bool) -> None:
    found = asked(tmp_path, [made("a", "the lease ends in May")], "lease", vectors=vectors)
    assert texts(found) == ["the lease ends in May"]


def test_a_failing_embedder_is_told_once_and_words_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def use(store: VaultStore) -> list[Found]:
        await made("a", "the lease ends in May").into(store)
        search = VaultSearch(store, embedder=Points(fails=True), ranker=Prefers("May", fails=True))
        query = VaultQuery(vault="archive", text="secret lease", reader=ANA)
        return [await search.search(query), await search.search(query)]

    with caplog.at_level(logging.WARNING, "freehold.vault"):
        first, second = with_store(tmp_path / "vault", use)
    assert texts(first) == texts(second) == ["the lease ends in May"]
    assert len(caplog.records) == 2
    assert "FH-VAULT-001" in caplog.text
    assert "secret" not in caplog.text


def test_a_reranker_orders_the_first_anew(tmp_path: Path) -> None:
    documents = [made("a", "lease lease lease"), made("b", "the lease of a boat and much more besides")]
    assert texts(asked(tmp_path / "1", documents, "lease"))[0] == "lease lease lease"
    found = asked(tmp_path / "2", documents, "lease", ranker=Prefers("boat"))
    assert "boat" in texts(found)[0]
    assert found.passages[0].score > found.passages[1].score


def test_neighbours_that_were_both_found_are_one_passage(tmp_path: Path) -> None:
    documents = [
        made("a", "rent is due monthly", "rent is paid by wire", "cats are allowed"),
        made("b", "rent of a car"),
    ]
    found = asked(tmp_path, documents, "rent")
    joined = next(each for each in found.passages if each.document.id == "a")
    assert joined.text == "rent is due monthly\nrent is paid by wire"
    assert (joined.start, joined.end, joined.page) == (0, len(joined.text), 1)
    assert len(found.passages) == 2


def test_a_text_that_became_stricter_meanwhile_does_not_go_by_its_older_label(tmp_path: Path) -> None:
    before = made("a", "rent is due monthly", "rent is paid by wire")
    stricter = replace(HIDDEN, names=None)
    after = made("a", "rent: 4200 in secret", "rent goes to Panama", readers=stricter, sha256="another")

    async def use(store: VaultStore) -> Found:
        await before.into(store)
        read = store.text

        async def changed_first(document_id: str, *, reader: Reader) -> str | None:
            await after.into(store)
            return await read(document_id, reader=reader)

        store.text = changed_first
        return await VaultSearch(store).search(VaultQuery(vault="archive", text="rent", reader=ANA))

    found = with_store(tmp_path / "vault", use)
    assert not any("4200" in each.text or "Panama" in each.text for each in found.passages)


def test_limit_and_budget_hold(tmp_path: Path) -> None:
    documents = [made(f"d{at}", "rent " + "x" * 100 + str(at)) for at in range(9)]
    found = asked(tmp_path / "1", documents, "rent", limit=3)
    assert len(found.passages) == 3
    found = asked(tmp_path / "2", documents, "rent", limit=9, characters_max=250)
    assert sum(len(each.text) for each in found.passages) <= 250
    assert len(found.passages) == 2
    found = asked(tmp_path / "3", documents, "rent", limit=9, characters_max=10)
    assert len(found.passages) == 1


@pytest.mark.parametrize("text", ["", "  ", "?", "zebra"])
def test_nothing_asked_or_nothing_like_it_is_nothing_found(tmp_path: Path, text: str) -> None:
    assert not asked(tmp_path, [made("a", "rent")], text).passages


@pytest.mark.parametrize("characters_max", [0, 60])
def test_what_may_not_be_read_changes_nothing(tmp_path: Path, characters_max: int) -> None:
    seen = [made("a", "Acme pays rent", title="lease"), made("b", "Bolt pays rent", title="lease")]
    hidden = [made(f"h{at}", "Acme rent rent", title="Acme 2019.pdf", author="Acme", readers=HIDDEN) for at in range(3)]
    question = "What rent does Acme pay, by Acme, in Acme 2019.pdf?"
    alone = asked(tmp_path / "1", seen, question, characters_max=characters_max)
    beside = asked(tmp_path / "2", [hidden[0], *seen, *hidden[1:]], question, characters_max=characters_max)
    strip = [(each.document.id, each.text, each.score, each.words_score) for each in alone.passages]
    assert strip == [(each.document.id, each.text, each.score, each.words_score) for each in beside.passages]
    assert alone.filters == beside.filters == ANYTHING


def test_a_company_and_a_year_narrow_to_its_report(tmp_path: Path) -> None:
    body = "revenue was {} million"
    documents = [
        made(f"{name}{year}", body.format(year), title=f"{name} annual report {year}")
        for name in ("Acme", "Bolt")
        for year in (2019, 2020)
    ]
    found = asked(tmp_path, documents, "What was the revenue of Acme in 2019?")
    assert [each.document.id for each in found.passages] == ["Acme2019"]
    assert found.filters.sources == ("Acme",)
    assert found.filters.documents == ("Acme2019",)


@pytest.mark.parametrize(
    ("question", "narrowed"),
    [
        ("rent in the 2020 report of Acme", ["Acme2020"]),
        ("rent of Acme and Bolt in 2019", ["Acme2019", "Bolt2019"]),
        ("rent of Acme", []),
        ("rent of Acme in 2018", []),
        ('rent in "Acme annual report 2020"', ["Acme2020"]),
        ("rent in Acme annual report", []),
    ],
)
def test_only_what_surely_means_some_documents_narrows(tmp_path: Path, question: str, narrowed: list[str]) -> None:
    documents = [
        made(f"{name}{year}", "the rent was high", title=f"{name} annual report {year}")
        for name in ("Acme", "Bolt")
        for year in (2019, 2020)
    ]
    found = asked(tmp_path, documents, question)
    assert {each.document.id for each in found.passages} == set(narrowed or (each.document.id for each in documents))
    assert sorted(found.filters.documents) == narrowed


def test_a_word_that_stands_in_a_title_too_loses_no_answer(tmp_path: Path) -> None:
    documents = [
        made("titled", "DNA damage stops the cell cycle", title="DNA damage in yeast"),
        made("untitled", "damage of DNA stops the cycle of a cell", title="Checkpoints"),
    ]
    for question in (
        "DNA damage stops the cell cycle.",
        "In 2019, DNA damage stopped the cell cycle.",
        'the "DNA damage"',
    ):
        path = tmp_path / str(len(question))
        found = asked(path, documents, question)
        plain = asked(path.with_suffix(".plain"), documents, question, infer_filters=False)
        assert found.passages == plain.passages
        assert {each.document.id for each in found.passages} == {"titled", "untitled"}


def test_the_file_that_is_named_is_searched(tmp_path: Path) -> None:
    documents = [made("a", "rent is 5", title="lease-2023.pdf"), made("b", "rent rent is 7", title="other.pdf")]
    found = asked(tmp_path, documents, "what is the rent in lease-2023.pdf?")
    assert [each.document.id for each in found.passages] == ["a"]


def test_narrowing_is_left_where_it_would_lose_the_answer(tmp_path: Path) -> None:
    documents = [
        made("trip", "sunny weather all week", title="Paris trip"),
        made("law", "the treaty of Paris ended the war of independence", title="history"),
    ]
    found = asked(tmp_path, documents, "Which war did the treaty of Paris end?")
    assert found.passages[0].document.id == "law"
    assert found.filters == ANYTHING


def test_narrowing_is_not_done_where_it_is_not_wanted(tmp_path: Path) -> None:
    documents = [made("a", "rent is 5", title="lease.pdf"), made("b", "rent is 7", title="other.pdf")]
    found = asked(tmp_path, documents, "rent in lease.pdf", infer_filters=False)
    assert len(found.passages) == 2
    assert found.filters == ANYTHING


def test_given_filters_hold_whatever_the_question_says(tmp_path: Path) -> None:
    documents = [made("a", "rent is 5", title="lease.pdf"), made("b", "rent is 7", title="other.pdf")]
    found = asked(tmp_path, documents, "rent in lease.pdf", filters=Filters(sources=("other",)))
    assert [each.document.id for each in found.passages] == ["b"]
    assert found.filters == Filters(sources=("other",))


def test_errors_of_the_store_pass(tmp_path: Path) -> None:
    class Short(Points):
        async def query(self, text: str) -> bytes:
            return vector_bytes([1.0])

    with pytest.raises(VaultError):
        asked(tmp_path, [made("a", "rent")], "rent", embedder=Short())


def test_within_a_budget_the_part_that_answers_is_given(tmp_path: Path) -> None:
    filler = "Nothing of note happened on that day in the village. " * 12
    documents = [
        made("a", f"{filler}The lease of the mill ends in May. {filler}"),
        made("b", f"{filler}The lease was old."),
    ]
    (found, *others) = asked(tmp_path, documents, "When does the lease of the mill end?", characters_max=700).passages
    assert "mill ends in May" in found.text
    assert len(found.text) <= 600
    assert found.text == documents[0].text[found.start : found.end]
    assert sum(len(each.text) for each in (found, *others)) <= 700


def test_documents_that_are_passed_over_make_room_for_those_of_further_ranks(tmp_path: Path) -> None:
    closed = Readers(level=Level.CONFIDENTIAL)
    documents = [
        *(made(f"c{n}", f"the lease ends in May {n}", vectors=points(1), readers=closed) for n in range(110)),
        *(made(f"s{n}", f"the lease ends in June {n}", vectors=points(2)) for n in range(4)),
        *(made(f"p{n}", f"a lease may end {n}", vectors=points(3)) for n in range(3)),
    ]

    async def use(store: VaultStore) -> None:
        for each in documents:
            await each.into(store)
        search = VaultSearch(store, embedder=Points({"lease ends": 1}))
        query = VaultQuery(vault="archive", text="lease ends", reader=ANA, limit=3)

        async def ids(**more: object) -> set[str]:
            return {each.document.id for each in (await search.search(replace(query, **more))).passages}

        assert {each[0] for each in await ids()} == {"c"}
        cleared = replace(ANA, clearance=Level.PUBLIC)
        assert {each[0] for each in await ids(reader=cleared)} == {"s"}
        over = frozenset(f"s{n}" for n in range(4))
        assert await ids(reader=cleared, without=over) == {"p0", "p1", "p2"}

    with_store(tmp_path / "vault", use)
