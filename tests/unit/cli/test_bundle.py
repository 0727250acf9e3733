"""``freehold bundle`` and ``freehold models key`` as somebody types them wrongly."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from freehold.config.load import data_folder
from freehold.serving.registry import ModelRegistry
from tests.unit.cli.conftest import Cli
from tests.unit.serving.test_registry import install


@pytest.fixture
def model(home: Path) -> str:
    install(ModelRegistry(data_folder() / "models"), "tiny")
    return "tiny"


def test_one_model_is_exported_and_taken_in_again(cli: Cli, model: str, tmp_path: Path) -> None:
    file = str(tmp_path / "a.tar")
    shown = cli("bundle", "export", file, model, "--no-wheels").out
    assert ", 1 model.\n" in shown
    assert shown.endswith("There:\n  freehold bundle import a.tar --unsigned\n")
    assert cli("bundle", "import", file, "--unsigned").code == 0


def test_what_takes_a_bundle_in_is_there_to_paste(
    cli: Cli, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is printed it works: with the key of who signed it, from the folder that it was carried to."""
    monkeypatch.chdir(tmp_path)
    cli("models", "key", "models.example.org", "site.key")
    shown = cli("bundle", "export", "a b.tar", model, "--no-wheels", "--key", "site.key").out
    _, program, *words = shlex.split(shown.splitlines()[-1])
    assert (program, words[1]) == ("bundle", "a b.tar")
    taken = cli(program, *words)
    assert (taken.code, taken.err) == (0, "")


def test_a_file_that_is_there_is_left_as_it_is_unless_it_is_to_be_replaced(
    cli: Cli, model: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"somebody's")
    shown = cli("bundle", "export", str(file), model, "--no-wheels")
    assert shown.code == 1
    assert shown.err.startswith("FH-MODEL-030: ")
    assert "is there already. Choose another name, or replace it with --force" in shown.err
    assert file.read_bytes() == b"somebody's"
    assert cli("bundle", "export", str(file), model, "--no-wheels", "--force").code == 0
    assert cli("bundle", "import", str(file), "--unsigned").code == 0
    assert [each.name for each in tmp_path.iterdir() if "bundle" in each.name or "part" in each.name] == []


def test_a_folder_of_that_name_is_not_replaced_either(cli: Cli, model: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").mkdir()
    for words in ((), ("--force",)):
        shown = cli("bundle", "export", str(tmp_path / "a.tar"), model, "--no-wheels", *words)
        assert shown.code == 1
        assert shown.err.startswith("FH-MODEL-022: ")
        assert "is no file" in shown.err


def test_a_folder_that_is_not_there(cli: Cli, model: str, tmp_path: Path) -> None:
    shown = cli("bundle", "export", str(tmp_path / "no" / "a.tar"), model, "--no-wheels")
    assert shown.code == 1
    assert shown.err.startswith("FH-MODEL-022: ")
    assert "cannot be written to: No such file or directory" in shown.err


def test_an_extra_that_is_none(cli: Cli, model: str, tmp_path: Path) -> None:
    shown = cli("bundle", "export", str(tmp_path / "a.tar"), model, "--extra", "nosuch")
    assert shown.code == 1
    assert "freehold has no extra 'nosuch'; it has " in shown.err
    assert not any(tmp_path.glob("*.tar"))


def test_a_bundle_that_is_not_there(cli: Cli) -> None:
    shown = cli("bundle", "import", "nosuch.tar", "--unsigned")
    assert shown.code == 1
    assert "'nosuch.tar' was not taken: No such file or directory." in shown.err


def test_a_key_is_never_written_over(cli: Cli, tmp_path: Path) -> None:
    file = str(tmp_path / "site.key")
    assert cli("models", "key", "models.example.org", file).code == 0
    shown = cli("models", "key", "models.example.org", file)
    assert shown.code == 1
    assert shown.err.rstrip().endswith("cannot be used: File exists.")


def test_models_that_cannot_be_listed_are_not_said_to_be_none(cli: Cli, home: Path) -> None:
    """A file where the folder belongs stands in for a folder of somebody else: tests may run as root."""
    folder = data_folder() / "models"
    folder.mkdir(parents=True)
    (folder / "names").write_text("")
    for words in (("models",), ("models", "list"), ("models", "verify"), ("models", "gc")):
        shown = cli(*words)
        assert (shown.code, shown.out) == (1, "")
        assert shown.err.startswith("FH-MODEL-024: ")


def test_verifying_nothing_says_so(cli: Cli, home: Path) -> None:
    assert cli("models", "verify").out == "No model is installed.\n"


def test_what_is_not_in_it_is_not_spoken_of(cli: Cli, model: str, tmp_path: Path) -> None:
    bundle = str(tmp_path / "a.tar")
    assert "wheel" not in cli("bundle", "export", bundle, model, "--no-wheels").out
    shown = cli("bundle", "import", bundle, "--unsigned")
    assert shown.code == 0
    assert "wheel" not in shown.out.lower()
    assert "Licences and the list of what was in it are in " in shown.out
