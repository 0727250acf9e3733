"""Exit codes, errors, and help."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.cli import run as running
from freehold.cli import version
from freehold.cli.table import COMMANDS, root_help
from tests.unit.cli.conftest import Cli

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_root_help(cli: Cli, arguments: tuple[str, ...]) -> None:
    shown = cli(*arguments)
    assert (shown.code, shown.out, shown.err) == (0, root_help() + "\n", "")
    for command in COMMANDS:
        assert f"  {command.name} " in shown.out


def _golden(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("FREEHOLD_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{file.name} is missing; run with FREEHOLD_GOLDEN=write and look at it"
    assert text == file.read_text("utf-8")


def test_golden_root_help(cli: Cli) -> None:
    _golden("help", cli("--help").out)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_golden_help_of_each_command(cli: Cli, command: str) -> None:
    shown = cli(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    _golden(f"help-{command}", shown.out)


@pytest.mark.parametrize("command", ["ask", "bench", "fit", "repatriate"])
def test_the_lines_of_a_docstring_are_no_lines_of_help(cli: Cli, command: str) -> None:
    """A description of several lines hangs below its option, and a paragraph is broken only where it is too long."""
    before, _, options = cli(command, "--help").out.partition("\nParameters:\n")
    for line in filter(None, options.splitlines()):
        assert line.startswith(("  --", " " * 6)), line
    for paragraph in before.split("\n\n"):
        lines = [each.strip() for each in paragraph.splitlines()]
        for first, second in itertools.pairwise(lines):
            assert first.endswith(":") or len(first) + len(second.split()[0]) >= 74, first


@pytest.mark.parametrize(
    "words",
    [
        (command.name, *inner)
        for command in COMMANDS
        for inner in {
            "config": [("check",), ("explain",), ("show",)],
            "keys": [("new",), ("list",), ("revoke",)],
            "batches": [("list",), ("show",), ("cancel",)],
            "audit": [("verify",)],
            "bundle": [("export",), ("import",)],
            "models": [
                (),
                *(
                    (each,)
                    for each in (
                        [
                            "canary",
                            "explain",
                            "gc",
                            "key",
                            "list",
                            "pin",
                            "pull",
                            "remove",
                            "rollback",
                            "sign",
                            "switch",
                            "updates",
                            "verify",
                        ]
                    )
                ),
            ],
            "limits": [("list",), ("set",), ("remove",)],
            "tenants": [("list",), ("show",)],
            "approvals": [("list",), ("show",), ("allow",), ("deny",)],
            "gold": [("add",), ("list",), ("remove",), ("run",)],
            "release": [("request",), ("approve",), ("list",), ("publish",)],
            "vault": [
                ("list",),
                ("search",),
                ("show",),
                ("text",),
                ("relabel",),
                ("remove",),
                ("status",),
                ("test",),
                ("tune",),
            ],
            "outcomes": [("list",), ("export",), ("erase",)],
        }.get(command.name, [()])
    ],
    ids=" ".join,
)
def test_every_command_answers_json(cli: Cli, words: tuple[str, ...]) -> None:
    assert "--json" in cli(*words, "--help").out


def test_the_table_and_the_golden_files_are_the_same_set() -> None:
    assert {file.stem for file in GOLDEN.glob("help*.txt")} == {"help", *(f"help-{each.name}" for each in COMMANDS)}


def test_help_loads_no_parser_and_nothing_heavy() -> None:
    code = (
        "import sys; from freehold.cli.run import run; run(['--help'])\n"
        "heavy = {'cyclopts', 'rich', 'pydantic', 'uvicorn', 'starlette', 'msgspec', 'cryptography', 'httptools'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.endswith("LOADED []\n")


@pytest.mark.parametrize("arguments", [("nosuch",), ("pull",), ("version", "--jsn"), ("receipts", "--limit", "many")])
def test_what_is_not_understood_is_a_usage_error(cli: Cli, arguments: tuple[str, ...]) -> None:
    shown = cli(*arguments)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("usage: ")


def test_a_usage_error_as_json(cli: Cli) -> None:
    shown = cli("nosuch", "--json")
    assert shown.code == 2
    assert json.loads(shown.out)["error"]["type"] == "usage_error"


def test_an_error_goes_to_standard_error(cli: Cli) -> None:
    shown = cli("config", "check")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("FH-CONFIG-002: There is no configuration at ")


def test_an_error_as_json_is_the_envelope(cli: Cli) -> None:
    shown = cli("config", "check", "--json")
    assert (shown.code, shown.err) == (1, "")
    assert json.loads(shown.out)["error"]["freehold_code"] == "FH-CONFIG-002"


def test_ctrl_c_ends_with_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*, as_json: bool = False) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(version, "version", interrupted)
    shown = cli("version")
    assert (shown.code, shown.out, shown.err) == (130, "", "Interrupted.\n")


def test_nothing_unforeseen_shows_a_traceback(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018 - only its error matters
    running._report_unexpected(ZeroDivisionError, caught.value, caught.tb)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("FH-SERVER-005: ")
    assert "Traceback" not in shown.err
    (file,) = home.glob("error-*.txt")
    assert str(file) in shown.err
    assert "ZeroDivisionError: division by zero" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_unwritable_folder_loses_no_message(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running._report_unexpected(ZeroDivisionError, ZeroDivisionError("sums"), None)
    assert "ZeroDivisionError: sums" in capsys.readouterr().err
    assert not home.exists()


def test_version(cli: Cli) -> None:
    assert cli("version").out.startswith("freehold ")
    assert set(json.loads(cli("version", "--json").out)) == {"freehold", "xllamacpp", "python"}
    assert cli("--version").code == 0
