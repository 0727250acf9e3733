"""``/v1/vault``: what each caller finds, reads, adds, changes and removes, and what no answer tells."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

from freehold.domain.errors.vault import VaultUploadsFull
from freehold.domain.identity import Reads
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Readers
from tests.support.inside import Answer, Inside, inside

SEARCH, DOCUMENTS = "/v1/vault/search", "/v1/vault/documents"
NEVER = "doc-" + "0" * 32
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Inside) -> Inside:
    for kept in running.desk.kept.values():
        kept.clear()
    running.desk.asked.clear()
    running.desk.noted.clear()
    return running


def user(gateway: Inside, name: str, *scopes: str, **more: Any) -> str:
    return gateway.key("ours", "infer", *scopes, reads=Reads(user=name, **more))[0]


def put(gateway: Inside, title: str, *names: str, level: Level = Level.INTERNAL, **more: Any) -> Document:
    readers = Readers(level=level, names=frozenset(names) if names else None, owner=names[0] if names else "")
    text = more.pop("text", f"the plan of {title}")
    return gateway.desk.put("archive", text, title=title, tenant="ours", readers=readers, **more)


def found(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return sorted(each["title"] for each in answer.json()["data"])


def shape(answer: Answer, *named: str) -> bytes:
    raw = answer.raw
    for each in named:
        raw = raw.replace(each.encode(), b"<named>")
    return UUID.sub(b"<id>", raw)


def test_a_search_shows_passages_with_their_places_and_the_label_of_all(gateway: Inside) -> None:
    put(gateway, "ana.txt", "user:ana", level=Level.RESTRICTED, label="restricted;kinds=pii")
    put(gateway, "all.txt")
    put(gateway, "bo.txt", "user:bo")
    answer = gateway.ask("POST", SEARCH, key=user(gateway, "ana"), body={"query": "the plan", "limit": 5})
    assert found(answer) == ["all.txt", "ana.txt"]
    shown = answer.json()
    assert shown["label"] == dict(answer.headers)["freehold-label"] == "restricted;zones=device;kinds=pii"
    assert dict(answer.headers)["cache-control"] == "no-store"
    assert set(shown["data"][0]) == {
        "document_id", "title", "source", "sha256", "page", "heading", "start", "end", "text", "score", "label", "trusted",
    }  # fmt: skip
    assert (shown["support"], shown["generation"], shown["vault"]) == (0.9, None, "archive")
    assert all(each["text"] == f"the plan of {each['title']}" for each in shown["data"])


def test_the_reader_reaches_the_search_as_the_key_says(gateway: Inside) -> None:
    key = user(gateway, "ana", groups=frozenset({"hr"}), clearance=Level.INTERNAL)
    body = {
        "query": "plan", "limit": 3, "max_characters": 900, "infer_filters": False,
        "filters": {"authors": ["Ana"], "written_from": "2026-01-01", "media_types": ["text/"]},
    }  # fmt: skip
    assert gateway.ask("POST", SEARCH, key=key, body=body).status == 200
    (query,) = gateway.desk.asked
    assert (query.reader.tenant, query.reader.names) == ("ours", {"user:ana", "group:hr"})
    assert (query.reader.clearance, query.limit, query.characters_max) == (Level.INTERNAL, 3, 900)
    assert not query.infer_filters
    assert (query.filters.authors, query.filters.written_from) == (("Ana",), "2026-01-01")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "x" * 32_001},
        {"query": "x", "limit": 51},
        {"query": "x", "limit": 0},
        {"query": "x", "reader": "user:bo"},
        {"query": "x", "filters": {"writen_from": "2026-01-01"}},
        {"query": "x", "filters": {"written_from": "2026-1-1"}},
        {"query": "x", "filters": {"authors": ["a"] * 101}},
        {"query": "x", "max_characters": -1},
    ],
)
def test_searches_are_bounded(gateway: Inside, body: dict[str, Any]) -> None:
    answer = gateway.ask("POST", SEARCH, key=user(gateway, "ana"), body=body)
    assert (answer.status, answer.code) == (400, "FH-REQUEST-002")
    assert gateway.desk.asked == []


def test_the_longest_query_is_taken_in_any_script(gateway: Inside) -> None:
    answer = gateway.ask("POST", SEARCH, key=user(gateway, "ana"), body={"query": "計" * 32_000})
    assert answer.status == 200
    assert gateway.ask("POST", SEARCH, key=user(gateway, "ana"), body=b"x" * 600_000).status == 413


def test_only_an_admin_is_told_the_generation(gateway: Inside) -> None:
    put(gateway, "bo.txt", "user:bo")
    for scopes, told in (((), False), (("manage",), False), (("admin",), True)):
        answer = gateway.ask("POST", SEARCH, key=user(gateway, "ana", *scopes), body={"query": "plan"})
        assert (answer.json()["generation"] is not None) is told


def test_counts_and_pages_hold_what_the_reader_may_read(gateway: Inside) -> None:
    for number in range(7):
        put(gateway, f"{number}.txt", *(["user:bo"] if number % 2 else []))
    ana, bo = user(gateway, "ana"), user(gateway, "bo")
    counts = {key: gateway.ask("GET", "/v1/vault", key=key).json()["data"][0] for key in (ana, bo)}
    assert [counts[key]["documents"] for key in (ana, bo)] == [4, 7]
    pages: list[str] = []
    after = ""
    for _ in range(2):
        page = gateway.ask("GET", f"{DOCUMENTS}?limit=2&after={after}", key=ana).json()
        pages += [each["title"] for each in page["data"]]
        after = page["last_id"]
    assert sorted(pages) == ["0.txt", "2.txt", "4.txt", "6.txt"]
    # Exactly the last one: that hidden ones follow is not told.
    assert page["has_more"] is False


def test_a_cursor_may_be_anything(gateway: Inside) -> None:
    put(gateway, "a.txt")
    hidden = put(gateway, "b.txt", "user:bo")
    key = user(gateway, "ana")
    near = hidden.id[:-1] + ("0" if hidden.id[-1] != "0" else "1")
    pages = [gateway.ask("GET", f"{DOCUMENTS}?after={each}", key=key) for each in (hidden.id, near)]
    assert shape(pages[0]) == shape(pages[1])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", DOCUMENTS + "/{}", None),
        ("GET", DOCUMENTS + "/{}?vault=archive", None),
        ("GET", DOCUMENTS + "/{}/content", None),
        ("GET", DOCUMENTS + "/{}/content?start=0&end=3", None),
        ("PATCH", DOCUMENTS + "/{}", {"readers": ["user:ana"]}),
        ("DELETE", DOCUMENTS + "/{}", None),
        ("GET", "/v1/vector_stores/archive/files/{}", None),
        ("GET", "/v1/vector_stores/archive/files/{}/content", None),
        ("DELETE", "/v1/vector_stores/archive/files/{}", None),
    ],
)
@pytest.mark.parametrize("scopes", [(), ("manage",), ("manage", "admin")])
def test_no_access_and_not_there_are_one_answer(
    gateway: Inside, method: str, path: str, body: Any, scopes: tuple[str, ...]
) -> None:
    hidden = put(gateway, "bo.txt", "user:bo")
    above = put(gateway, "high.txt", level=Level.RESTRICTED)
    theirs = gateway.desk.put(
        "archive", "the plan", title="their.txt", tenant="theirs", readers=Readers(level=Level.PUBLIC)
    )
    key = user(gateway, "ana", *scopes, clearance=Level.INTERNAL)
    missing = shape(gateway.ask(method, path.format(NEVER), key=key, body=body), NEVER)
    for each in (hidden, above, theirs):
        assert shape(gateway.ask(method, path.format(each.id), key=key, body=body), each.id) == missing
    assert not [each for each in gateway.desk.noted if each[0] != "added"]


def test_no_access_takes_the_way_of_not_there(gateway: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class of its time: as many questions to the store, the same ones."""
    hidden, key = put(gateway, "bo.txt", "user:bo"), user(gateway, "ana")
    asked: list[str] = []
    for name in ("document", "text", "documents", "search", "counts"):
        whole = getattr(gateway.desk, name)

        def noted(*args: Any, _name: str = name, _whole: Any = whole, **more: Any) -> Any:
            asked.append(_name)
            return _whole(*args, **more)

        monkeypatch.setattr(gateway.desk, name, noted)
    ways: list[list[str]] = []
    for each in (hidden.id, NEVER):
        for path in (f"{DOCUMENTS}/{each}", f"{DOCUMENTS}/{each}/content"):
            gateway.ask("GET", path, key=key)
        ways.append(asked.copy())
        asked.clear()
    assert ways[0] == ways[1] == ["document"] * 2


