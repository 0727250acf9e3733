"""``freehold vault test`` on a real vault: a folder is added, measured, made worse, and the pipeline fails."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from freehold.cli.add import add
from freehold.cli.output import UsageError
from freehold.cli.vault_desk import Desk, Eyes, Which, at_desk
from freehold.cli.vault_test import vault_test, vault_tune
from freehold.domain.errors.vault import VaultSettingsInvalid
from freehold.domain.vault import SearchSettings
from freehold.vault.settings_file import save_settings, settings_path

DOCUMENTS = {
    "pump": "The pump on the second floor was replaced in May. Its warranty ends on 30 June 2027.",
    "lease": "The lease of the warehouse ends in December. The rent is 4,200 euros a month.",
    "travel": "Trips of more than 300 kilometres go by train. Flights need the consent of the head of department.",
    "cat": "The office cat is fed at eight in the morning and is not to be let onto the roof.",
}
QUESTIONS = (
    ("When does the warranty of the pump end?", "pump", "ends on 30 June 2027"),
    ("How much is the rent of the warehouse?", "lease", "4,200 euros a month"),
    ("Who must consent to flights?", "travel", "consent of the head of department"),
    ("When is the office cat fed?", "cat", "fed at eight"),
)
NOWHERE = ("What is the password of the router?", "Who won on Sunday?")
WHICH = Which()


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of questions, with the documents in the vault, which has no models: words alone."""
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", encoding="utf-8")
    assert add(str(folder), which=WHICH, as_json=True) == 0
    path = tmp_path / "questions.jsonl"
    lines = [
        {"question": asked, "relevant": [{"source": f"{name}.md", "quote": quote}]} for asked, name, quote in QUESTIONS
    ]
    lines += [{"question": asked, "relevant": []} for asked in NOWHERE]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def measured(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_vault_is_measured_kept_and_a_pipeline_fails_once_it_finds_less(
    questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    capsys.readouterr()
    assert vault_test(str(questions), save=str(kept), as_json=True) == 0
    report = measured(capsys)
    assert (report["present"], report["count"], list(report["ways"])) == ("words", 6, ["words"])
    figures = report["ways"]["words"]["figures"]
    assert {name: figures[name]["value"] for name in ("ndcg@10", "recall@10", "citation precision")} == {
        "ndcg@10": 1.0, "recall@10": 1.0, "citation precision": 1.0,
    }  # fmt: skip
    assert figures["abstention auc"]["value"] > 0.5

    assert vault_test(str(questions), against=str(kept)) == 0
    assert "No figure of words fell" in capsys.readouterr().out

    async def erase(desk: Desk) -> None:
        found = await desk.vaults.documents("archive", reader=await desk.reader(Eyes()))
        gone = [each.id for each in found if each.source.endswith(("pump.md", "cat.md"))]
        assert await desk.vaults.remove("archive", gone, tenant=desk.tenant, by="test") == 2

    at_desk(WHICH, erase)
    assert vault_test(str(questions), against=str(kept), as_json=True) == 1
    fell = {each["figure"]: each["now"] for each in measured(capsys)["fell"]}
    assert fell["recall@10"] == 0.5


def test_who_may_read_nothing_finds_nothing(questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert vault_test(str(questions), eyes=Eyes(clearance="public"), as_json=True) == 0
    assert measured(capsys)["ways"]["words"]["figures"]["recall@10"]["value"] == 0.0


def test_few_questions_choose_nothing(questions: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        vault_tune(str(questions))


def test_what_was_chosen_is_how_the_vault_searches_and_a_chance_changes_nothing(
    questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tmp_path / "many.jsonl"
    many.write_text(questions.read_text(encoding="utf-8") * 6, encoding="utf-8")
    capsys.readouterr()
    assert vault_tune(str(many), as_json=True) == 0
    found = measured(capsys)
    assert (found["pays"], found["kept"], found["questions"]) == (False, None, 24)
    assert vault_tune(str(many)) == 0
    said = capsys.readouterr().out
    assert (
        said
        == "minmax 0.5 finds with nDCG@10 1.000 on 24 questions; no other way finds better, and the vault searches as before.\n"
    )

    async def settings(desk: Desk) -> SearchSettings:
        return (await desk.vaults.open(desk.name, desk.tenant)).settings

    async def path(desk: Desk) -> Path:
        return await asyncio.to_thread(settings_path, desk.vaults.path_of(desk.name))

    file = at_desk(WHICH, path)
    save_settings(file, SearchSettings(words=0.2, candidates=7))
    assert at_desk(WHICH, settings) == SearchSettings(words=0.2, candidates=7)
    save_settings(file, SearchSettings(embedder="another", words=0.2))
    assert at_desk(WHICH, settings) == SearchSettings()
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(VaultSettingsInvalid, match="freehold vault tune"):
        at_desk(WHICH, settings)
