"""A gateway with a real vault, jail and encrypted file: what one user adds over the API, another does not find."""

from __future__ import annotations

from pathlib import Path

from freehold.domain.identity import Reads
from tests.support.inside import inside


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
