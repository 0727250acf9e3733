"""A folder labelled restricted, end to end: answered at home with a checked quote, on a route that prefers the cloud too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import InternalServerError, NotFoundError

from freehold.domain.vault import NOT_IN_DOCUMENTS
from freehold.vault.abstaining import RULE
from tests.models import starter_model
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread

pytest.importorskip("apsw", reason="the extra vault is not installed")

CONTRACT = "The Alder contract ends on 3 May 2031. Its yearly price is 41,250 euros.\n"
CANTEEN = "The canteen opens at noon on weekdays.\n"
QUESTION = "On which day does the Alder contract end?"
BOTH = "What opens at noon on weekdays, and on which day does the contract end?"
SECRET = b"41,250"
RUMOUR = "The mayor of the town sings at night [1]. Everybody hears him."

CONFIG = """
[server]
port = 0
[tenants.default]
label = "public"
[tenants.other]
label = "public"
[deployments.cloud]
engine = "openai"
model = "scripted-cloud"
zone = "lan"
base_url = "{cloud}"
clearance = "confidential"
[deployments.home]
{home}
[routes.cloud-first]
deployments = ["cloud", "home"]
uncalibrated = "accept"
[routes.at-home]
deployments = ["home"]
[routes.grounded]
deployments = ["cloud", "home"]
vault = "archive"
when_vault_forbids = "leave_out"
[vaults.archive]
embedder = "none"
reranker = "none"
[vaults.archive.folders.contracts]
path = "{folder}/contracts"
label = "restricted"
[vaults.archive.folders.office]
path = "{folder}/office"
[vaults.theirs]
tenants = ["other"]
embedder = "none"
"""
SCRIPTED = 'engine = "openai"\nmodel = "scripted-home"\nzone = "device"\nbase_url = "{home}"\nslots = 1'


class ReadingServer(OpenAIServer):
    """Answers with the first sentence of the first document, as a quote with its number; and with one that it made up.

    Asked for a rumour it says what is in no document.
    """

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        found = re.search(r"<document [^>]*>\n(.*?\.)", mode)
        if "rumour" in mode:
            found, mode = None, f"say:{RUMOUR}"
        said = f'say:It says "{found[1]}" [1]. They add "nobody ever pays for anything".' if found else mode
        await super()._complete(exchange, said)


@dataclass
class Archive:
    """A gateway with two folders of documents."""

    gateway: Gateway
    cloud: OpenAIServer
    home: OpenAIServer

    def ask(self, question: str, *, model: str, key: str = "", **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """An answer and its receipt; none for who asks with another key."""
        client = self.gateway.openai(key) if key else self.gateway.openai()
        messages: Any = [{"role": "user", "content": question}]
        reply = client.chat.completions.with_raw_response.create(model=model, messages=messages, **more)
        receipt = {} if key else self.gateway.receipt(reply.headers["freehold-receipt"])
        return json.loads(reply.text), receipt


@contextmanager
def archive(folder: Path, home: str = SCRIPTED) -> Generator[Archive]:
    """Run it, until it has taken both folders in."""
    for name, text in (("contracts/alder.txt", CONTRACT), ("office/canteen.txt", CANTEEN)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(text, "utf-8")
    with ExitStack() as servers:
        cloud, local = (servers.enter_context(in_thread(each)) for each in (OpenAIServer(), ReadingServer()))
        config = CONFIG.format(cloud=cloud.base_url, home=home.format(home=local.base_url), folder=folder)
        found = Archive(servers.enter_context(running(config, folder)), cloud, local)

        def is_taken_in() -> bool:
            _, receipt = found.ask(BOTH, model="at-home", extra_body={"vault": True}, max_tokens=1)
            return len(receipt["retrieved"]["documents"]) == len(("alder", "canteen"))

        eventually(is_taken_in, within_s=60.0, what="the folders' documents")
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Archive]:
    with archive(tmp_path_factory.mktemp("archive")) as found:
        yield found


def nothing_left(site: Archive) -> bool:
    return not any(
        SECRET in exchange.raw or b"Alder contract ends" in exchange.raw for exchange in site.cloud.exchanges
    )


@pytest.mark.parametrize("model", ["at-home", "cloud-first"])
def test_a_question_about_a_restricted_folder_is_answered_at_home_with_its_source(site: Archive, model: str) -> None:
    answer, receipt = site.ask(QUESTION, model=model, extra_body={"vault": "archive"})
    text = answer["choices"][0]["message"]["content"]
    assert '"The Alder contract ends on 3 May 2031."' in text
    assert "[1]" in text
    assert '"nobody ever pays' not in text
    (citation, *_) = answer["vault"]["citations"]
    assert citation["quote"] == "The Alder contract ends on 3 May 2031."
    assert CONTRACT[citation["start"] : citation["end"]] == citation["quote"]
    assert answer["choices"][0]["message"]["annotations"][0]["file_citation"]["filename"] == citation["title"]
    assert receipt["answered_by"] == "home"
    assert receipt["bytes_left"] == 0
    assert receipt["label"]["level"] == "restricted"
    caused = [each["id"] for each in receipt["retrieved"]["documents"] if each["raised"]]
    assert caused == [citation["document_id"]]
    assert f"vault:{caused[0]}" in [source["rule"] for source in receipt["label_sources"]]
    assert nothing_left(site)


def test_without_documents_the_same_route_goes_to_the_cloud(site: Archive) -> None:
    _, receipt = site.ask(QUESTION, model="cloud-first")
    assert (receipt["answered_by"], receipt["retrieved"]) == ("cloud", None)


def test_a_route_that_leaves_out_what_may_not_leave_says_how_much(site: Archive) -> None:
    _, receipt = site.ask(BOTH, model="grounded")
    assert receipt["answered_by"] == "cloud"
    assert receipt["retrieved"]["left_out"] == {"restricted": 1}
    assert [each["raised"] for each in receipt["retrieved"]["documents"]] == [False]
    assert nothing_left(site)


def test_the_command_says_which_document_raised_the_label(site: Archive) -> None:
    _, receipt = site.ask(QUESTION, model="cloud-first", extra_body={"vault": True})
    command = [
        sys.executable, "-m", "freehold", "receipts", receipt["id"],
        "--url", site.gateway.base_url.removesuffix("/v1"), "--key-file", str(site.gateway.data / "first-key"),
    ]  # fmt: skip
    environment = {**os.environ, "FREEHOLD_HOME": str(site.gateway.data)}
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    (caused,) = [each["id"] for each in receipt["retrieved"]["documents"] if each["raised"]]
    assert f"1 of document {caused}: restricted;zones=device; it raised the label" in said.stdout, said.stderr


def test_another_key_of_the_tenant_is_given_no_proof_of_a_record_that_names_documents(site: Archive) -> None:
    _, receipt = site.ask(QUESTION, model="cloud-first", extra_body={"vault": True})
    (caused,) = [each["id"] for each in receipt["retrieved"]["documents"] if each["raised"]]
    path = f"/v1/receipts/{receipt['id']}"
    eventually(lambda: caused in ((site.gateway.get(path)["proof"] or {}).get("entry") or ""), what="its proof")
    key, _ = site.gateway.new_key(tenant="default")
    assert caused not in json.dumps(site.gateway.get(path, key=key))
    _, plain = site.ask(QUESTION, model="cloud-first")
    path = f"/v1/receipts/{plain['id']}"
    eventually(lambda: site.gateway.get(path, key=key)["proof"], what="the proof of one that names none")


def test_a_stream_through_openais_own_client_tells_of_search_and_citation(site: Archive) -> None:
    tool: Any = {"type": "file_search", "vector_store_ids": ["archive"], "max_num_results": 4}
    stream = site.gateway.openai().responses.create(
        model="cloud-first", input=QUESTION, tools=[tool], include=["file_search_call.results"], stream=True
    )
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds.index("response.file_search_call.completed") < kinds.index("response.output_text.delta")
    response = events[-1].response  # pyright: ignore[reportAttributeAccessIssue] - the last event of a stream has it
    call, message = response.output
    assert (call.type, call.status, call.queries) == ("file_search_call", "completed", [QUESTION])
    assert CONTRACT.strip() in call.results[0].text
    assert message.content[0].annotations[0].type == "file_citation"
    assert nothing_left(site)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"])
def test_a_stream_in_which_nothing_is_supported_says_so_in_every_dialect(site: Archive, path: str) -> None:
    asked = f"{QUESTION} Tell the rumour."
    body: dict[str, Any] = {"model": "at-home", "vault": "archive", "stream": True}
    body |= {"input": asked} if path == "/v1/responses" else {"messages": [{"role": "user", "content": asked}]}
    if path == "/v1/messages":
        body["max_tokens"] = 100
    with site.gateway.http() as client:
        reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    events = [line.removeprefix("data:").strip() for line in reply.text.splitlines()]
    told: dict[str, Any] = {}
    for event in events:
        if event.startswith("{"):
            told |= _vault_of(json.loads(event))
    assert "sings at night" in reply.text
    assert told["citations"] == []
    assert (told["claims"], told["supported"], len(told["unsupported"])) == (2, 0, 2)
    assert told["doubted"] is (told["support"] < RULE.unsupported_at)
    assert not told["abstained"]


def _vault_of(event: dict[str, Any]) -> dict[str, Any]:
    """What an event of any dialect tells of documents."""
    inner: dict[str, Any] = event.get("response") or event
    found: dict[str, Any] | None = inner.get("vault")
    return found or {}


def test_what_the_documents_do_not_say_is_said_so_and_asks_nobody(site: Archive) -> None:
    before = len(site.home.exchanges), len(site.cloud.exchanges)
    answer, receipt = site.ask("zzyzx qwfpg?", model="cloud-first", extra_body={"vault": True})
    assert answer["choices"][0]["message"]["content"] == NOT_IN_DOCUMENTS
    assert receipt["retrieved"]["abstained"]
    assert receipt["attempts"] == []
    assert (len(site.home.exchanges), len(site.cloud.exchanges)) == before


def test_a_vault_of_somebody_else_is_told_as_one_that_is_not_there(site: Archive) -> None:
    told: list[str] = []
    for name in ("theirs", "nothing"):
        with pytest.raises(NotFoundError) as refusal:
            site.ask(QUESTION, model="cloud-first", extra_body={"vault": name})
        told.append(refusal.value.message.replace(name, "NAME"))
    assert told[0] == told[1]
    assert "FH-VAULT-001" in str(refusal.value.body)


def test_documents_of_another_tenant_are_not_found(site: Archive) -> None:
    key, _ = site.gateway.new_key(tenant="other")
    answer, _ = site.ask(QUESTION, model="cloud-first", key=key, extra_body={"vault": True})
    assert answer["choices"][0]["message"]["content"] == NOT_IN_DOCUMENTS
    assert answer["vault"]["passages"] == []


def _waits(site: Archive, running: int, waiting: int) -> bool:
    (home,) = [each for each in site.gateway.get("/v1/admin/queue")["data"] if each["deployment"] == "home"]
    return (home["running"], home["waiting"]) == (running, waiting)


@pytest.mark.parametrize(
    ("method", "body"),
    [("DELETE", None), ("PATCH", {"readers": ["user:somebody"]}), ("PATCH", {"label": "restricted"}), ("PATCH", {})],
)
def test_what_is_closed_while_a_question_waits_is_in_no_prompt(site: Archive, method: str, body: Any) -> None:
    text = f"The heron {method.lower()}s on the roof {len(str(body))} times."
    with ThreadPoolExecutor(2) as pool, site.gateway.http() as client:
        added = client.post("/v1/vault/documents", json={"name": "heron.txt", "text": text, "everybody": True})
        document = added.json()["data"][0]["id"]
        site.home.release.clear()
        slow = pool.submit(site.ask, "slow", model="at-home", stream=False)
        try:
            eventually(lambda: _waits(site, 1, 0), what="one that runs")
            before = len(site.home.exchanges)
            messages = [{"role": "user", "content": f"How often is it so: {text}"}]
            asking = {"model": "at-home", "messages": messages, "vault": True}
            asked = pool.submit(client.post, "/v1/chat/completions", json=asking, timeout=30)
            eventually(lambda: _waits(site, 1, 1), what="one that waits")
            path = f"/v1/vault/documents/{document}"
            if body != {}:
                with site.gateway.http() as other:
                    assert other.request(method, path, json=body).status_code == 200
        finally:
            for _ in range(20):
                site.home.let_go()
                if slow.done():
                    break
                wait([slow], timeout=0.5)
        reply = asked.result()
        if body == {}:
            assert reply.status_code == 200
            return
        assert reply.status_code == 409, reply.text
        assert reply.json()["error"]["freehold_code"] == "FH-VAULT-091"
        assert not any(b"heron" in each.raw for each in site.home.exchanges[before:])
        receipt = site.gateway.receipt(reply.headers["freehold-receipt"])
        assert (receipt["outcome"], receipt["error_code"], receipt["bytes_left"]) == ("refused", "FH-VAULT-091", 0)


@pytest.mark.models
def test_the_starter_model_answers_from_the_folder_and_nothing_leaves(tmp_path: Path) -> None:
    path = starter_model("qwen2.5-coder-0.5b")
    with archive(tmp_path, f'engine = "embedded"\nmodel = "{path}"\ncontext_tokens = 2048') as site:
        answer, receipt = site.ask(
            QUESTION, model="cloud-first", extra_body={"vault": True}, max_tokens=60, temperature=0
        )
        assert "3 May" in answer["choices"][0]["message"]["content"]
        assert all(each["quote"] in CONTRACT + CANTEEN for each in answer["vault"]["citations"])
        assert answer["vault"]["citations"]
        assert receipt["answered_by"] == "home"
        assert any(each["raised"] for each in receipt["retrieved"]["documents"])
        assert not site.cloud.exchanges


def test_a_vault_that_cannot_be_opened_refuses_and_nothing_leaves(tmp_path: Path) -> None:
    with archive(tmp_path):
        pass
    (found,) = (tmp_path / "data" / "vaults").glob("archive.db")
    found.write_bytes(b"no vault at all" * 1_000)
    with ExitStack() as servers:
        cloud, home = (servers.enter_context(in_thread(each)) for each in (OpenAIServer(), ReadingServer()))
        config = CONFIG.format(cloud=cloud.base_url, home=SCRIPTED.format(home=home.base_url), folder=tmp_path)
        site = Archive(servers.enter_context(running(config, tmp_path)), cloud, home)
        messages: Any = [{"role": "user", "content": QUESTION}]
        with pytest.raises(InternalServerError) as refusal:
            site.gateway.openai().with_options(max_retries=0).chat.completions.create(
                model="cloud-first", messages=messages, extra_body={"vault": True}
            )
        assert "FH-VAULT-013" in str(refusal.value.body) or "FH-VAULT-010" in str(refusal.value.body)
        assert "Alder" not in str(refusal.value)
        assert not cloud.exchanges
        assert not home.exchanges