def test_a_hidden_vault_is_one_that_is_not_there(gateway: Inside) -> None:
    key = user(gateway, "ana")
    for method, path, body in (
        ("POST", SEARCH, {"query": "x", "vault": "NAME"}),
        ("GET", f"{DOCUMENTS}?vault=NAME", None),
        ("GET", f"{DOCUMENTS}/{NEVER}?vault=NAME", None),
        ("POST", DOCUMENTS, {"name": "x", "text": "x", "vault": "NAME"}),
        ("GET", "/v1/vector_stores/NAME", None),
        ("POST", "/v1/vector_stores/NAME/search", {"query": "x"}),
        ("GET", "/v1/vector_stores/NAME/files", None),
        ("POST", "/v1/vector_stores/NAME/files", {"file_id": "file-0"}),
    ):
        shapes: list[bytes] = []
        for name in ("closed", "nowhere"):
            said = None if body is None else {each: value.replace("NAME", name) for each, value in body.items()}
            shapes.append(shape(gateway.ask(method, path.replace("NAME", name), key=key, body=said), name))
        # The names differ in length, and so does what says how long the answer is.
        first, second = (re.sub(rb"content-length: \d+", b"", each) for each in shapes)
        assert first == second
        assert b"FH-VAULT-001" in first
    assert b"closed" not in gateway.ask("GET", "/v1/vault", key=key).raw
    assert b"closed" not in gateway.ask("GET", "/v1/vector_stores", key=key).raw


