"""What commands print: a terminal is not driven by what others wrote, and no name of a file stops a command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.cli import output

HOSTILE = "a\x1b]0;title\x07\x1b[2J\x9b31m\rb\tc\r\nd\x7f é"


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("name", "write"), [("stdout", output.say), ("stderr", output.note)])
def test_a_terminal_shows_what_would_drive_it(name: str, write: object, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, name, screen)
    write(HOSTILE)  # pyright: ignore[reportCallIssue]
    shown = screen.getvalue()
    assert shown == "a\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\x0db\tc\nd\\x7f é\n"
    assert all(each in "\n\t" or each.isprintable() for each in shown)


def test_a_pipe_gets_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE, end="")
    assert capsys.readouterr().out == HOSTILE


@pytest.mark.parametrize("one_line", [True, False])
def test_json_says_the_same_and_drives_nothing(one_line: bool, capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({HOSTILE: HOSTILE}, one_line=one_line)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {HOSTILE: HOSTILE}
    assert all(each == "\n" or each.isprintable() for each in shown)


def test_a_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    """A file's name may be any bytes: Python holds those that are no UTF-8 as halves of surrogates."""
    program = "from freehold.cli import output; output.take_any_text(); output.say('\\udcff é'); output.note('\\udcff')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "\\udcff é\n", "\\udcff\n")
