"""Keys managed over HTTP: who may make, rotate and revoke which, and what the audit log says of it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.identity import Reads
from freehold.domain.labels import Level
from freehold.domain.receipt import AuditRecord
from freehold.identity.keys import KeyRing
from freehold.storage.keys import SqliteKeys
from tests.support.inside import Answer, Inside, inside
from tests.support.objects import NEVER

KEYS = "/v1/admin/keys"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as running:
        yield running


@pytest.fixture
def recorded(gateway: Inside) -> Generator[list[AuditRecord]]:
    """What goes into the audit log."""
    with gateway.noting() as found:
        yield found


def told(records: list[AuditRecord]) -> list[tuple[str, str, Any, Any]]:
    return [(each.event, each.tenant, each.detail["key"], each.detail["by"]) for each in records]


def works(gateway: Inside, secret: str) -> bool:
    return gateway.ask("GET", "/v1/receipts", key=secret).status == 200


def make(gateway: Inside, key: str, **body: object) -> dict[str, Any]:
    answer = gateway.ask("POST", KEYS, key=key, body={"name": "made", **body})
    assert answer.status == 201, answer.body
    return answer.json()


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def test_a_key_is_made_shown_once_rotated_and_revoked(gateway: Inside, recorded: list[AuditRecord]) -> None:
    manager, manager_id = gateway.key("ours", "infer", "manage")
    gateway.sweep()
    recorded.clear()
    answer = gateway.ask("POST", KEYS, key=manager, body={"name": "app", "label": "confidential", "expires_s": 3600})
    made = answer.json()
    assert dict(answer.headers)["cache-control"] == "no-store"
    assert made["expires_unix_ms"] - made["created_unix_ms"] == 3_600_000
    assert (made["tenant"], made["scopes"], made["label"], made["state"]) == ("ours", ["infer"], "confidential", "good")
    assert works(gateway, made["key"])
    shown = gateway.ask("GET", f"{KEYS}/{made['id']}", key=manager)
    assert shown.json() == {name: value for name, value in made.items() if name != "key"}
    assert made["key"].encode() not in gateway.ask("GET", KEYS, key=manager).raw + shown.raw

    rotated = gateway.ask("POST", f"{KEYS}/{made['id']}/rotate", key=manager, body={"overlap_s": 60})
    later = rotated.json()
    assert (rotated.status, dict(rotated.headers)["cache-control"]) == (201, "no-store")
    assert (later["follows"], later["line"], later["name"]) == (made["id"], made["id"], "app")
    assert works(gateway, made["key"])
    assert works(gateway, later["key"])

    ended = gateway.ask("DELETE", f"{KEYS}/{later['id']}", key=manager)
    assert (ended.status, ended.json()["state"]) == (200, "revoked")
    assert not works(gateway, later["key"])
    assert gateway.ask("DELETE", f"{KEYS}/{later['id']}", key=manager).body == ended.body
    gateway.sweep()
    assert told(recorded) == [
        ("key.made", "ours", made["id"], manager_id),
        ("key.rotated", "ours", later["id"], manager_id),
        ("key.revoked", "ours", later["id"], manager_id),
    ]
    secrets = [made["key"], later["key"], manager]
    assert not [each for each in secrets if each in json.dumps([record.detail for record in recorded])]


def test_a_leaked_key_is_rotated_without_overlap(gateway: Inside) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    made = make(gateway, manager)
    later = gateway.ask("POST", f"{KEYS}/{made['id']}/rotate", key=manager, body={"overlap_s": 0}).json()
    assert not works(gateway, made["key"])
    assert works(gateway, later["key"])
    again = gateway.ask("POST", f"{KEYS}/{made['id']}/rotate", key=manager)
    assert refused(again) == (409, "FH-AUTH-007")


@pytest.mark.parametrize(
    ("has", "asks"),
    [
        (("manage",), {"scopes": ["infer"]}),
        (("manage",), {}),
        (("manage",), {"scopes": ["admin"]}),
        (("infer", "manage"), {"scopes": ["manage", "admin"]}),
        (("infer", "manage"), {"tenant": "theirs"}),
        (("infer", "manage"), {"tenant": "no such tenant"}),
    ],
)
def test_a_manager_gives_nothing_that_it_does_not_have(
    gateway: Inside, recorded: list[AuditRecord], has: tuple[str, ...], asks: dict[str, object]
) -> None:
    manager, manager_id = gateway.key("ours", *has)
    gateway.sweep()
    recorded.clear()
    before = gateway.stores.keys.list()
    assert refused(gateway.ask("POST", KEYS, key=manager, body={"name": "x", **asks})) == (403, "FH-AUTH-005")
    assert gateway.stores.keys.list() == before
    assert told(recorded) == [("key.refused", "ours", "", manager_id)]


def test_which_tenants_there_are_is_not_told(gateway: Inside) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    answers = [
        gateway.ask("POST", KEYS, key=manager, body={"name": "x", "tenant": tenant}).json()["error"]["message"]
        for tenant in ("theirs", "never")
    ]
    assert answers[0] == answers[1]
    assert "theirs" not in answers[0]


def test_a_managers_own_label_is_the_least_that_it_gives(gateway: Inside) -> None:
    manager, _ = gateway.key("ours", "infer", "manage", label="confidential")
    for label in (None, "", "internal"):
        answer = gateway.ask("POST", KEYS, key=manager, body={"name": "x", "label": label})
        assert refused(answer) == (403, "FH-AUTH-005")
    assert make(gateway, manager, label="confidential")["label"] == "confidential"
    assert make(gateway, manager, label="restricted")["label"] == "restricted"
    _, plain_id = gateway.key("ours", "infer")
    answer = gateway.ask("POST", f"{KEYS}/{plain_id}/rotate", key=manager)
    assert refused(answer) == (403, "FH-AUTH-005")


def test_a_manager_does_not_get_at_an_admin_key_of_its_tenant(gateway: Inside, recorded: list[AuditRecord]) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    admin, admin_id = gateway.key("ours", "admin")
    gateway.sweep()
    recorded.clear()
    assert gateway.ask("GET", f"{KEYS}/{admin_id}", key=manager).status == 200
    assert refused(gateway.ask("POST", f"{KEYS}/{admin_id}/rotate", key=manager)) == (403, "FH-AUTH-005")
    assert refused(gateway.ask("DELETE", f"{KEYS}/{admin_id}?force=true", key=manager)) == (403, "FH-AUTH-005")
    assert gateway.ask("GET", "/metrics", key=admin).status == 200
    assert [(record.event, record.detail["key"]) for record in recorded] == [("key.refused", admin_id)] * 2


def test_an_admin_acts_everywhere(gateway: Inside) -> None:
    admin, _ = gateway.key("ours", "admin")
    made = make(gateway, admin, tenant="theirs", scopes=["infer", "manage", "admin"])
    assert made["tenant"] == "theirs"
    assert {each["tenant"] for each in gateway.ask("GET", KEYS, key=admin).json()["data"]} == {"ours", "theirs"}
    assert gateway.ask("POST", f"{KEYS}/{made['id']}/rotate", key=admin).status == 201
    assert gateway.ask("DELETE", f"{KEYS}/{made['id']}", key=admin).json()["state"] == "revoked"
    answer = gateway.ask("POST", KEYS, key=admin, body={"name": "x", "tenant": "never"})
    assert refused(answer) == (400, "FH-AUTH-004")


def test_the_last_admin_key_is_only_revoked_by_force(gateway: Inside) -> None:
    ring = gateway.stores.keys
    admin, admin_id = gateway.key("ours", "admin")
    for record in ring.list():
        if "admin" in record.scopes and record.id != admin_id and ring.state(record) == "good":
            ring.revoke(record.id)
    assert refused(gateway.ask("DELETE", f"{KEYS}/{admin_id}", key=admin)) == (409, "FH-AUTH-006")
    assert refused(gateway.ask("DELETE", f"{KEYS}/{admin_id}?force=perhaps", key=admin)) == (400, "FH-REQUEST-002")
    forced = gateway.ask("DELETE", f"{KEYS}/{admin_id}?force=true", key=admin)
    assert (forced.status, forced.json()["state"]) == (200, "revoked")
    assert gateway.ask("GET", "/metrics", key=admin).status == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes[0]"),
        ({"name": "x", "expires_s": 0}, "expires_s"),
        ({"name": "x", "expires_s": 10**30}, "expires_s"),
        ({"name": "x", "expires": "90d"}, "expires"),
        ({"name": "x", "label": "a" * 1001}, "label"),
    ],
)
def test_what_cannot_be_makes_no_key(gateway: Inside, body: dict[str, object], param: str) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    answer = gateway.ask("POST", KEYS, key=manager, body=body)
    assert refused(answer) == (400, "FH-REQUEST-002")
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("body", [b"[]", b"not json", b'{"name":"x","name":"y"}', b"null"])
def test_a_body_that_is_none(gateway: Inside, body: bytes) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    assert refused(gateway.ask("POST", KEYS, key=manager, body=body)) == (400, "FH-REQUEST-001")


def test_names_and_labels_that_do_not_do_are_told(gateway: Inside) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    assert refused(gateway.ask("POST", KEYS, key=manager, body={"name": "a\nb"})) == (400, "FH-AUTH-004")
    answer = gateway.ask("POST", KEYS, key=manager, body={"name": "x", "label": "very secret"})
    assert refused(answer) == (400, "FH-POLICY-002")


def test_two_keys_that_differ_are_refused_and_the_same_twice_is_not(gateway: Inside) -> None:
    one, _ = gateway.key("ours", "infer")
    two, _ = gateway.key("theirs", "infer")
    ask = gateway.ask
    for path in ("/v1/receipts", "/v1/chat/completions"):
        method = "GET" if path.endswith("receipts") else "POST"
        assert refused(ask(method, path, key=one, headers={"x-api-key": two})) == (401, "FH-AUTH-008")
        same = ask(method, path, key=one, headers={"x-api-key": one})
        assert same.status == (200 if method == "GET" else 400)
    assert ask("GET", "/v1/receipts", headers={"Authorization": "", "x-api-key": one}).status == 200
    answer = ask("GET", "/v1/receipts", headers={"Authorization": "Basic eDp5", "x-api-key": one})
    assert refused(answer) == (401, "FH-AUTH-008")
    twice = f"GET /v1/receipts HTTP/1.1\r\nHost: localhost\r\nx-api-key: {one}\r\nx-api-key: {one}\r\n\r\n"
    assert refused(gateway.send(twice.encode())) == (400, "FH-REQUEST-012")
    fields = [(b"host", b"localhost"), (b"authorization", b"Bearer x"), (b"authorization", f"Bearer {one}".encode())]
    assert refused(gateway.ask_asgi("GET", b"/v1/receipts", fields)) == (400, "FH-REQUEST-012")
    assert refused(gateway.ask_asgi("POST", b"/v1/embeddings", fields)) == (400, "FH-REQUEST-012")


def test_what_cannot_be_recorded_now_is_recorded_later(
    gateway: Inside, recorded: list[AuditRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, _ = gateway.key("ours", "infer", "manage")
    gateway.sweep()
    with monkeypatch.context() as patch:

        def fails(*_records: AuditRecord) -> int:
            raise AuditUnwritable(reason="test")

        patch.setattr(gateway.stores.audit, "append", fails)
        made = make(gateway, manager)
        gateway.ask("DELETE", f"{KEYS}/{made['id']}", key=manager)
        assert not works(gateway, made["key"])
        with pytest.raises(AuditUnwritable):
            gateway.sweep()
    recorded.clear()
    gateway.sweep()
    assert [(record.event, record.detail["key"]) for record in recorded] == [
        ("key.made", made["id"]),
        ("key.revoked", made["id"]),
    ]
    gateway.sweep()
    assert len(recorded) == 2


def test_a_key_that_never_was(gateway: Inside) -> None:
    admin, _ = gateway.key("ours", "admin")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert refused(gateway.ask(method, f"{KEYS}/{NEVER}{path}", key=admin)) == (404, "FH-REQUEST-008")


def test_limits_that_change_are_told_too(gateway: Inside, recorded: list[AuditRecord]) -> None:
    manager, manager_id = gateway.key("ours", "infer", "manage")
    admin, admin_id = gateway.key("ours", "admin")
    gateway.sweep()
    recorded.clear()
    limits, tokens = "/v1/admin/limits", {"what": "tokens", "window": "day"}
    for key, subject, amount in (
        (manager, f"key:{manager_id}", 10),
        (manager, f"key:{manager_id}", 20),
        (manager, "tenant:ours", 10**9),
        (admin, "tenant:theirs", 30),
    ):
        gateway.ask("PUT", limits, key=key, body={"subject": subject, "amount": amount, **tokens})
    for _ in range(2):
        gateway.ask("DELETE", f"{limits}?subject=tenant:theirs&what=tokens&window=day", key=admin)
    gateway.ask("DELETE", f"{limits}?subject=key:{manager_id}&what=tokens&window=day", key=manager)
    gateway.sweep()
    assert told(recorded) == [
        ("limit.set", "ours", manager_id, manager_id),
        ("limit.set", "ours", manager_id, manager_id),
        ("limit.set", "theirs", "", admin_id),
        ("limit.removed", "theirs", "", admin_id),
        ("limit.removed", "ours", manager_id, manager_id),
    ]
    assert [(each.detail.get("amount"), each.detail["before"]) for each in recorded] == [
        (10, None),
        (20, 10),
        (30, None),
        (None, 30),
        (None, 20),
    ]
    assert {(each.detail["what"], each.detail["window"], each.detail["currency"]) for each in recorded} == {
        ("tokens", "day", "")
    }


def test_a_key_that_another_process_made_a_moment_ago_is_found_and_revoked(gateway: Inside) -> None:
    admin, _ = gateway.key("ours", "admin")
    ours = gateway.stores.keys
    others = KeyRing(
        SqliteKeys(gateway.stores.database), ours.tenants, parse_label=ours.label_of, bottom=ours.label_of(""),
        clock=gateway.stores.clock, ids=gateway.stores.ids,
    )  # fmt: skip
    secret, record = others.new(name="x", tenant="ours", scopes=["infer"])
    ended = gateway.ask("DELETE", f"{KEYS}/{record.id}", key=admin)
    assert (ended.status, ended.json()["state"]) == (200, "revoked")
    assert not works(gateway, secret)


def test_a_manager_gives_no_eyes_that_it_does_not_have(gateway: Inside, recorded: list[AuditRecord]) -> None:
    eyes = Reads(user="ana", groups=frozenset({"legal"}), clearance=Level.CONFIDENTIAL)
    manager, _ = gateway.key("ours", "infer", "manage", reads=eyes)
    made = make(gateway, manager, groups=["legal"])
    assert (made["user"], made["groups"], made["clearance"]) == (None, ["legal"], "confidential")
    for more in ({"user": "bo"}, {"groups": ["hr"]}, {"clearance": "restricted"}):
        assert refused(gateway.ask("POST", KEYS, key=manager, body={"name": "x", **more})) == (403, "FH-AUTH-005")
        answer = gateway.ask("PATCH", f"{KEYS}/{made['id']}", key=manager, body=more)
        assert refused(answer) == (403, "FH-AUTH-005")
    _, of_bo = gateway.key("ours", "infer", reads=Reads(user="bo"))
    for method, path, body in (("POST", f"{of_bo}/rotate", {}), ("PATCH", of_bo, {"user": "ana"})):
        assert refused(gateway.ask(method, f"{KEYS}/{path}", key=manager, body=body)) == (403, "FH-AUTH-005")
    gateway.sweep()
    assert "key.changed" not in {each.event for each in recorded}


def test_eyes_are_changed_and_kept_over_a_rotation(gateway: Inside, recorded: list[AuditRecord]) -> None:
    admin, admin_id = gateway.key("theirs", "admin")
    made = make(gateway, admin, tenant="ours", user="ana", groups=["hr"], clearance="internal")
    changed = gateway.ask("PATCH", f"{KEYS}/{made['id']}", key=admin, body={"groups": ["it"]}).json()
    assert (changed["user"], changed["groups"], changed["clearance"]) == ("ana", ["it"], "internal")
    assert gateway.stores.keys.authenticate(made["key"]).groups == {"it"}
    later = gateway.ask("POST", f"{KEYS}/{made['id']}/rotate", key=admin, body={}).json()
    assert (later["user"], later["groups"], later["clearance"]) == ("ana", ["it"], "internal")
    nobody = gateway.ask("PATCH", f"{KEYS}/{later['id']}", key=admin, body={"user": "", "groups": []}).json()
    assert (nobody["user"], nobody["groups"]) == (None, [])
    gateway.sweep()
    told = next(each for each in recorded if each.event == "key.changed")
    assert (told.detail["key"], told.detail["by"], told.detail["groups"]) == (made["id"], admin_id, ["it"])


@pytest.mark.parametrize("body", [{"user": "a b"}, {"groups": ["a:b"]}, {"clearance": "secret"}, {"grups": []}])
def test_eyes_that_cannot_be_are_refused(gateway: Inside, body: dict[str, Any]) -> None:
    admin, _ = gateway.key("ours", "admin")
    made = make(gateway, admin)
    assert gateway.ask("PATCH", f"{KEYS}/{made['id']}", key=admin, body=body).status == 400
    assert gateway.ask("POST", KEYS, key=admin, body={"name": "x", **body}).status == 400
