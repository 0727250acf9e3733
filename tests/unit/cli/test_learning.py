"""``freehold certify``, ``standings``, ``outcomes``, ``gold`` and ``feedback``, mostly without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import Certificate, LabelKind
from freehold.domain.outcomes import AnswerOutcome
from freehold.evals.replay.tables import read_tables, sets_at
from freehold.hostinfo.clock import SystemClock
from freehold.identity.first_key import write_secret
from freehold.routing.certificate import Aim
from freehold.routing.certificate import to_json as certificate_json
from freehold.routing.sampling import certify_sample, sample_of
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.storage.outcomes import SqliteOutcomes
from tests.support.histories import SCORED, an_outcome, scored
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

QUESTION = {"id": "q-1", "prompt": "The capital of France?", "grade": "contains", "answers": ["Paris"]}


@pytest.fixture
def data(home: Path) -> Path:
    home.mkdir()
    write_secret(home / "first-key", "fh-" + "k" * 43)
    return home / "freehold.db"


def keep(data: Path, outcomes: Sequence[AnswerOutcome]) -> None:
    database = Database.open(data)
    store = SqliteOutcomes(database)
    store.keep(*outcomes)
    asyncio.run(store.read(most=1))
    database.close()


def labelled(n: int, *, wrong_every: int = 0, name: str = "r", **how: Any) -> list[AnswerOutcome]:
    now_ms = SystemClock().unix_ms()
    usual: dict[str, Any] = {"tenant": "default", "accepted": True, "answered": True, "label_kind": LabelKind.AGREEMENT}
    return [
        an_outcome(
            f"{name}-{number:04}",
            **usual
            | {
                "unix_ms": now_ms,
                "probability": 0.5 + 0.49 * (number % 89) / 89,
                "right": not wrong_every or number % wrong_every != 0,
            }
            | how,
        )
        for number in range(n)
    ]


def test_certifying_says_first_what_must_be_escalated(cli: Cli, data: Path) -> None:
    keep(data, labelled(400))
    shown = cli("certify")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == "small, workload general, tenant default"
    assert lines[1].startswith("  at least 0.0% must be escalated to have at most 10.0% wrong")
    assert lines[2].startswith("  certified: At most 10.0% of accepted answers differ from a stronger model's")
    assert "100.0% of those seen" in lines[3]
    database = Database.open(data)
    event = SqliteKeys(database).events()[-1]
    database.close()
    assert event.event == "certificate.made"
    assert event.by.startswith("freehold certify, user ")
    standing = cli("standings").out
    assert "400 answers, 400 accepted, 400 labelled" in standing
    assert "certified until " in standing
    assert "without shadows nobody would notice" in standing
    (as_json,) = json.loads(cli("standings", "--json").out)
    assert as_json["certificate"]["id"] in standing


def test_a_certificate_of_a_file_stands_as_it_does_in_the_server(cli: Cli, data: Path) -> None:
    keep(data, labelled(30))
    folder = data.parent / "calibrations" / "certificates"
    folder.mkdir(parents=True)
    sample = sample_of(labelled(400), scored_on=SCORED)
    made = certify_sample(sample, Aim(risk_max=0.1), tenant="", unix_ms=SystemClock().unix_ms(), days=2)
    assert isinstance(made, Certificate)
    (folder / "made.json").write_text(certificate_json(made), encoding="utf-8")
    shown = cli("standings").out
    assert f"by {made.id}" in shown
    assert "watched:" not in shown  # no label has come since
    (found,) = json.loads(cli("standings", "--json").out)
    assert (found["certificate"]["id"], found["watched"]) == (made.id, None)
    keep(data, labelled(1, name="s", scored_on=scored(engine_version="b2")))  # another engine voids it
    assert "  uncertified" in cli("standings").out


def test_what_cannot_be_proven_is_no_certificate(cli: Cli, data: Path) -> None:
    keep(data, labelled(400, wrong_every=3))
    shown = cli("certify", "--risk", "0.1", "--json")
    assert shown.code == 1
    (found,) = json.loads(shown.out)
    assert (found["certificate"], found["reason"]) == (None, "many_errors")
    assert found["least_escalated"]["value"] == pytest.approx(0.26, abs=0.03)
    assert "not certified: " in cli("certify").out
    assert "uncertified" in cli("standings").out


@pytest.mark.parametrize("words", [("--risk", "0"), ("--risk", "1"), ("--sure", "1.5"), ("--tenant", "nobody")])
def test_certifying_the_impossible_is_a_matter_of_usage(cli: Cli, data: Path, words: tuple[str, ...]) -> None:
    keep(data, labelled(3))
    assert cli("certify", *words).code == 2


def test_there_is_nothing_to_certify(cli: Cli, data: Path) -> None:
    shown = cli("certify", "elsewhere")
    assert (shown.code, shown.err[:16]) == (1, "FH-FEEDBACK-003:")
    assert "it is no route or workload of the configuration; there are " in shown.err
    assert "No answers were judged yet" in cli("standings").out


def test_outcomes_are_listed_and_exported(cli: Cli, data: Path, tmp_path: Path) -> None:
    assert "No outcomes yet" in cli("outcomes", "list").out
    keep(data, [*labelled(3), an_outcome("u-1", tenant="default", deployment="large")])
    assert len(cli("outcomes", "list").out.splitlines()) == 5
    rows = json.loads(cli("outcomes", "list", "--labelled", "--limit", "2", "--json").out)
    assert [row["request_id"] for row in rows] == ["r-0001", "r-0002"]
    nothing = cli("outcomes", "export", str(tmp_path / "none"), "--tenant", "nobody", "--workload", "w")
    assert (nothing.code, nothing.err[:14]) == (1, "FH-REPLAY-006:")
    assert "no outcomes of the tenant 'nobody' and the workload 'w' are kept" in nothing.err
    assert not (tmp_path / "none").exists()
    shown = cli("outcomes", "export", str(tmp_path / "new" / "tables"))
    assert shown.out.startswith("4 outcomes are in ")
    (files,) = sets_at(tmp_path / "new" / "tables")
    tables = read_tables(files)
    assert (len(tables.queries), len(tables.outcomes)) == (4, 4)
    assert cli("outcomes", "export", str(tmp_path), "--name", "a.b").code == 2
    assert cli("outcomes", "list", "--limit", "0").code == 2


def test_outcomes_of_a_tenant_are_erased(cli: Cli, data: Path) -> None:
    keep(data, [*labelled(3), an_outcome("t-1", tenant="gone")])
    assert cli("outcomes", "erase").code == 2
    assert json.loads(cli("outcomes", "erase", "--tenant", "gone", "--json").out) == {"tenant": "gone", "outcomes": 1}
    assert {row["tenant"] for row in json.loads(cli("outcomes", "list", "--json").out)} == {"default"}
    assert cli("outcomes", "erase", "--tenant", "default").out.startswith("3 outcomes of default are erased")


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(QUESTION) + "\n\n" + json.dumps(QUESTION | {"id": "q-2"}) + "\n", encoding="utf-8")
    return str(path)


def test_gold_questions_are_kept_asked_and_removed(cli: Cli, data: Path, questions: str) -> None:
    assert cli("gold", "run").code == 2
    (data.parent / "empty.jsonl").touch()
    assert "there is no question in it" in cli("gold", "add", str(data.parent / "empty.jsonl")).err
    assert cli("gold", "add", questions).out == "2 questions of default stand for the workload general.\n"
    assert json.loads(cli("gold", "list", "--json").out) == [
        {"tenant": "default", "workload": "general", "questions": 2}
    ]
    with fake_server() as server:
        told = {"outcomes": [{"deployment": "small", "right": True}, {"deployment": "large", "right": False}]}
        server.answers["/v1/gold"] = Answer(json.dumps(told).encode())
        rows = json.loads(cli("gold", "run", "auto", "--url", server.url, "--json").out)
        assert rows == [
            {"deployment": "large", "asked": 2, "right": 0},
            {"deployment": "small", "asked": 2, "right": 2},
        ]
        asked = [json.loads(body) for _, _, _, body in server.asked]
        assert asked == [{"model": "auto", "question": QUESTION | {"id": name}} for name in ("q-1", "q-2")]
        assert "100.0%" in cli("gold", "run", "--url", server.url).out
    assert cli("gold", "remove", "general", "--question", "q-1").out == "1 questions are removed.\n"
    assert json.loads(cli("gold", "remove", "general", "--json").out)["removed"] == 1
    assert "There are no gold questions" in cli("gold", "list").out


def test_other_files_hold_no_gold(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "x"}\n', encoding="utf-8")
    for name in ("bad.jsonl", "none.jsonl"):
        shown = cli("gold", "add", str(tmp_path / name))
        assert (shown.code, shown.err[:14]) == (1, "FH-EVALS-002: ")


@pytest.fixture
def server(data: Path) -> Any:
    with fake_server() as made:
        yield made


def test_feedback_is_sent(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/feedback"] = Answer(json.dumps({"receipt": "r-1", "right": False}).encode())
    shown = cli("feedback", "r-1", "--wrong", "--gold", "--url", server.url)
    assert shown.out == "The answer of r-1 is noted as wrong.\n"
    assert json.loads(server.asked[0][3]) == {"response_id": "r-1", "right": False, "kind": "gold"}
    assert json.loads(cli("feedback", "r-1", "--right", "--url", server.url, "--json").out)["receipt"] == "r-1"
    assert cli("feedback", "r-1", "--url", server.url).code == 2
    assert cli("feedback", "r-1", "--right", "--wrong", "--url", server.url).code == 2
