"""The real child: with the real model, killed within a text, and without any model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from freehold.app.scanning import Detection, detection
from freehold.domain.errors.model import ModelFileInvalid
from freehold.domain.findings import Scan
from freehold.hostinfo.clock import SystemClock
from freehold.serving.registry import ModelRegistry
from tests.models import DEMO_FOLDER, tagger_model

CLOCK = SystemClock()
LETTERS = {
    "en": ("Dear Ms Caroline Whitfield, your flat at 14 Crown Street, Leeds LS1 4AP is ready.", "Caroline Whitfield"),
    "de": ("Sehr geehrte Frau Annegret Hollmann, bitte rufen Sie uns unter 030 12345678 zurück.", "Annegret Hollmann"),
    "es": ("La paciente María Fernández Rojas vive en la Calle Mayor 12 de Toledo.", "María Fernández Rojas"),
    "fr": ("Madame Sophie Delacroix a signé le bail pour la rue des Lilas à Lyon.", "Sophie Delacroix"),
}


def run(registry: ModelRegistry, scenario: Callable[[Detection], Awaitable[None]], *, names: bool = True) -> None:
    async def main() -> None:
        found = detection(registry, clock=CLOCK, names=names)
        try:
            await asyncio.wait_for(scenario(found), 120)
        finally:
            await found.engine.close()

    asyncio.run(main())


async def scan(found: Detection, *texts: str, left_s: float = 60, names: bool = True) -> Scan:
    return await found.scanner.scan(texts, deadline_s=CLOCK.monotonic_s() + left_s, names=names)


@pytest.mark.models
def test_names_in_four_languages_from_a_jailed_child() -> None:
    tagger_model()

    async def scenario(found: Detection) -> None:
        scanned = await scan(found, *(text for text, _ in LETTERS.values()), "The weather is fine today.")
        assert scanned.complete, scanned.why
        for (text, name), findings in zip(LETTERS.values(), scanned.findings, strict=False):
            assert name in [text[each.start : each.end] for each in findings if each.type == "PERSON"], text
        assert scanned.findings[-1] == ()
        assert dict(scanned.versions)["names"].startswith("rampart-")
        refused = {measure.name for measure in found.engine.jail_report() if not measure.holds}
        assert "no network" not in refused

    run(ModelRegistry(DEMO_FOLDER / "models"), scenario)


@pytest.mark.models
def test_another_language_is_told_in_the_jail_and_only_where_names_are_asked_for() -> None:
    tagger_model()
    polish = (
        "Pacjentka Anna Kowalska została przyjęta do szpitala wczoraj wieczorem z silnym bólem brzucha i gorączką."
        " Lekarz zalecił natychmiastowe badania oraz kontakt z rodziną."
    )

    async def scenario(found: Detection) -> None:
        told = await scan(found, polish)
        assert (told.complete, told.why[-4:]) == (False, "(pl)")
        assert (await scan(found, polish, names=False)).complete
        short = await scan(found, "Kunde: Иван Петров, Berlin")
        assert short.complete, short.why
        assert short.kinds == {"pii"}

    run(ModelRegistry(DEMO_FOLDER / "models"), scenario)


@pytest.mark.models
def test_a_child_killed_within_a_text_makes_the_scan_incomplete_and_comes_back() -> None:
    tagger_model()
    text = " ".join(f"{each[0]} ({number})" for number in range(60) for each in LETTERS.values())

    async def scenario(found: Detection) -> None:
        assert (await scan(found, "A first text.")).complete
        pid = found.engine.state().pid
        assert pid is not None
        scanning = asyncio.create_task(scan(found, text))
        await asyncio.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        broken = await scanning
        assert not broken.complete
        assert "ended" in broken.why
        whole = await scan(found, text)
        assert whole.complete, whole.why
        assert found.engine.state().pid not in (None, pid)

    run(ModelRegistry(DEMO_FOLDER / "models"), scenario)


@pytest.mark.models
def test_scripts_that_make_many_tokens_and_a_deadline() -> None:
    tagger_model()

    async def scenario(found: Detection) -> None:
        korean = "김민수 씨의 전화번호는 010-1234-5678 입니다. " * 40
        scanned = await scan(found, korean, "李小龙的电子邮箱是 li@example.org", "x" * 20_000)
        assert scanned.why.endswith("en, de, es, fr (Hangul script)")
        assert len(scanned.findings) == 3
        assert scanned.findings[0]
        assert "EMAIL" in {each.type for each in scanned.findings[1]}
        late = await scan(found, "word " * 100_000, left_s=0.5)
        assert not late.complete
        assert late.why == "the time was over"

    run(ModelRegistry(DEMO_FOLDER / "models"), scenario)


@pytest.mark.models
def test_no_deployment_serves_it() -> None:
    tagger_model()
    registry = ModelRegistry(DEMO_FOLDER / "models")
    with pytest.raises(ModelFileInvalid, match="bge-small-en"):
        registry.load_onnx("rampart")


def test_without_the_model_the_rest_is_found_and_the_scan_says_what_it_missed(tmp_path: Path) -> None:
    async def scenario(found: Detection) -> None:
        scanned = await scan(found, "Mail to jane@example.org.")
        assert scanned.kinds == {"pii"}
        assert not scanned.complete
        assert "names were not looked for" in scanned.why
        assert (await scan(found, "Mail to jane@example.org.", names=False)).complete

    run(ModelRegistry(tmp_path), scenario)


def freehold(home: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freehold", "scan", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "FREEHOLD_HOME": str(home)},
    )


def test_the_command_says_where_and_never_what(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all,\n  write to jane@example.org\n", encoding="utf-8")
    found = freehold(tmp_path, "--no-names", str(letter))
    assert (found.returncode, found.stdout) == (1, f"{letter}:2:12  EMAIL  pii\n")
    assert "jane@" in freehold(tmp_path, "--no-names", "--show", str(letter)).stdout
    assert freehold(tmp_path, "--no-names", "--kinds", "secret", str(letter)).returncode == 0
    assert freehold(tmp_path, "--no-names", "-", given="nothing here").returncode == 0
    told = freehold(tmp_path, "--no-names", "--json", "-", given="jane@example.org")
    (file,) = json.loads(told.stdout)["files"]
    (row,) = file.pop("findings")
    assert file == {"path": "-", "complete": True, "why": ""}
    assert (row["line"], row["column"], row["type"], "value" in row) == (1, 1, "EMAIL", False)


def test_the_command_fails_where_it_could_not_see_everything(tmp_path: Path) -> None:
    binary = tmp_path / "picture"
    binary.write_bytes(b"\xff\xd8\xff")
    missing = freehold(tmp_path, "--no-names", str(binary), str(tmp_path / "gone"))
    assert missing.returncode == 2
    assert missing.stderr.count("FH-DETECT-002") == 2
    no_model = freehold(tmp_path, "-", given="nothing here")
    assert no_model.returncode == 2
    assert "names were not looked for" in no_model.stderr
    assert freehold(tmp_path).returncode == 2
    assert "Unknown option: --nams" in freehold(tmp_path, "--nams", "-").stderr
