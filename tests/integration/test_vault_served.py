"""A gateway with a real vault, jail and encrypted file: what one user adds over the API, another does not find."""

from __future__ import annotations

from pathlib import Path

from freehold.domain.identity import Reads
from tests.support.inside import CONFIG, inside


def test_what_is_added_over_the_api_is_found_by_its_readers_alone(tmp_path: Path) -> None:
    with inside(tmp_path, own_vaults=True) as gateway:
        ana, bo = (gateway.key("ours", "infer", reads=Reads(user=user))[0] for user in ("ana", "bo"))
        body = {"name": "note.txt", "text": "The salary of Ana is 4200 a month."}
        made = gateway.ask("POST", "/v1/vault/documents", key=ana, body=body)
        assert made.status == 201, made.body
        (document,) = made.json()["data"]
        assert document["readers"] == ["user:ana"]
        search = {"query": "salary of Ana"}
        for key, count in ((ana, 1), (bo, 0)):
            found = gateway.ask("POST", "/v1/vault/search", key=key, body=search).json()["data"]
            assert len(found) == count
            assert gateway.ask("GET", "/v1/vault", key=key).json()["data"][0]["documents"] == count
        path = f"/v1/vault/documents/{document['id']}"
        assert gateway.ask("GET", path, key=bo).status == 404
        assert gateway.ask("GET", f"{path}/content", key=ana).body.decode().strip() == body["text"]
        opened = gateway.ask("PATCH", path, key=ana, body={"readers": ["user:bo"]})
        assert opened.json()["readers"] == ["user:bo"]
        assert len(gateway.ask("POST", "/v1/vault/search", key=bo, body=search).json()["data"]) == 1
        assert gateway.ask("DELETE", path, key=ana).status == 200
        assert gateway.ask("GET", path, key=ana).status == 404


def seen(folder: Path, *, hidden: bool) -> list[object]:
    """What Ana is told of her three documents, with seven of Bo's around them or without."""
    with inside(folder, own_vaults=True) as gateway:
        ana, bo = (gateway.key("ours", "infer", reads=Reads(user=user))[0] for user in ("ana", "bo"))

        def add(key: str, name: str, text: str) -> None:
            answer = gateway.ask("POST", "/v1/vault/documents", key=key, body={"name": name, "text": text})
            assert answer.status == 201

        for number in range(6 if hidden else 0):
            add(bo, f"h{number}.txt", "salary salary plan merger secret " * (number + 1))
        add(ana, "a.txt", "the salary plan of the merger, and cake")
        add(ana, "b.txt", "cake and salary and more cake, the plan of ana " * 5)
        if hidden:
            add(bo, "z.txt", "cake cake cake plan")
        add(ana, "c.txt", "merger merger plan")
        told: list[object] = [gateway.ask("GET", "/v1/vault", key=ana).json()]
        for query in ("salary", "plan merger", "cake plan salary", "secret"):
            answer = gateway.ask("POST", "/v1/vault/search", key=ana, body={"query": query}).json()
            hits = [(each["title"], each["score"], each["start"], each["text"]) for each in answer["data"]]
            told.append((hits, answer["support"], answer["generation"], answer["label"], answer["filters"]))
        return told


def test_scores_and_order_are_those_of_a_house_without_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    assert seen(tmp_path / "with", hidden=True) == seen(tmp_path / "without", hidden=False)


def test_a_vault_that_is_searched_by_words_alone_waits_for_no_vectors(tmp_path: Path) -> None:
    vault = '\n[vaults.archive]\nembedder = "none"\nreranker = "none"\n'
    with inside(tmp_path, config=CONFIG + vault, own_vaults=True) as gateway:
        key = gateway.key("ours", "infer")[0]
        body = {"name": "note.txt", "text": "The heron stands on the roof."}
        assert gateway.ask("POST", "/v1/vault/documents", key=key, body=body).status == 201
        store = gateway.ask("GET", "/v1/vector_stores/archive", key=key).json()
        assert (store["status"], store["file_counts"]["completed"]) == ("completed", 1)
        assert gateway.ask("GET", "/v1/vault", key=key).json()["data"][0]["pending"] == 0