def test_a_text_is_read_in_parts_by_code_points(gateway: Inside) -> None:
    document = put(gateway, "a.txt", text="añb計c", label="confidential", level=Level.CONFIDENTIAL)
    path, key = f"{DOCUMENTS}/{document.id}/content", user(gateway, "ana")
    for query, text in (
        ("", "añb計c"),
        ("?start=1&end=4", "ñb計"),
        ("?start=4", "c"),
        ("?start=99", ""),
        ("?end=0", ""),
    ):
        answer = gateway.ask("GET", path + query, key=key)
        assert (answer.status, answer.body.decode()) == (200, text)
        assert dict(answer.headers)["freehold-label"].startswith("confidential")
    for query in ("?start=x", "?start=-1", "?start=3&end=2"):
        assert gateway.ask("GET", path + query, key=key).status == 400


def test_a_text_is_added_as_its_owners_alone(gateway: Inside) -> None:
    key = user(gateway, "ana")
    made = gateway.ask("POST", DOCUMENTS, key=key, body={"name": "n.txt", "text": "my plan", "label": "confidential"})
    assert made.status == 201
    (shown,) = made.json()["data"]
    assert (shown["readers"], shown["owner"], shown["level"]) == (["user:ana"], "user:ana", "confidential")
    assert shown["title"] == "n.txt"
    assert found(gateway.ask("POST", SEARCH, key=user(gateway, "bo"), body={"query": "plan"})) == []
    everybodys = gateway.ask("POST", DOCUMENTS, key=key, body={"name": "e", "text": "plan", "everybody": True})
    assert everybodys.json()["data"][0]["readers"] is None
    assert not [each for each in gateway.stores.files._folder.glob("*") if each.is_file()]


