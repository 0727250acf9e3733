"""Releases and publications over HTTP, against a whole gateway: who may, what goes, once, and what the record says."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from freehold.domain.receipt import AuditRecord
from tests.support.inside import Answer, Inside, inside
from tests.support.objects import NEVER

RELEASES = "/v1/admin/releases"
CHAT: dict[str, object] = {"model": "plain", "messages": [{"role": "user", "content": "say hello"}]}
CONFIDENTIAL = {"freehold-label": "confidential"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as running:
        yield running


@pytest.fixture
def recorded(gateway: Inside) -> Generator[list[AuditRecord]]:
    """What goes into the audit log."""
    with gateway.noting() as found:
        yield found


def ask(gateway: Inside, key: str, **changes: object) -> Answer:
    return gateway.ask("POST", "/v1/chat/completions", key=key, body={**CHAT, **changes}, headers=CONFIDENTIAL)


def refused_receipt(gateway: Inside, key: str, **changes: object) -> str:
    answer = ask(gateway, key, **changes)
    assert (answer.status, answer.code) == (403, "FH-POLICY-001")
    return dict(answer.headers)["freehold-receipt"]


def request(gateway: Inside, key: str, **members: object) -> Answer:
    return gateway.ask("POST", RELEASES, key=key, body={"to": "small", "reason": "the client asked for it", **members})


def approve(gateway: Inside, key: str, release_id: str, **members: object) -> Answer:
    return gateway.ask("POST", f"{RELEASES}/{release_id}/approve", key=key, body=members)


def keys(gateway: Inside) -> tuple[str, str, str]:
    """Of who asks models, who asks for releases, and who approves them."""
    return gateway.key("ours", "infer")[0], gateway.key("ours", "manage")[0], gateway.key("ours", "manage")[0]


def approved(gateway: Inside, **changes: object) -> tuple[str, dict[str, Any]]:
    """A release for one body, and the key that may send it."""
    user, asks, approves = keys(gateway)
    made = request(gateway, asks, receipt=refused_receipt(gateway, user, **changes))
    assert made.status == 201, made.body
    done = approve(gateway, approves, made.json()["id"])
    assert done.status == 200, done.body
    return user, done.json()


def receipt_of(gateway: Inside, key: str, answer: Answer) -> dict[str, Any]:
    return gateway.ask("GET", f"/v1/receipts/{dict(answer.headers)['freehold-receipt']}", key=key).json()


def test_one_body_goes_to_one_deployment_once_and_the_record_says_so(
    gateway: Inside, recorded: list[AuditRecord]
) -> None:
    user, asks, approves = keys(gateway)
    receipt = refused_receipt(gateway, user, seed=1)
    asked_for = request(gateway, asks, receipt=receipt)
    assert asked_for.status == 201, asked_for.body
    made = asked_for.json()
    assert (made["state"], made["label"], made["rules"]) == ("waiting", "confidential;zones=lan", ["level"])
    assert made["expires_unix_ms"] - made["requested_unix_ms"] == 8 * 3600 * 1000
    assert ask(gateway, user, seed=1).status == 403, "nobody has approved it"
    done = approve(gateway, approves, made["id"]).json()
    assert done["state"] == "approved"
    assert done["approved_by"] != done["requested_by"]

    assert ask(gateway, user, seed=2).status == 403, "another body"
    assert ask(gateway, user, seed=1, user="x").status == 403, "one member more"
    answer = ask(gateway, user, seed=1)
    assert answer.status == 200, answer.body
    decision = receipt_of(gateway, user, answer)["decisions"][0]
    assert (decision["allowed"], decision["rules"]) == (True, [f"release:{made['id']}"])
    assert done["approved_by"] in decision["reasons"][0]
    again = ask(gateway, user, seed=1)
    assert (again.status, again.code) == (403, "FH-POLICY-001"), "it was used"

    assert "release.use" in [each.event for each in recorded], "at once, whenever the others are swept"
    gateway.sweep()
    # By name: the house sweeps too, at any moment of all this.
    events = sorted(
        (each for each in recorded if each.detail.get("release") == made["id"]), key=lambda each: each.event
    )
    assert [each.event for each in events] == ["release.approve", "release.request", "release.use"]
    used = events[2]
    assert used.request_id == dict(answer.headers)["freehold-receipt"]
    assert used.detail["body_commit"] == events[1].detail["body_commit"]
    intents = [each for each in recorded if each.event == "egress.intent" and each.request_id == used.request_id]
    assert [each.detail["rules"] for each in intents] == [[f"release:{made['id']}"]]
    assert recorded.index(used) < recorded.index(intents[0]), "it is used up on record before anything may leave"
    assert "client asked" not in json.dumps([each.detail for each in events]), "words of people stay out of the log"
    shown = gateway.ask("GET", f"{RELEASES}/{made['id']}", key=asks).json()
    assert (shown["state"], shown["used_by"]) == ("used", used.request_id)


def test_a_stream_goes_by_a_release_too_and_a_named_deployment_like_its_route(gateway: Inside) -> None:
    user, release = approved(gateway, stream=True, seed=11)
    answer = ask(gateway, user, stream=True, seed=11, model="small")
    assert answer.status == 200
    assert b"[DONE]" in answer.body
    assert ask(gateway, user, stream=True, seed=11).status == 403, release["id"]


def test_a_stricter_label_than_was_approved_is_not_released(gateway: Inside) -> None:
    user, _ = approved(gateway, seed=21)
    body = {**CHAT, "seed": 21}
    for label in ("restricted", "confidential;kinds=pii", "confidential;zones=lan;readers=ann"):
        answer = gateway.ask("POST", "/v1/chat/completions", key=user, body=body, headers={"freehold-label": label})
        assert (answer.status, answer.code) == (403, "FH-POLICY-001"), label
    assert ask(gateway, user, seed=21).status == 200


def test_a_release_is_no_other_tenants(gateway: Inside) -> None:
    approved(gateway, seed=31)
    theirs = gateway.key("theirs", "infer")[0]
    assert ask(gateway, theirs, seed=31).status == 403


def test_a_body_in_a_file_is_released_byte_for_byte(gateway: Inside) -> None:
    user, asks, approves = keys(gateway)
    raw = b'{"model": "plain", "messages": [ {"role": "user", "content": "say h\\u0065llo"} ]}'
    members = b'{"to": "small", "reason": "r", "label": "confidential", "body": ' + raw + b"}"
    made = gateway.ask("POST", RELEASES, key=asks, body=members).json()
    other = approve(gateway, approves, made["id"], body={"model": "plain", "messages": []})
    assert other.status == 400 or other.code == "FH-RELEASE-003"
    wrong = b'{"body": ' + raw.replace(b"\\u0065", b"e") + b"}"
    assert gateway.ask("POST", f"{RELEASES}/{made['id']}/approve", key=approves, body=wrong).code == "FH-RELEASE-003"
    right = gateway.ask("POST", f"{RELEASES}/{made['id']}/approve", key=approves, body=b'{"body": ' + raw + b"}")
    assert right.status == 200, right.body

    def send(body: bytes) -> int:
        return gateway.ask("POST", "/v1/chat/completions", key=user, body=body, headers=CONFIDENTIAL).status

    assert send(raw.replace(b"\\u0065", b"e")) == 403, "the same values are not the same bytes"
    assert send(raw.replace(b"[ {", b"[{")) == 403
    assert send(raw) == 200


def test_who_asked_does_not_approve_from_confidential_on(gateway: Inside) -> None:
    user, asks, _ = keys(gateway)
    made = request(gateway, asks, receipt=refused_receipt(gateway, user, seed=41)).json()
    answer = approve(gateway, asks, made["id"])
    assert (answer.status, answer.code) == (409, "FH-RELEASE-003")
    old = gateway.stores.keys.list()
    asked_by = next(each for each in old if each.id == made["requested_by"])
    rotated, _ = gateway.stores.keys.rotate(asked_by.id, overlap_s=60)
    assert approve(gateway, rotated, made["id"]).code == "FH-RELEASE-003", "a rotated key is the same person"
    admin = gateway.key("theirs", "admin")[0]
    assert approve(gateway, admin, made["id"]).status == 200
    assert approve(gateway, admin, made["id"]).code == "FH-RELEASE-003", "twice"


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({}, 400, "FH-RELEASE-001"),
        ({"receipt": NEVER, "body": CHAT}, 400, "FH-RELEASE-001"),
        ({"receipt": NEVER}, 400, "FH-RELEASE-001"),
        ({"body": CHAT, "to": "nowhere"}, 400, "FH-RELEASE-001"),
        ({"body": CHAT}, 409, "FH-RELEASE-002"),
        ({"body": CHAT, "label": "confidential;kinds=secret"}, 409, "FH-RELEASE-002"),
        ({"body": CHAT, "label": "unheard-of"}, 400, "FH-POLICY-002"),
        ({"body": CHAT, "label": "confidential", "expires_s": 24 * 3600 + 1}, 400, "FH-REQUEST-002"),
        ({"body": CHAT, "label": "confidential", "reason": ""}, 400, "FH-REQUEST-002"),
        ({"body": CHAT, "endpoint": "/v1/other"}, 400, "FH-REQUEST-002"),
        ({"body": CHAT, "mistyped": 1}, 400, "FH-REQUEST-002"),
        ({"body": {"model": "plain"}}, 400, "FH-REQUEST-002"),
    ],
)
def test_what_cannot_be_asked_for(gateway: Inside, members: dict[str, object], status: int, code: str) -> None:
    answer = request(gateway, keys(gateway)[1], **members)
    assert (answer.status, answer.code) == (status, code), answer.body


def test_a_refused_request_of_another_tenant_is_as_one_that_never_was(gateway: Inside) -> None:
    user, asks, _ = keys(gateway)
    receipt = refused_receipt(gateway, user, seed=51)
    theirs = gateway.key("theirs", "manage")[0]
    assert request(gateway, theirs, receipt=receipt).code == "FH-RELEASE-001"
    assert request(gateway, asks, receipt=receipt).status == 201


def test_where_the_record_fails_nothing_goes_and_the_release_is_spent(
    gateway: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.domain.errors.audit import AuditUnwritable

    user, release = approved(gateway, seed=61)
    asked = len(gateway.upstream.exchanges)
    append = gateway.stores.audit.append

    def fails(*records: AuditRecord) -> int:
        if records[0].event == "release.use":
            raise AuditUnwritable(reason="disk full")
        return append(*records)

    monkeypatch.setattr(gateway.stores.audit, "append", fails)
    assert ask(gateway, user, seed=61).code == "FH-AUDIT-001"
    monkeypatch.undo()
    assert len(gateway.upstream.exchanges) == asked
    assert ask(gateway, user, seed=61).status == 403, release["id"]


# --- publish ------------------------------------------------------------------------------------------


def upload(gateway: Inside, key: str, label: str) -> str:
    form = b'--cut\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--cut\r\n\
Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--cut--\r\n'
    fields = {"Content-Type": "multipart/form-data; boundary=cut", "freehold-label": label}
    answer = gateway.ask("POST", "/v1/files", key=key, body=form, headers=fields)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def publish(gateway: Inside, key: str, file_id: str, label: str) -> Answer:
    body = {"label": label, "reason": "it was announced"}
    return gateway.ask("POST", f"/v1/admin/files/{file_id}/publish", key=key, body=body)


def label_of(gateway: Inside, key: str, file_id: str) -> str:
    return dict(gateway.ask("GET", f"/v1/files/{file_id}", key=key).headers)["freehold-label"]


def test_an_owner_publishes_a_file(gateway: Inside, recorded: list[AuditRecord]) -> None:
    user, owner, _ = keys(gateway)
    file_id = upload(gateway, user, "confidential")
    answer = publish(gateway, owner, file_id, "public")
    assert (answer.status, answer.json()["state"]) == (200, "published")
    assert label_of(gateway, user, file_id) == "public;zones=world"
    gateway.sweep()
    (event,) = [each for each in recorded if each.event == "publish" and each.detail["file"] == file_id]
    assert (event.detail["label_in"], event.detail["label_out"]) == ("confidential;zones=lan", "public;zones=world")
    assert "announced" not in json.dumps(event.detail)


def test_a_restricted_file_takes_two_owners(gateway: Inside, recorded: list[AuditRecord]) -> None:
    user, first, second = keys(gateway)
    file_id = upload(gateway, user, "restricted")
    for _ in range(2):
        answer = publish(gateway, first, file_id, "internal")
        assert (answer.status, answer.json()["state"]) == (202, "waiting"), "asking twice makes nobody two"
    assert publish(gateway, second, file_id, "public").json()["state"] == "waiting", "another label"
    assert label_of(gateway, user, file_id) == "restricted;zones=device"
    assert publish(gateway, first, file_id, "public").json()["state"] == "published"
    assert label_of(gateway, user, file_id) == "public;zones=world"
    gateway.sweep()
    events = [each for each in recorded if each.detail.get("file") == file_id]
    assert [each.event for each in events] == ["publish.request", "publish.request", "publish"]
    assert events[-1].detail["first"] == gateway.stores.keys.line_of(events[1].detail["by"])


def test_raising_a_restricted_files_label_takes_one(gateway: Inside) -> None:
    user, owner, _ = keys(gateway)
    file_id = upload(gateway, user, "restricted")
    assert publish(gateway, owner, file_id, "restricted;kinds=pii").json()["state"] == "published"


def test_secrets_are_never_published_and_admins_of_other_tenants_own_nothing(gateway: Inside) -> None:
    user, owner, _ = keys(gateway)
    file_id = upload(gateway, user, "internal;kinds=secret")
    assert publish(gateway, owner, file_id, "internal").code == "FH-RELEASE-005"
    plain = upload(gateway, user, "confidential")
    assert publish(gateway, gateway.key("theirs", "admin")[0], plain, "public").status == 404
    assert publish(gateway, user, plain, "public").code == "FH-AUTH-003"
    assert publish(gateway, owner, plain, "unheard-of").code == "FH-POLICY-002"
    assert label_of(gateway, user, plain) == "confidential;zones=lan"
