"""Real editors with a real completion plugin, typed into on a terminal: Neovim and Vim with ``llama.vim``.

The plugin is that of llama.cpp's examples, the newest that a package index has. It sends no name and no key of its own, so
the key stands where its ``curl`` looks. It has no defaults beside a configuration of the user's: so every setting is here.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.test_clients import NOWHERE, VARIABLE
from tests.clients.venvs import ClientVenv, EditorPlugin
from tests.docs.test_blocks import CONFIG
from tests.models import starter_model
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

ROWS, COLUMNS = 24, 100
SHOWN_S = 30
VIM_VERSION_MIN = (9, 0)
"""Earlier ones cannot show text that is not in the file."""

FILE = "def add(a, b):\n    \n\n\nprint(add(1, 2))\n"
TAKE_AND_LEAVE = "\t\x1b:wq\r"
SETTINGS = """
let g:llama_config = {
    \\ 'endpoint': '%s/infill', 'n_prefix': 256, 'n_suffix': 64, 'n_predict': 24, 't_max_prompt_ms': 500,
    \\ 't_max_predict_ms': 3000, 'show_info': 2, 'auto_fim': v:true, 'max_line_suffix': 8, 'ring_n_chunks': 16,
    \\ 'ring_chunk_size': 64, 'ring_scope': 1024, 'ring_update_ms': 1000}
call llama#init()
"""
REAL_CONFIG = """
[server]
port = 0
drain_s = 2

[deployments.small]
engine = "embedded"
model = "{model}"
context_tokens = 2048
slots = 2

[routes.auto]
deployments = ["small"]
"""
_ESCAPES = re.compile(rb"\x1b\[[0-9;:?<=>]*[A-Za-z]|\x1b[PX^_\]].*?(\x1b\\|\x07)|\x1b[()][A-Z0-9]|\x1b[=>]", re.DOTALL)


class Terminal:
    """A program on a terminal of its own: what it painted, and what is typed into it."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self._painted = b""

    def painted(self) -> str:
        """All that it painted since it was last typed into, without what moves the cursor or sets colours."""
        return _ESCAPES.sub(b"", self._painted).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        """Press these keys."""
        self._painted = b""
        os.write(self._screen, text.encode())

    def until(self, look: Callable[[], bool], *, within_s: float = SHOWN_S, what: str) -> None:
        """Read what it paints until ``look`` is true."""
        give_up_s = time.monotonic() + within_s
        while not look():
            assert time.monotonic() < give_up_s, f"{what} did not come:\n{self.painted()}"
            assert self._process.poll() is None, f"it ended:\n{self.painted()}"
            if select.select([self._screen], [], [], 0.1)[0]:
                self._painted += os.read(self._screen, 65536)

    def leaves(self) -> int:
        """Its exit code, once it has ended."""
        give_up_s = time.monotonic() + SHOWN_S
        while self._process.poll() is None and time.monotonic() < give_up_s:
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    self._painted += os.read(self._screen, 65536)
                except OSError:  # its side is closed
                    break
        return self._process.wait(SHOWN_S)


@contextmanager
def on_a_terminal(command: list[str], folder: Path, environment: dict[str, str]) -> Generator[Terminal]:
    """Run a program there; what is left of it in the end is ended."""
    screen, its_side = pty.openpty()
    fcntl.ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=its_side, stdout=its_side, stderr=its_side, start_new_session=True
    )
    os.close(its_side)
    try:
        yield Terminal(process, screen)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(screen)


def neovim() -> str:
    """The pinned one."""
    made = ClientVenv("neovim")
    if not made.is_made:
        pytest.fail("the editor is missing: python -m tests.clients.venvs")
    return str(next(made.packages.rglob("install/bin/nvim")))


def vim() -> str:
    """That of this system."""
    found = shutil.which("vim")
    if found is None:
        pytest.skip("no vim on this system")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"IMproved (\d+)\.(\d+)", told)
    if version is None or tuple(map(int, version.groups())) < VIM_VERSION_MIN or "+textprop" not in told:
        pytest.skip(f"{found} cannot show a suggestion: it must be Vim 9 with text properties")
    return found


