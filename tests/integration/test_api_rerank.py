"""``/v1/rerank`` end to end, in front of a server that reranks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.openai_server import OpenAIServer
from tests.support.site import Site, site
from tests.support.upstream import in_thread

RANKS = """
[deployments.ranks]
engine = "openai"
model = "scripted-ranks"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
reranks = true
"""
DOCUMENTS = ["a", {"text": "abc", "title": "t"}, "ab"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with (
        in_thread(OpenAIServer()) as server,
        site(tmp_path_factory.mktemp("rerank"), more=RANKS.format(base_url=server.base_url)) as running,
    ):
        running.large = server
        yield running


def rank(house: Site, *, path: str = "/v1/rerank", headers: dict[str, str] | None = None, **members: Any) -> Any:
    body = {"model": "ranks", "query": "which?", "documents": DOCUMENTS, **members}
    with house.gateway.http() as client:
        return client.post(path, json=body, headers=headers)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_wherever_clients_look_for_it(house: Site, path: str) -> None:
    reply = rank(house, path=path)
    answer = reply.json()
    assert [each["index"] for each in answer["results"]] == [1, 2, 0]
    assert (answer["id"], answer["model"]) == (reply.headers["freehold-receipt"], "ranks")
    assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_it_leaves_a_receipt_as_any_inference(house: Site) -> None:
    reply = rank(house)
    assert reply.headers["freehold-deployment"] == "ranks"
    receipt = house.receipt_of(reply)
    assert (receipt["task"], receipt["outcome"]) == ("rerank", "complete")
    attempt = receipt["attempts"][0]
    assert attempt["usage"]["input_tokens"] == 9
    assert attempt["bytes_left"] == len(house.large.exchanges[-1].raw) > 0
    assert attempt["egress_index"] is not None


def test_a_server_gets_texts_and_what_the_client_sent_besides(house: Site) -> None:
    answer = rank(house, top_n=2, return_documents=True, max_tokens_per_doc=7, priority=1).json()
    assert [each["document"] for each in answer["results"]] == [DOCUMENTS[1], {"text": "ab"}]
    sent = house.large.exchanges[-1].body
    assert sent["documents"] == ["a", "abc", "ab"]
    assert (sent["model"], sent["query"], sent["return_documents"]) == ("scripted-ranks", "which?", False)
    assert (sent["top_n"], sent["max_tokens_per_doc"], sent["priority"]) == (2, 7, 1)


def test_the_label_holds_for_it_too(house: Site) -> None:
    sent = len(house.large.exchanges)
    reply = rank(house, headers={"freehold-label": "restricted"})
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (403, "FH-POLICY-001")
    assert len(house.large.exchanges) == sent


def test_refusals(house: Site) -> None:
    assert rank(house, model="plain").json()["error"]["freehold_code"] == "FH-REQUEST-006"
    wrong = rank(house, documents=["a", 5]).json()["error"]
    assert (wrong["freehold_code"], wrong["param"]) == ("FH-REQUEST-002", "documents[1]")
    with house.gateway.http() as client:
        body = {"model": "ranks", "messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/chat/completions", json=body).json()["error"]["freehold_code"] == "FH-REQUEST-006"
    with house.gateway.http("") as nobody:
        assert nobody.post("/v1/rerank", json={}).status_code == 401


def test_a_server_that_forgets_documents_is_not_believed(house: Site) -> None:
    reply = rank(house, query="half")
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (502, "FH-UPSTREAM-002")
    assert "1 of 3 documents" in reply.json()["error"]["message"]


def test_a_server_that_fails_is_told_of_in_its_own_words(house: Site) -> None:
    reply = rank(house, query="500")
    assert (reply.status_code, reply.json()["error"]["source"]) == (500, "ranks")


def test_the_list_of_models_knows_what_it_is_for(house: Site) -> None:
    with house.gateway.http() as client:
        assert client.post("/api/show", json={"model": "ranks"}).json()["capabilities"] == ["rerank"]
