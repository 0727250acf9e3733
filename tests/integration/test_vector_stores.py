"""Vaults as OpenAI's vector stores, asked by OpenAI's own client."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError, PermissionDeniedError

from freehold.domain.errors.vault import VaultUploadsFull
from freehold.domain.identity import Reads
from freehold.domain.labels import Level
from freehold.domain.vault import Readers
from tests.support.asgi_clients import openai_client
from tests.support.inside import Inside, inside


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as running:
        desk = running.desk
        desk.put("archive", "the plan by ana", title="ana.txt", tenant="ours",
                 readers=Readers(level=Level.CONFIDENTIAL, names=frozenset({"user:ana"}), owner="user:ana"))  # fmt: skip
        desk.put("archive", "the plan of all", title="all.txt", tenant="ours", readers=Readers(level=Level.INTERNAL))
        yield running


def client(gateway: Inside, user: str) -> Any:
    return openai_client(gateway, gateway.key("ours", "infer", reads=Reads(user=user))[0])


def listed(gateway: Inside, asked: Any) -> list[Any]:
    async def all_of_it() -> list[Any]:
        return [each async for each in asked]

    return gateway.run(all_of_it())


def searched(gateway: Inside, user: str, query: Any = "plan", **more: Any) -> list[Any]:
    return listed(gateway, client(gateway, user).vector_stores.search("archive", query=query, **more))


def test_stores_are_listed_and_shown_with_the_callers_counts(gateway: Inside) -> None:
    for user, files in (("ana", 2), ("bo", 1)):
        (store,) = listed(gateway, client(gateway, user).vector_stores.list())
        assert (store.id, store.name, store.status, store.file_counts.total) == (
            "archive",
            "archive",
            "completed",
            files,
        )
        assert gateway.run(client(gateway, user).vector_stores.retrieve("archive")) == store
        assert store.usage_bytes == 15 * files
        counts = store.file_counts
        assert (counts.completed, counts.failed, counts.in_progress) == (files, 0, 0)


def test_a_search_finds_what_its_reader_may_read(gateway: Inside) -> None:
    assert sorted(each.filename for each in searched(gateway, "ana")) == ["all.txt", "ana.txt"]
    (hit,) = searched(gateway, "bo")
    assert (hit.filename, hit.content[0].text, hit.score) == ("all.txt", "the plan of all", 1.0)
    assert hit.attributes["label"] == "internal"
    assert (hit.attributes["page"], hit.attributes["trusted"]) == (1.0, False)
    assert sorted(each.filename for each in searched(gateway, "ana", ["the", "plan"])) == ["all.txt", "ana.txt"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"type": "eq", "key": "author", "value": "Ana"}, ["ana.txt"]),
        ({"type": "in", "key": "filename", "value": ["all", "none"]}, ["all.txt"]),
        ({"type": "gte", "key": "written", "value": "2027-01-01"}, []),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "lte", "key": "written", "value": "2026-12-31"},
                    {"type": "gte", "key": "written", "value": "2026-01-01"},
                ],
            },
            ["all.txt", "ana.txt"],
        ),
    ],
)
def test_filters_hold(gateway: Inside, filters: Any, names: list[str]) -> None:
    assert sorted(each.filename for each in searched(gateway, "ana", filters=filters)) == names


@pytest.mark.parametrize(
    "filters",
    [
        {"type": "ne", "key": "author", "value": "Ana"},
        {"type": "eq", "key": "salary", "value": "x"},
        {"type": "eq", "key": "author", "value": 5},
        {"type": "gt", "key": "written", "value": "2026-01-01"},
        {"type": "eq", "key": "written", "value": "2026"},
        {"type": "or", "filters": [{"type": "eq", "key": "author", "value": "Ana"}]},
        {"type": "and", "filters": []},
        {"type": "and", "filters": ["x"]},
        {"type": "and", "filters": [{"type": "eq", "key": "author", "value": "a"}] * 2},
    ],
)
def test_a_filter_that_would_be_ignored_is_refused(gateway: Inside, filters: Any) -> None:
    with pytest.raises(BadRequestError):
        searched(gateway, "ana", filters=filters)


def test_weak_hits_are_left_out(gateway: Inside) -> None:
    both = searched(gateway, "ana", "plan ana")
    assert sorted(each.score for each in both) == [0.5, 1.0]
    (one,) = searched(gateway, "ana", "plan ana", ranking_options={"score_threshold": 0.6})
    assert one.filename == "ana.txt"


def test_a_file_is_attached_listed_read_and_removed(gateway: Inside) -> None:
    ana, bo = client(gateway, "ana"), client(gateway, "bo")
    file = gateway.run(ana.files.create(file=("new.txt", b"another plan"), purpose="assistants"))
    made = gateway.run(ana.vector_stores.files.create("archive", file_id=file.id))
    assert (made.id, made.status, made.vector_store_id) == (file.id, "completed", "archive")
    again = gateway.run(ana.vector_stores.files.retrieve(file.id, vector_store_id="archive"))
    assert again.id == file.id
    names = [each.attributes["title"] for each in listed(gateway, ana.vector_stores.files.list("archive", limit=1))]
    assert sorted(names) == ["all.txt", "ana.txt", "new.txt"]
    assert len(listed(gateway, bo.vector_stores.files.list("archive"))) == 1
    (content,) = listed(gateway, ana.vector_stores.files.content(file.id, vector_store_id="archive"))
    assert content.text == "another plan"
    for ask in (bo.vector_stores.files.retrieve, bo.vector_stores.files.delete):
        with pytest.raises(NotFoundError):
            gateway.run(ask(file.id, vector_store_id="archive"))
    gone = gateway.run(ana.vector_stores.files.delete(file.id, vector_store_id="archive"))
    assert (gone.id, gone.deleted) == (file.id, True)
    with pytest.raises(NotFoundError):
        gateway.run(ana.vector_stores.files.retrieve(file.id, vector_store_id="archive"))
    assert gateway.run(ana.files.retrieve(file.id)).id == file.id


def test_what_another_made_of_the_same_file_stays_its_own(gateway: Inside) -> None:
    ana, bo = client(gateway, "ana"), client(gateway, "bo")
    file = gateway.run(ana.files.create(file=("shared.txt", b"one plan"), purpose="user_data"))
    for each in (ana, bo):
        gateway.run(each.vector_stores.files.create("archive", file_id=file.id))
    gateway.run(bo.vector_stores.files.delete(file.id, vector_store_id="archive"))
    assert gateway.run(ana.vector_stores.files.retrieve(file.id, vector_store_id="archive")).id == file.id
    gateway.run(ana.vector_stores.files.delete(file.id, vector_store_id="archive"))


def test_what_is_not_done_is_said(gateway: Inside) -> None:
    ana = client(gateway, "ana")
    with pytest.raises(BadRequestError, match=r"made in the configuration"):
        gateway.run(ana.vector_stores.create(name="mine"))
    for file_id in ("file-" + "0" * 32, "nothing"):
        with pytest.raises(BadRequestError, match="no file of yours"):
            gateway.run(ana.vector_stores.files.create("archive", file_id=file_id))
    with pytest.raises(APIStatusError, match="documents are listed by id"):
        listed(gateway, ana.vector_stores.files.list("archive", order="desc"))
    theirs = openai_client(gateway, gateway.key("theirs", "infer")[0])
    file = gateway.run(theirs.files.create(file=("x.txt", b"x"), purpose="assistants"))
    with pytest.raises(BadRequestError, match="no file of yours"):
        gateway.run(ana.vector_stores.files.create("archive", file_id=file.id))


def test_who_is_not_the_owner_removes_nothing(gateway: Inside) -> None:
    everybodys = next(each for each in listed(gateway, client(gateway, "bo").vector_stores.files.list("archive")))
    with pytest.raises(PermissionDeniedError):
        gateway.run(client(gateway, "bo").vector_stores.files.delete(everybodys.id, vector_store_id="archive"))


def test_a_file_for_which_there_is_no_room_stays_among_the_files(gateway: Inside) -> None:
    ana = client(gateway, "ana")
    file = gateway.run(ana.files.create(file=("new.txt", b"another plan"), purpose="assistants"))
    gateway.desk.fails = VaultUploadsFull(tenant="ours", limit="2,000", used="1,234", needed="12")
    try:
        with pytest.raises(APIStatusError) as caught:
            gateway.run(ana.vector_stores.files.create("archive", file_id=file.id))
    finally:
        gateway.desk.fails = None
    assert (caught.value.status_code, caught.value.code) == (413, "FH-VAULT-083")
    assert "1,234" not in str(caught.value)
    assert gateway.run(ana.files.retrieve(file.id)).id == file.id
    assert gateway.run(ana.vector_stores.files.create("archive", file_id=file.id)).status == "completed"
