"""Learning from answers, end to end: a gateway as a process, scripted servers behind it."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import eventually
from tests.support.site import Site, site

MORE = """
[routes.shadowed]
deployments = ["small", "large"]
shadow_share = 1.0
[deployments.cloud]
engine = "openai"
model = "scripted-cloud"
zone = "world"
base_url = "https://cloud.invalid/v1"
clearance = "public"
[routes.to-cloud]
deployments = ["small", "cloud", "large"]
shadow_share = 1.0
[routes.only-cloud]
deployments = ["small", "cloud"]
shadow_share = 1.0
[tenants.silent]
label = "internal"
learn = false
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("learning"), more=MORE) as running:
        yield running


@pytest.fixture(scope="module")
def theirs(house: Site) -> str:
    return house.gateway.new_key(tenant="other")[0]


def call(house: Site, verb: str, path: str, *, key: str | None = None, **body: Any) -> Any:
    with house.gateway.http(key) as client:
        return client.request(verb, path, json=body or None)


def outcomes(house: Site, **how: str) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in how.items())
    return house.gateway.get(f"/v1/admin/outcomes?{query}")["data"]


def outcomes_of(house: Site, receipt: str) -> dict[str, dict[str, Any]]:
    """By deployment, once they are there."""

    def look() -> dict[str, dict[str, Any]]:
        return {each["deployment"]: each for each in outcomes(house) if each["request_id"] == receipt}

    return eventually(look, what=f"outcomes of {receipt}")


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["freehold_code"]


def test_feedback_goes_to_the_answer_and_is_the_tenants_own(house: Site, theirs: str) -> None:
    reply = house.ask("say:blue", model="shadowed")
    receipt = reply.headers["freehold-receipt"]
    said = call(house, "POST", "/v1/feedback", receipt=receipt, right=False)
    assert said.json() == {"object": "feedback", "receipt": receipt, "right": False, "kind": "feedback"}
    found = outcomes_of(house, receipt)["small"]
    assert (found["right"], found["label_kind"], found["answered"], found["workload"]) == (
        False, "feedback", True, "general",
    )  # fmt: skip
    assert "blue" not in json.dumps(found)
    again = call(house, "POST", "/v1/feedback", request_id=receipt, rating="up", kind="gold")
    assert again.status_code == 200
    assert outcomes_of(house, receipt)["small"]["label_kind"] == "gold"
    by_name = call(house, "POST", "/v1/feedback", response_id=reply.parse().id, right=True)
    assert by_name.json()["receipt"] == receipt
    other = call(house, "POST", "/v1/feedback", key=theirs, receipt=receipt, right=True)
    assert code(other) == (404, "FH-FEEDBACK-001")


def test_an_escalated_answer_is_labelled_by_the_stronger_one(house: Site) -> None:
    agreed = house.ask("say:17", model="auto").headers["freehold-receipt"]
    found = outcomes_of(house, agreed)
    assert (found["small"]["accepted"], found["small"]["right"], found["small"]["label_kind"]) == (
        False, False, "agreement",
    )  # fmt: skip
    assert (found["small"]["judged_by"], found["small"]["sought"]) == ("large", 1.0)
    assert (found["large"]["right"], found["large"]["answered"]) == (None, True)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_passes_through_leaves_no_outcome(house: Site, *, stream: bool) -> None:
    reply = house.ask("hello", model="plain", stream=stream)
    if stream:
        list(reply.parse())
    assert code(call(house, "POST", "/v1/feedback", receipt=reply.headers["freehold-receipt"], right=True)) == (
        404, "FH-FEEDBACK-001",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"right": True}, "receipt"),
        ({"receipt": "a", "response_id": "b", "right": True}, "response_id"),
        ({"receipt": "a"}, "right"),
        ({"receipt": "a", "right": True, "rating": "up"}, "right"),
        ({"receipt": "a", "rating": "sideways"}, "rating"),
        ({"receipt": "a", "right": 1}, "right"),
        ({"receipt": "a", "right": True, "king": "gold"}, "king"),
    ],
)
def test_feedback_that_says_nothing_is_refused(house: Site, body: dict[str, Any], field: str) -> None:
    reply = call(house, "POST", "/v1/feedback", **body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)


