"""``freehold classify`` against a server that answers what the test says."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

MADE: dict[str, Any] = {
    "id": "mail",
    "method": "embedding",
    "model": "embed",
    "trained_with": {"model": "bge", "digest": "sha256:aa"},
    "labels": [
        {"label": "ham", "examples": 20, "description": ""},
        {"label": "spam", "examples": 9, "description": ""},
    ],
    "label": "internal;zones=world",
    "threshold": 0.7,
    "risk": 0.05,
    "cross_validated": {
        "examples": 29,
        "accuracy": {"value": 0.93, "low": 0.78, "high": 0.98},
        "ece": {"value": 0.04, "low": 0.02, "high": 0.1},
    },
    "warnings": ["the label 'spam' has 9 examples; below 20 its probabilities are rough"],
}
ROW = {
    "label": "spam",
    "probability": 0.9,
    "probabilities": {"spam": 0.9, "ham": 0.1},
    "abstain": False,
    "calibrated": True,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeServer]:
    monkeypatch.setenv("FREEHOLD_KEY", "fh-test")
    with fake_server() as running:
        yield running


def answer(value: object) -> Answer:
    return Answer(json.dumps(value).encode())


def examples(folder: Path, text: str) -> str:
    path = folder / "examples.jsonl"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_text(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/classify"] = answer({"data": [ROW]})
    ran = cli("classify", "mail", "win a prize", "--label", "confidential", "--url", server.url)
    assert (ran.code, ran.out, ran.err) == (0, " 0.900  spam\n 0.100  ham\n", "")
    verb, path, headers, body = server.asked[0]
    assert (verb, path, headers["freehold-label"]) == ("POST", "/v1/classify", "confidential")
    assert json.loads(body) == {"model": "mail", "input": "win a prize"}


def test_scores_and_abstaining_are_said_in_words(cli: Cli, server: FakeServer) -> None:
    scores = {"label": "spam", "score": 0.6, "scores": {"spam": 0.6, "ham": 0.4}, "abstain": None, "calibrated": False}
    server.answers["/v1/classify"] = answer({"data": [scores]})
    ran = cli("classify", "auto", "x", "--choice", "spam", "--choice", "ham", "--url", server.url)
    assert "not probabilities" in ran.err
    assert json.loads(server.asked[0][3])["labels"] == ["spam", "ham"]
    server.answers["/v1/classify"] = answer({"data": [ROW | {"abstain": True}]})
    assert "abstains" in cli("classify", "mail", "x", "--url", server.url).err


def test_training_shows_how_good_it_is(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    server.answers["/v1/classifiers"] = answer(MADE)
    file = examples(tmp_path, '{"text": "a", "label": "ham"}\n\n{"text": "b", "label": "spam", "note": 1}\n')
    ran = cli("classify", "train", "mail", file, "--model", "embed", "--risk", "0.05", "--url", server.url)
    assert ran.code == 0
    assert "93.0% (78.0% to 98.0%) of 29 examples" in ran.out
    assert "below 0.700, so that at most 5% of the rest is wrong" in ran.out
    assert "Note: the label 'spam' has 9 examples" in ran.out
    assert json.loads(server.asked[0][3]) == {
        "name": "mail",
        "model": "embed",
        "method": "embedding",
        "instructions": "",
        "risk": 0.05,
        "keep_examples": False,
        "replace": False,
        "examples": [{"text": "a", "label": "ham"}, {"text": "b", "label": "spam"}],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "line 1 is not JSON"), ('{"text": "a"}', "line 1 is not an object"), ("[]", "line 1 is not an object")],
)
def test_a_line_that_is_no_example_is_named(cli: Cli, server: FakeServer, tmp_path: Path, text: str, said: str) -> None:
    ran = cli("classify", "train", "mail", examples(tmp_path, text), "--model", "embed", "--url", server.url)
    assert ran.code == 1
    assert ran.err.startswith("FH-CLASSIFY-003") and said in ran.err
    assert not server.asked


def test_a_file_that_is_not_there(cli: Cli, server: FakeServer) -> None:
    ran = cli("classify", "train", "mail", "nowhere.jsonl", "--model", "embed", "--url", server.url)
    assert (ran.code, "nowhere.jsonl" in ran.err) == (1, True)


def test_testing_counts_what_is_right(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    rows = [ROW, ROW | {"probability": 0.6}, ROW | {"probability": 0.4, "abstain": True}]
    server.answers["/v1/classify"] = answer({"data": rows})
    lines = [json.dumps({"text": str(i), "label": label}) for i, label in enumerate(("spam", "spam", "ham"))]
    ran = cli("classify", "test", "mail", examples(tmp_path, "\n".join(lines)), "--url", server.url)
    assert "3 examples: 66.7% right" in ran.out
    assert "It abstained from 1; of the rest, 100.0% right." in ran.out
    as_json = cli("classify", "test", "mail", examples(tmp_path, "\n".join(lines)), "--url", server.url, "--json")
    assert json.loads(as_json.out)["accuracy_of_the_rest"] == 1.0


def test_listing_showing_and_removing(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/classifiers"] = answer({"data": []})
    assert "no classifiers yet" in cli("classify", "list", "--url", server.url).out
    server.answers["/v1/classifiers"] = answer({"data": [MADE]})
    assert "mail" in cli("classify", "list", "--url", server.url).out
    server.answers["/v1/classifiers/mail"] = answer(MADE)
    assert "embedding on embed (bge)" in cli("classify", "show", "mail", "--url", server.url).out
    server.answers["/v1/classifiers/mail"] = answer({"deleted": True})
    assert "removed" in cli("classify", "remove", "mail", "--url", server.url).out
    assert server.asked[-1][0] == "DELETE"
    refused = cli("classify", "show", "../receipts", "--url", server.url)
    assert refused.code == 2


def test_a_refusal_of_the_server_is_told(cli: Cli, server: FakeServer) -> None:
    envelope = {"error": {"message": "There is none.", "freehold_code": "FH-CLASSIFY-001"}}
    server.answers["/v1/classify"] = Answer(json.dumps(envelope).encode(), status=404)
    ran = cli("classify", "nothing", "x", "--url", server.url)
    assert (ran.code, ran.err) == (1, "FH-CLASSIFY-001: There is none.\n")