EDITORS = {"neovim": neovim, "vim": vim}
every_editor = pytest.mark.parametrize("editor", EDITORS)


@contextmanager
def editing(editor: str, gateway: Gateway, folder: Path) -> Generator[Terminal]:
    """The editor on ``FILE``, with the plugin pointed at a gateway."""
    program = EDITORS[editor]()
    if shutil.which("curl") is None:
        pytest.skip("the plugin asks by way of curl, which this system has not")
    plugin = EditorPlugin()
    assert plugin.is_made, "the plugin is missing: python -m tests.clients.venvs"
    home = folder / "home"
    for place in (home / ".config" / "nvim" / "autoload", home / ".vim" / "autoload"):
        place.mkdir(parents=True)
        shutil.copy(plugin.file, place)
    (home / ".curlrc").write_text(f'header = "Authorization: Bearer {gateway.key}"\n', encoding="ascii")
    (home / "settings.vim").write_text(SETTINGS % gateway.base_url, encoding="utf-8")
    (folder / "a.py").write_text(FILE, encoding="utf-8")
    environment = {
        "HOME": str(home), "TERM": "xterm-256color", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
        "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    command = [program, "-N", "-n", "-u", str(home / "settings.vim"), "a.py"]
    with on_a_terminal(command, folder, environment) as terminal:
        terminal.until(lambda: "print(add(1, 2))" in terminal.painted(), what="the file")
        yield terminal


@pytest.fixture(scope="module")
def upstream() -> Generator[OpenAIServer]:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-clients (makes the environments, then {VARIABLE}=1)")
    with in_thread(OpenAIServer()) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    config = CONFIG.format(upstream=upstream.base_url).replace('["small", "cloud"]', '["small"]')
    with running(config, tmp_path_factory.mktemp("editors")) as gateway:
        yield gateway


@every_editor
def test_what_is_suggested_is_shown_and_taken(
    editor: str, gateway: Gateway, upstream: OpenAIServer, tmp_path: Path
) -> None:
    with editing(editor, gateway, tmp_path) as terminal:
        terminal.type("2GAret")
        terminal.until(lambda: TEXT in terminal.painted(), what="the suggestion")
        assert "E121" not in terminal.painted(), "the plugin looks for the speed that it shows beside it"
        asked = [each.body for each in list(upstream.exchanges) if each.body.get("prompt", "").endswith("    ret")]
        terminal.type(TAKE_AND_LEAVE)
        assert terminal.leaves() == 0
    assert (tmp_path / "a.py").read_text(encoding="utf-8").splitlines()[1] == f"    ret{TEXT}"
    (body,) = asked[-1:]
    assert (body["prompt"], body["suffix"]) == ("def add(a, b):\n    ret", "\n\n\nprint(add(1, 2))\n")
    assert gateway.newest_receipt()["task"] == "completion"


@every_editor
@pytest.mark.models
@pytest.mark.usefixtures("upstream")
def test_a_real_model_fills_the_gap(editor: str, tmp_path: Path) -> None:
    model = starter_model("qwen2.5-coder-0.5b")
    (tmp_path / "gateway").mkdir()
    with (
        running(REAL_CONFIG.format(model=model), tmp_path / "gateway") as gateway,
        editing(editor, gateway, tmp_path) as terminal,
    ):
        terminal.type("2GAret")
        terminal.until(lambda: "urn " in terminal.painted(), what="the suggestion")
        terminal.type(TAKE_AND_LEAVE)
        assert terminal.leaves() == 0
        receipt = gateway.newest_receipt()
    assert (tmp_path / "a.py").read_text(encoding="utf-8").splitlines()[1].startswith("    return ")
    assert receipt["bytes_left"] == 0
    assert receipt["attempts"][0]["zone"] == "device"