def test_a_form_is_added_with_its_readers(gateway: Inside) -> None:
    parts = {"readers": "group:hr, user:bo", "label": "internal", "vault": "archive"}
    form = "".join(f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                   for name, value in parts.items())  # fmt: skip
    form += '--cut\r\nContent-Disposition: form-data; name="file"; filename="a#2.txt"\r\n\r\nthe plan\r\n--cut--\r\n'
    fields = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = gateway.ask("POST", DOCUMENTS, key=user(gateway, "ana"), body=form.encode(), headers=fields)
    (shown,) = answer.json()["data"]
    assert (shown["readers"], shown["owner"]) == (["group:hr", "user:bo"], "user:ana")
    assert re.fullmatch(r"upload:file-[0-9a-f]{32}/a_2\.txt", shown["source"])
    for name in ("bo", "ana"):
        assert found(gateway.ask("POST", SEARCH, key=user(gateway, name), body={"query": "plan"})) == ["a#2.txt"]


def test_one_name_is_two_documents_and_overwrites_nobodys(gateway: Inside) -> None:
    for name in ("ana", "bo", "ana"):
        body = {"name": "plan.txt", "text": f"the plan of {name}"}
        assert gateway.ask("POST", DOCUMENTS, key=user(gateway, name), body=body).status == 201
    assert found(gateway.ask("POST", SEARCH, key=user(gateway, "ana"), body={"query": "plan"})) == ["plan.txt"] * 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"label": "restricted"}, 403, "FH-VAULT-082"),
        ({"label": "secret"}, 400, "FH-POLICY-002"),
        ({"readers": ["bo"]}, 400, "FH-REQUEST-002"),
        ({"readers": ["user:b o"]}, 400, "FH-REQUEST-002"),
        ({"owner": "user:bo"}, 400, "FH-REQUEST-002"),
        ({"name": "a\nb"}, 400, "FH-FILE-001"),
    ],
)
def test_what_cannot_be_added_is_not(gateway: Inside, body: dict[str, Any], status: int, code: str) -> None:
    key = user(gateway, "ana", clearance=Level.CONFIDENTIAL)
    answer = gateway.ask("POST", DOCUMENTS, key=key, body={"name": "x", "text": "x", **body})
    assert (answer.status, answer.code) == (status, code)
    assert gateway.desk.noted == []


def test_a_key_without_a_user_adds_for_its_groups_and_a_manager_for_others(gateway: Inside) -> None:
    body = {"name": "x", "text": "the plan", "readers": ["group:hr"]}
    outside = gateway.key("ours", "infer")[0]
    assert gateway.ask("POST", DOCUMENTS, key=outside, body=body).code == "FH-VAULT-082"
    inside_it = gateway.key("ours", "infer", reads=Reads(groups=frozenset({"hr"})))[0]
    assert len(gateway.ask("POST", DOCUMENTS, key=inside_it, body=body).json()["data"]) == 1
    manager = gateway.key("ours", "infer", "manage")[0]
    # It is made, and not shown: whether somebody had one of these bytes already is not told.
    assert gateway.ask("POST", DOCUMENTS, key=manager, body=body).json()["data"] == []
    assert len(found(gateway.ask("POST", SEARCH, key=inside_it, body={"query": "plan"}))) == 2


