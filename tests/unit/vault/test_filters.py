"""What a question says of the documents that it means."""

from __future__ import annotations

import pytest

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Document, Filters, Readers
from freehold.vault.filters import Meant, both, meant_by, narrowed_to_years


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


def test_a_year_narrows_by_title_and_not_by_the_day_of_writing() -> None:
    named = [document("a", "Acme 2019", "2020-02-01"), document("b", "Acme 2020", "2021-02-01")]
    acme = Filters(sources=("Acme",))
    assert narrowed_to_years(acme, named, ("2020",)).documents == ("b",)
    assert narrowed_to_years(acme, named, ("2018",)) == acme
    assert narrowed_to_years(acme, named[:1], ("2019",)) == acme


def test_given_filters_are_kept_and_never_mixed_with_others_of_their_kind() -> None:
    given = Filters(sources=("x",))
    assert both(given, Filters(authors=("y",))) == Filters(sources=("x",), authors=("y",))
    assert both(given, Filters(sources=("y",))) is None
    assert both(given, ANYTHING) == given
