"""The guides to clients do what they say, pasted as they are into the clients' own environments."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.clients.test_clients import VARIABLE, child_environment
from tests.clients.venvs import ClientVenv
from tests.docs.test_blocks import ADDRESS, CONFIG, program_of
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.documents import ROOT, blocks
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

HOW_TO = ROOT / "docs" / "how-to"
PROGRAMS = {
    "openai": HOW_TO / "point-a-client.md",
    "anthropic": HOW_TO / "clients" / "anthropic.md",
    "ollama": HOW_TO / "clients" / "ollama.md",
    "litellm": HOW_TO / "clients" / "litellm.md",
    "langchain_openai": HOW_TO / "clients" / "langchain.md",
}
COMMANDS = HOW_TO / "clients" / "llm.md"
PAGE_S = 120
LINES_MAX = 75
"""A guide is read at a glance, and its first lines are the ones to paste."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-clients (makes the environments, then {VARIABLE}=1)")
    with in_thread(OpenAIServer()) as upstream:
        config = CONFIG.format(upstream=upstream.base_url)
        with running(config, tmp_path_factory.mktemp("guides")) as gateway:
            yield gateway


def pasted(client: str, gateway: Gateway, folder: Path, *command: str, **environment: str) -> str:
    """What a command prints in a client's environment, in a folder with the key."""
    venv = ClientVenv(client)
    (folder / "first-key").write_text(gateway.key, encoding="ascii")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        cwd=folder,
        env=child_environment(venv, home) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PAGE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("client", PROGRAMS)
def test_the_programs_of_a_guide(client: str, gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "guide.py"
    file.write_text(program_of(PROGRAMS[client]).replace(ADDRESS, gateway.base_url), encoding="utf-8")
    printed = pasted(client, gateway, tmp_path, str(ClientVenv(client).python), str(file))
    assert TEXT in printed


@pytest.mark.parametrize("client", ["openai", "anthropic", "ollama"])
def test_variables_are_enough(client: str, gateway: Gateway, tmp_path: Path) -> None:
    """Programs that bring the library along are pointed here by the lines that begin with export."""
    asks = {
        "openai": "import openai; print(openai.OpenAI().chat.completions.create(model='auto', messages=turns))",
        "anthropic": "import anthropic as a; print(a.Anthropic().messages.create(model='auto', messages=turns, max_tokens=9))",
        "ollama": "import ollama; print(ollama.chat('auto', turns))",
    }
    exports = [
        line for block in blocks(PROGRAMS[client]) if block.language == "bash"
        for line in block.text.splitlines() if line.startswith("export ")
    ]  # fmt: skip
    assert len(exports) == 2
    program = f"turns = [{{'role': 'user', 'content': 'hello'}}]; {asks[client]}"
    script = "\n".join([*exports, f'exec "{ClientVenv(client).python}" -c "{program}"'])
    assert TEXT in pasted(client, gateway, tmp_path, "bash", "-ec", script.replace(ADDRESS, gateway.base_url))


def test_the_commands_of_llm(gateway: Gateway, tmp_path: Path) -> None:
    """Each block in turn; a block of YAML goes into the file that its first line names."""
    folder = tmp_path / "home" / ".config" / "io.datasette.llm"
    folder.mkdir(parents=True)
    printed: list[str] = []
    for block in blocks(COMMANDS):
        text = block.text.replace(ADDRESS, gateway.base_url)
        if block.language == "yaml":
            name = text.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(text, encoding="utf-8")
        else:
            printed.append(pasted("llm", gateway, tmp_path, "bash", "-ec", text))
    assert [TEXT in each for each in printed] == [True, True]
    where = pasted("llm", gateway, tmp_path, "bash", "-ec", 'dirname "$(llm logs path)"').strip()
    assert Path(where) == folder
    assert TEXT in pasted("llm", gateway, tmp_path, "bash", "-ec", "llm hello"), "it is the default model now"


def test_continues_configuration_is_one(gateway: Gateway, tmp_path: Path) -> None:
    (block,) = [each for each in blocks(HOW_TO / "clients" / "editors.md") if each.language == "yaml"]
    (tmp_path / "config.yaml").write_text(block.text, encoding="utf-8")
    read = "import json, yaml; print(json.dumps(yaml.safe_load(open('config.yaml'))))"
    told = json.loads(pasted("llm", gateway, tmp_path, str(ClientVenv("llm").python), "-c", read))
    (model,) = told["models"]
    assert (model["apiBase"], model["roles"]) == (f"{ADDRESS}/v1", ["autocomplete"])
    assert "qwen" in model["model"], "Continue takes the special tokens of a gap from this"
    (named,) = [each for each in blocks(HOW_TO / "clients" / "editors.md") if each.language == "toml"]
    aliases = tomllib.loads(named.text)["aliases"]
    assert aliases[model["model"]] in [each["id"] for each in gateway.get("/v1/models")["data"]]


@pytest.mark.parametrize("page", sorted((HOW_TO / "clients").glob("*.md")), ids=lambda page: page.stem)
def test_a_guide_is_short(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    assert text.index("http") < 1400, "the lines to paste come first"
