"""Labels along the whole flow, through running gateways: restricted texts are known again, files and batches carry on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, PermissionDeniedError

from tests.support.made_documents import document
from tests.support.server import eventually
from tests.support.site import Site, site

GUID = "2096f6a2-d2f7-48be-b329-b73aaa526e5d"
MORE = f"""
[routes.inside]
deployments = ["small"]
label = "confidential;trusted=no"

[labels.mip]
"{GUID}" = "confidential;readers=team:hr"

[sources.legal]
match = "file:/legal/**"
label = "confidential;readers=team:legal"
[sources.hr]
match = "tool:salaries"
label = "confidential"
"""


def secret(seed: int) -> str:
    return " ".join(document(random.Random(seed), 3)[1:-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("flow"), more=MORE) as found:
        yield found


def rules(receipt: dict[str, Any]) -> list[str]:
    return [source["rule"] for source in receipt["label_sources"]]


def answered(home: Site, text: str, **more: Any) -> dict[str, Any]:
    return home.receipt_of(home.ask(f"say:{text}", **more))


def is_refused(home: Site, text: str) -> bool:
    """Whether a server that is cleared for internal texts only is kept from it."""
    before = len(home.large.exchanges)
    try:
        home.ask(f"say:{text}", model="large")
    except PermissionDeniedError:
        assert len(home.large.exchanges) == before
        return True
    return False


@pytest.mark.parametrize("stream", [False, True])
def test_a_restricted_answer_pasted_into_a_new_request_does_not_leave(home: Site, stream: bool) -> None:
    text = secret(1 + stream)
    assert not is_refused(home, text)
    reply = home.ask(f"say:{text}", stream=stream, extra_headers={"freehold-label": "confidential"})
    if stream:
        assert text in "".join(chunk.choices[0].delta.content or "" for chunk in reply.parse() if chunk.choices)
    first = home.receipt_of(reply)
    pasted = f"Summarise this:\n> {text.upper()}\nin one line."
    eventually(lambda: is_refused(home, pasted), what="the memory of the answer")
    refused = home.gateway.newest_receipt()
    assert f"memory:{first['id']}" in rules(refused)
    assert refused["bytes_left"] == 0
    assert rules(answered(home, pasted)) == ["tenant:default", f"memory:{first['id']}"]
    assert not is_refused(home, secret(100))


def test_another_tenant_is_told_nothing_of_it(home: Site) -> None:
    text = secret(3)
    answered(home, text, extra_headers={"freehold-label": "confidential"})
    eventually(lambda: is_refused(home, text), what="the memory of the answer")
    key, _ = home.gateway.new_key(tenant="other")
    messages = [{"role": "user", "content": f"say:{text}"}]
    reply = home.gateway.openai(key).chat.completions.create(model="large", messages=messages)  # pyright: ignore[reportArgumentType]
    assert reply.choices[0].message.content


def test_the_command_shows_every_source_and_the_audit_log_has_the_rules(home: Site) -> None:
    receipt = answered(home, f"mip:{GUID}")
    assert rules(receipt) == ["tenant:default", f"mip:{GUID}"]
    command = [
        sys.executable,
        "-m",
        "freehold",
        "receipts",
        receipt["id"],
        "--url",
        home.gateway.base_url.removesuffix("/v1"),
    ]
    environment = {**os.environ, "FREEHOLD_HOME": str(home.gateway.data)}
    said = subprocess.run(
        [*command, "--key-file", str(home.gateway.data / "first-key")],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip
    assert f"from marking (mip:{GUID}): confidential" in said.stdout, said.stderr
    entries = b"".join(path.read_bytes() for path in home.gateway.audit_folder.rglob("*") if path.is_file())
    assert f'"label_rules":["tenant:default","mip:{GUID}"]'.encode() in entries


def test_results_of_a_labelled_tool_stay(home: Site) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "salaries", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "user", "content": "who earns what?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Ann earns 5."},
    ]
    with pytest.raises(PermissionDeniedError):
        home.gateway.openai().chat.completions.create(model="large", messages=messages)
    assert "source:hr" in rules(home.gateway.newest_receipt())


def upload(home: Site, name: str, content: bytes, purpose: str = "user_data") -> tuple[str, str]:
    """Send a file; its id and label."""
    client = home.gateway.openai()
    file_id = client.files.create(file=(name, content), purpose=purpose).id  # pyright: ignore[reportArgumentType]
    return file_id, client.files.with_raw_response.content(file_id).headers["freehold-label"]


@pytest.mark.parametrize(
    ("name", "content", "label"),
    [
        ("notes.txt", b"nothing", "internal;zones=world"),
        ("legal/notes.txt", b"nothing", "confidential;zones=lan;readers=team:legal"),
        ("notes.txt", b"x" * 1_048_570 + b"\n STRENG VERTRAULICH \nmore", "restricted;zones=device"),
        ("mail.eml", f"msip_labels: MSIP_Label_{GUID}_Enabled=True".encode(), "confidential;zones=lan;readers=team:hr"),
        ("scan.pdf", b"%PDF\x00\x01", "confidential;zones=lan"),
        ("items.jsonl", json.dumps({"text": "one\nTLP:AMBER\ntwo"}).encode(), "confidential;zones=lan"),
    ],
)
def test_the_label_of_a_file_is_its_names_and_its_contents(home: Site, name: str, content: bytes, label: str) -> None:
    assert upload(home, name, content)[1] == label


def test_a_labelled_file_is_remembered_and_brings_its_label_where_it_is_named(home: Site) -> None:
    text = secret(5)
    file_id, _ = upload(home, "legal/contract.txt", text.encode())
    eventually(lambda: is_refused(home, text), what="the memory of the file")
    assert f"memory:{file_id}" in rules(home.gateway.newest_receipt())
    part = {"type": "file", "file": {"file_id": file_id}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "sum up"}, part]}]
    with pytest.raises(BadRequestError):  # no model here takes files; its label is known before that
        home.gateway.openai().chat.completions.create(model="large", messages=messages)
    assert f"file:{file_id}" in rules(home.gateway.newest_receipt())


def test_the_results_of_a_batch_carry_what_its_items_say_and_their_routes(home: Site) -> None:
    def item(name: str, text: str, model: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})

    client = home.gateway.openai()

    def label_of_results(*items: str) -> str:
        sent = client.files.create(file=("in.jsonl", "\n".join(items).encode()), purpose="batch")
        batch = client.batches.create(input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h")

        def over() -> str | None:
            return client.batches.retrieve(batch.id).output_file_id

        file_id = eventually(over, within_s=30, what="the end of the batch")
        return client.files.with_raw_response.content(file_id).headers["freehold-label"]

    assert label_of_results(item("a", "hello", "plain")) == "internal;zones=world"
    assert label_of_results(item("a", "hello", "inside")) == "confidential;zones=lan;trusted=no"
    remembered = secret(6)
    answered(home, remembered, extra_headers={"freehold-label": "confidential;readers=ann"})
    eventually(lambda: is_refused(home, remembered), what="the memory of the answer")
    assert label_of_results(item("a", f"say:{remembered}", "plain")) == "confidential;zones=lan;readers=ann"


def test_what_is_remembered_survives_a_restart_and_no_erasure(tmp_path: Path) -> None:
    text = secret(7)
    with site(tmp_path, more=MORE) as first:
        answered(first, text, extra_headers={"freehold-label": "confidential"})
    with site(tmp_path, more=MORE) as second:
        assert is_refused(second, text)
        database = second.gateway.data / "freehold.db"
        assert text[:40].encode() not in database.read_bytes()
        with second.gateway.http() as client:
            assert client.delete("/v1/admin/outcomes", params={"tenant": "default"}).status_code == 200
        assert not is_refused(second, text)
    with site(tmp_path, more=MORE) as third:
        assert not is_refused(third, text)


def test_workers_know_what_each_other_answered(tmp_path: Path) -> None:
    text = secret(8)
    with site(tmp_path, server="workers = 2", more=MORE) as found:
        answered(found, text, extra_headers={"freehold-label": "confidential"})
        row = 0

        def all_know() -> bool:
            nonlocal row
            row = row + 1 if is_refused(found, text) else 0
            found.gateway.close_clients()  # a new connection may come to the other worker
            return row >= 12

        eventually(all_know, within_s=20, what="the memory in both workers")
