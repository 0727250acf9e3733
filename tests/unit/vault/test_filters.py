"""What a question says of the documents that it means."""

from __future__ import annotations

import json

import pytest

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Document, Filters, Readers
from freehold.vault.filters import Meant, both, meant_by, titled
from tests.support.shared_data import shared_data


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("What was the revenue of Acme Corp. in 2019?", Meant(names=("Acme Corp",), years=("2019",))),
        ("what does lease-2023.pdf say about rent", Meant(files=("lease-2023.pdf",))),
        ("Which letters did Anna Schmidt's bank send?", Meant(names=("Anna Schmidt",))),
        ("notes by Anna Schmidt on heat pumps", Meant(authors=("Anna Schmidt",))),
        ('find "heat pump manual"', Meant(names=("heat pump manual",))),
        ("contracts signed in 2021", Meant(written_from="2021-01-01", written_to="2021-12-31")),
        ("letters dated 2021-03", Meant(written_from="2021-03-01", written_to="2021-03-31")),
        ("mails received after 2021-03-04", Meant(written_from="2021-03-04")),
        ("mails received before 2021", Meant(written_to="2021-01-01")),
        ("Was it in Paris? Who was in London.", Meant(names=("Paris", "London"))),
        ("что сказала Анна Иванова о доме", Meant(names=("Анна Иванова",))),
        ("Incidence fell in Kenya at last. Deaths too.", Meant(names=("Kenya",))),
        ("IBM grew. Mc2 grew", Meant(names=("IBM",))),
        ("Bank of Scotland", Meant(names=("Bank of Scotland",))),
        ("how do heat pumps work", Meant()),
        ("it cost 2019.50 or 1,2019", Meant()),
        ("What is it?", Meant()),
        ("", Meant()),
    ],
)
def test_what_is_taken_from_a_question(question: str, meant: Meant) -> None:
    assert meant_by(question) == meant
    assert meant.anything == (meant != Meant())


def document(name: str, title: str, written: str = "") -> Document:
    return Document(
        id=name, tenant="t", source=f"upload:{name}", sha256="", size_bytes=1, media_type="text/plain", title=title,
        label="public", readers=Readers(level=Level.PUBLIC), added_unix_ms=0, written=written,
    )  # fmt: skip


def test_a_year_counts_by_title_and_not_by_the_day_of_writing() -> None:
    named = [document("a", "Acme 2019", "2020-02-01"), document("b", "Acme_FY2020", "2021-02-01")]
    assert titled(named, "Acme", ("2020",)) == ("b",)
    assert titled(named, "Acme", ("2020", "2019")) == ("a", "b")
    assert titled(named, "Acme", ("2018",)) == titled(named, "Acme", ()) == ()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Lease of the mill", "lease of the mill"),
        ("Lease of the Mill.pdf", "Lease of the Mill"),
    ],
)
def test_a_title_that_is_named_whole_counts(title: str, name: str) -> None:
    assert titled([document("a", title), document("b", f"{title} and more")], name, ()) == ("a",)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("DNA repair in mice", "DNA"),
        ("Paris", "Paris"),
        ("Heat shock protein of yeast", "Heat shock"),
        ("industry report 2019", "Us"),
        ("Pineapple 2019", "Apple"),
        ("Acme 12019", "Acme"),
    ],
)
def test_what_only_stands_in_a_title_does_not_count(title: str, name: str) -> None:
    assert not titled([document("a", title)], name, ("2019",))


def test_no_claim_of_scifact_narrows() -> None:
    folder = shared_data("vault", "scifact")
    rows = map(json.loads, (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines())
    documents = [document(row["_id"], row["title"]) for row in rows]
    titles = "\n".join(each.title.casefold() for each in documents)
    claims = [json.loads(line)["text"] for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(claims) > 1000
    for claim in claims:
        meant = meant_by(claim)
        for name in meant.names:
            if (meant.years or " " in name) and name.casefold() in titles:
                assert not titled(documents, name, meant.years), claim


def test_given_filters_are_kept_and_never_mixed_with_others_of_their_kind() -> None:
    given = Filters(sources=("x",))
    assert both(given, Filters(authors=("y",))) == Filters(sources=("x",), authors=("y",))
    assert both(given, Filters(sources=("y",))) is None
    assert both(given, ANYTHING) == given