def test_owners_and_managers_change_and_remove_what_they_read(gateway: Inside) -> None:
    document = put(gateway, "a.txt", "user:ana", "group:hr")
    path = f"{DOCUMENTS}/{document.id}"
    colleague = user(gateway, "bo", groups=frozenset({"hr"}))
    for method, body in (("PATCH", {"readers": ["user:bo"]}), ("DELETE", None)):
        answer = gateway.ask(method, path, key=colleague, body=body)
        assert (answer.status, answer.code) == (403, "FH-VAULT-081")
    owner, owner_id = gateway.key("ours", "infer", reads=Reads(user="ana"))
    changed = gateway.ask("PATCH", path, key=owner, body={"readers": ["user:cy"], "label": "confidential"})
    assert (changed.json()["readers"], changed.json()["label"]) == (["user:cy"], "confidential;zones=lan")
    assert gateway.ask("GET", path, key=colleague).status == 404
    assert gateway.ask("GET", path, key=user(gateway, "cy")).status == 200
    lowered = gateway.ask("PATCH", path, key=owner, body={"label": "public"})
    assert lowered.json()["label"] == "confidential;zones=lan"
    opened = gateway.ask("PATCH", path, key=owner, body={"everybody": True})
    assert opened.json()["readers"] is None
    manager = user(gateway, "dee", "manage")
    assert gateway.ask("DELETE", path, key=manager).json() == {
        "object": "vault.document.deleted", "id": document.id, "deleted": True,
    }  # fmt: skip
    assert [(what, by) for what, _, by in gateway.desk.noted[1:4]] == [("relabelled", owner_id)] * 3
    assert gateway.ask("GET", path, key=owner).status == 404


def test_an_owner_is_a_user_and_not_an_empty_name(gateway: Inside) -> None:
    document = put(gateway, "a.txt")
    key = gateway.key("ours", "infer")[0]
    assert gateway.ask("DELETE", f"{DOCUMENTS}/{document.id}", key=key).code == "FH-VAULT-081"


def test_eyes_that_change_see_otherwise_at_the_next_request(gateway: Inside) -> None:
    put(gateway, "hr.txt", "group:hr")
    key, key_id = gateway.key("ours", "infer", reads=Reads(groups=frozenset({"hr"})))
    assert found(gateway.ask("POST", SEARCH, key=key, body={"query": "plan"})) == ["hr.txt"]
    gateway.stores.keys.change_reads(key_id, Reads())
    assert found(gateway.ask("POST", SEARCH, key=key, body={"query": "plan"})) == []


def test_a_house_without_vaults_says_so(gateway: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.desk, "vaults", {})
    key = user(gateway, "ana")
    assert gateway.ask("GET", "/v1/vault", key=key).json()["data"] == []
    answer = gateway.ask("POST", SEARCH, key=key, body={"query": "x"})
    assert (answer.status, answer.code) == (404, "FH-VAULT-001")


def test_of_several_vaults_one_is_named(gateway: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    key = user(gateway, "ana")
    monkeypatch.setattr(gateway.desk, "vaults", {"closed": ("ours",)})
    assert gateway.ask("POST", SEARCH, key=key, body={"query": "x"}).json()["vault"] == "closed"
    monkeypatch.setattr(gateway.desk, "vaults", {"closed": ("ours",), "other": ("ours",)})
    answer = gateway.ask("POST", SEARCH, key=key, body={"query": "x"})
    assert answer.status == 400
    assert b"name one of: closed, other" in answer.body


def test_how_much_clients_keep_is_told_to_an_admin_alone(gateway: Inside) -> None:
    gateway.desk.fails = VaultUploadsFull(tenant="ours", limit="2,000", used="1,234", needed="900")
    try:
        body = {"name": "note.txt", "text": "a note"}
        for scopes, used in (((), "too many are used"), (("manage",), "too many"), (("admin",), "1,234 are used")):
            answer = gateway.ask("POST", DOCUMENTS, key=user(gateway, "ana", *scopes), body=body)
            assert (answer.status, answer.json()["error"]["code"]) == (413, "FH-VAULT-083")
            message = answer.json()["error"]["message"]
            assert "may keep 2,000 bytes" in message
            assert "this document has 900" in message
            assert used in message
            assert ("1,234" in message) is ("admin" in scopes)
    finally:
        gateway.desk.fails = None