def shadow_of(house: Site, receipt: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = house.gateway.get("/v1/receipts?limit=50")["data"]
        return next((each for each in found if each["for_request"] == receipt), None)

    return eventually(look, what=f"the shadow of {receipt}")


def test_a_shadow_labels_what_was_accepted(house: Site) -> None:
    receipt = house.ask("say:green", model="shadowed").headers["freehold-receipt"]
    shadow = shadow_of(house, receipt)
    assert (shadow["purpose"], shadow["answered_by"], shadow["tenant"]) == ("shadow", "large", "default")
    assert shadow["label"]["level"] == "internal"
    found = eventually(
        lambda: [each for each in outcomes(house, labelled="true") if each["request_id"] == receipt], what="its label"
    )[0]
    assert (found["deployment"], found["right"], found["label_kind"]) == ("small", False, "agreement")
    assert (found["sought"], found["judged_by"], found["accepted"]) == (1.0, "large", True)


def test_a_shadow_goes_nowhere_its_request_may_not_go(house: Site) -> None:
    """The cloud comes next, and is for public texts only: the one after it is asked, or nobody is."""
    local = house.ask("say:red", model="to-cloud").headers["freehold-receipt"]
    assert shadow_of(house, local)["answered_by"] == "large"
    none = house.ask("say:red", model="only-cloud").headers["freehold-receipt"]
    confidential = {"freehold-label": "confidential"}  # which large is not cleared for
    narrow = house.ask("say:red", model="shadowed", extra_headers=confidential).headers["freehold-receipt"]
    later = house.ask("say:red", model="shadowed").headers["freehold-receipt"]
    shadow_of(house, later)  # whatever was offered before has been asked by then
    found = house.gateway.get("/v1/receipts?limit=100")["data"]
    assert not [each for each in found if each["for_request"] in {none, narrow}]
    assert not [each for each in found if "cloud" in [attempt["deployment"] for attempt in each["attempts"]]]
    assert {each["bytes_left"] for each in found if each["purpose"] == "shadow"} != {0}  # the LAN is beyond this device


def test_nothing_is_learnt_from_a_tenant_that_does_not_want_it(house: Site) -> None:
    key = house.gateway.new_key(tenant="silent")[0]
    messages = [{"role": "user", "content": "say:red"}]
    reply = call(house, "POST", "/v1/chat/completions", key=key, model="shadowed", messages=messages)
    said = call(house, "POST", "/v1/feedback", key=key, receipt=reply.headers["freehold-receipt"], right=True)
    assert code(said) == (409, "FH-FEEDBACK-002")
    shadow_of(house, house.ask("say:red", model="shadowed").headers["freehold-receipt"])
    assert outcomes(house, tenant="silent") == []


def test_a_gold_question_labels_every_answer_to_it(house: Site) -> None:
    question = {"prompt": "say:Paris", "grade": "contains", "answers": ["Paris"]}
    asked = call(house, "POST", "/v1/gold", model="auto", question=question)
    assert asked.status_code == 200, asked.text
    rights = {each["deployment"]: each["right"] for each in asked.json()["outcomes"]}
    assert rights == {"small": True, "large": False}
    found = outcomes_of(house, asked.json()["receipt"])
    assert {each["label_kind"] for each in found.values()} == {"gold"}
    assert house.gateway.receipt(asked.json()["receipt"])["purpose"] == "gold"
    assert call(house, "POST", "/v1/gold", model="plain", question=question).status_code == 200
    bad = call(house, "POST", "/v1/gold", model="auto", question={"prompt": "x"})
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "question")


def test_a_tenant_is_erased_and_only_by_who_manages_it(house: Site, theirs: str) -> None:
    messages = [{"role": "user", "content": "say:red"}]
    reply = call(house, "POST", "/v1/chat/completions", key=theirs, model="auto", messages=messages)
    outcomes_of(house, reply.headers["freehold-receipt"])
    manager, _ = house.gateway.new_key(tenant="default", scopes=("manage",))
    assert call(house, "DELETE", "/v1/admin/outcomes?tenant=other", key=manager).status_code == 404
    assert call(house, "DELETE", "/v1/admin/outcomes?tenant=other", key=theirs).status_code == 403
    assert call(house, "DELETE", "/v1/admin/outcomes").status_code == 400
    assert len(outcomes(house, tenant="other")) > 0
    erased = call(house, "DELETE", "/v1/admin/outcomes?tenant=other").json()
    assert erased["outcomes"] > 0
    assert outcomes(house, tenant="other") == []
    assert len(outcomes(house)) > 0


def test_no_text_is_kept_with_outcomes(house: Site) -> None:
    receipt = house.ask("say:peculiarity", model="shadowed").headers["freehold-receipt"]
    shadow_of(house, receipt)
    outcomes_of(house, receipt)
    for path in house.gateway.data.glob("freehold.db*"):
        assert b"peculiarity" not in path.read_bytes()
    assert Path(house.gateway.data / "freehold.db").is_file()


def test_metrics_count_shadows(house: Site) -> None:
    text = call(house, "GET", "/metrics").text
    assert 'freehold_shadows_total{deployment="large",what="asked"}' in text
    assert 'freehold_certificate_alarms{deployment="small"} 0' in text
