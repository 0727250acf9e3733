"""Every fenced block of the documentation works: programs run, ladders are reached, commands are understood."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Generator
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx2
import pytest

from freehold.app.check import problems
from freehold.app.rules import rulebook_of
from freehold.cli.policy_site import site_of
from freehold.cli.table import build_app
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import load
from freehold.domain.decisions import PolicyDecision
from freehold.domain.response import Usage
from freehold.ledger.book import GenaiPriceBook
from freehold.policy.cases import read_cases, run_case
from freehold.policy.decide import decide
from freehold.policy.text import parse_label
from tests.servers.openai_server import OpenAIServer
from tests.support.documents import PAGES, ROOT, Block, blocks, named
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

ADDRESS = "http://127.0.0.1:8484"
"""What pages write for the address of a gateway; the tests put in that of a running one."""

CONFIG = """
[server]
port = 0
drain_s = 2

[deployments.small]
engine = "openai"
model = "scripted-small"
infill = true
zone = "lan"
base_url = "{upstream}"
clearance = "confidential"

[deployments.cloud]
engine = "openai"
model = "scripted-large"
zone = "lan"
base_url = "{upstream}"
clearance = "internal"

[deployments.vectors]
engine = "openai"
model = "scripted-vectors"
zone = "lan"
base_url = "{upstream}"
clearance = "internal"
embeds = true

[deployments.ranks]
engine = "openai"
model = "scripted-ranks"
zone = "lan"
base_url = "{upstream}"
clearance = "internal"
reranks = true

[routes.auto]
deployments = ["small", "cloud"]

[aliases]
"gpt-4o-mini" = "auto"
"""
"""A gateway with the names that pages use, in front of a scripted server."""

PROGRAM_S = 60
NOW_UNIX_MS = 1_795_000_000_000
"""A day on which the evidence that pages show is valid: a page does not go wrong by getting older."""
ALL = [block for page in PAGES for block in blocks(page)]
PROGRAMS = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
OTHER_COMMANDS = {"make", "pip", "python", "export", "chmod", "llm", "open-webui"}
"""What shell blocks hold beside ``freehold`` and ``curl``; these are not run here."""


def of(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language]


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, split as a shell splits them; continued lines are one."""
    lines = block.text.replace("\\\n", " ").splitlines()
    split = (shlex.split(line, comments=True) for line in lines)
    return [words for words in split if words]


def program_of(page: Path) -> str:
    """The blocks of a page are one program, each at the line where the page has it."""
    program = ""
    for block in blocks(page):
        if block.language == "python":
            program += "\n" * (block.line - 1 - program.count("\n")) + block.text
    return program


def imported(program: str) -> set[str]:
    """Top-level packages that a program imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


POLICY = ROOT / "docs" / "how-to" / "policy.md"
"""The page whose configuration, rules and cases belong together."""


def rules_of(page: Path) -> str:
    """The rules that a page shows."""
    return "\n".join(block.text for block in blocks(page) if block.language == "cedar")


SHELL = [(block, words) for block in of("bash") for words in commands(block)]


def of_first_tenant(compiled: Compiled, name: str) -> PolicyDecision:
    """Whether what the first tenant asks may go to a deployment: a ladder whose rungs cannot be reached helps nobody."""
    label = parse_label(next(iter(compiled.tenants.values())), compiled.tree)
    deployment = next(plan.deployment for plan in compiled.deployments if plan.deployment.name == name)
    tenant = next(iter(compiled.tenants))
    return decide(label, deployment, policy=rulebook_of(compiled), tenant=tenant, unix_ms=NOW_UNIX_MS, audit_ready=True)


def shown(case: object) -> str:
    return case.place if isinstance(case, Block) else named(case) if isinstance(case, Path) else ""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    with in_thread(OpenAIServer()) as upstream:
        config = CONFIG.format(upstream=upstream.base_url)
        with running(config, tmp_path_factory.mktemp("gateway")) as gateway:
            yield gateway


@pytest.mark.parametrize("block", ALL, ids=shown)
def test_every_block_is_of_a_kind_that_is_tested(block: Block) -> None:
    kinds = {"python", "toml", "bash", "json", "text"}
    if block.page.parent.name == "clients":
        kinds.add("yaml")  # tests/clients reads those
    if block.page == POLICY:
        kinds |= {"cedar", "yaml"}
    assert block.language in kinds, f"{block.place}: nothing tests this block"


@pytest.mark.parametrize("page", PROGRAMS, ids=shown)
def test_programs_run(page: Path, gateway: Gateway, tmp_path: Path) -> None:
    program = program_of(page)
    if missing := imported(program) - set(sys.stdlib_module_names) - set(packages_distributions()):
        pytest.skip(f"{', '.join(sorted(missing))} is not installed here; just test-clients runs this page")
    file = tmp_path / f"{page.stem}.py"
    file.write_text(program.replace(ADDRESS, gateway.base_url), encoding="utf-8")
    (tmp_path / "first-key").write_text(gateway.key, encoding="ascii")
    done = subprocess.run(
        [sys.executable, file.name], cwd=tmp_path, capture_output=True, text=True, timeout=PROGRAM_S, check=False
    )
    assert done.returncode == 0, f"{named(page)}: {done.stderr}"
    assert done.stdout.strip(), f"{named(page)}: its program prints nothing"


@pytest.mark.parametrize("block", [each for each in of("toml") if "[[case]]" not in each.text], ids=shown)
def test_configurations_hold(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text(block.text, encoding="utf-8")
    for name in re.findall(r'^rules = "([^"]+)"', block.text, re.MULTILINE):
        (tmp_path / name).write_text(rules_of(block.page), encoding="utf-8")
    for name in re.findall(r'"file:([^"*]+)"', block.text):
        secret = tmp_path / name
        secret.write_text("secret", encoding="ascii")
        secret.chmod(0o600)
    environment = dict.fromkeys(re.findall(r'"env:(\w+)"', block.text), "secret")
    loaded = load(file, environment=environment, check_label=parse_label)
    assert [each for each in problems(loaded, environment=environment) if "there is no file" not in each] == []
    compiled = compile_config(loaded, environment=environment)
    for route in compiled.routes.values():
        for name in route.deployments:
            decision = of_first_tenant(compiled, name)
            assert decision.allowed, f"{block.place}: {route.name} never reaches {name}: {decision.reasons}"
    for model in {plan.deployment.price_model for plan in compiled.deployments} - {""}:
        assert GenaiPriceBook().price(model, usage=Usage(), unix_ms=NOW_UNIX_MS), f"{block.place}: no price of {model}"


@pytest.mark.parametrize("block", [each for each in of("toml") if "[[case]]" in each.text], ids=shown)
def test_cases_hold(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    (tmp_path / "own.cedar").write_text(rules_of(block.page), encoding="utf-8")
    config = next(each for each in blocks(block.page) if each.language == "toml" and "[policy]" in each.text)
    file.write_text(config.text, encoding="utf-8")
    site = site_of(compile_config(load(file, environment={}), environment={}))
    results = [
        run_case(case, site, unix_ms=NOW_UNIX_MS) for case in read_cases(tomllib.loads(block.text), path=block.place)
    ]
    assert [each.failure for each in results if not each.holds] == []


@pytest.mark.parametrize("block", [each for each in of("yaml") if each.page == POLICY], ids=shown)
def test_a_workflow_runs_commands_that_are_understood(block: Block) -> None:
    runs = re.findall(r"^ *- run: (freehold .*)$", block.text, re.MULTILINE)
    assert len(runs) == block.text.count("freehold policy")
    for line in runs:
        build_app().parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False, help_on_error=False)


@pytest.mark.parametrize(("block", "words"), SHELL, ids=shown)
def test_commands_are_known(block: Block, words: list[str]) -> None:
    assert words[0] in {"freehold", "curl"} | OTHER_COMMANDS, f"{block.place}: nothing tests {words[0]!r}"
    if words[0] == "make":
        targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert targets
        assert set(words[1:]) <= set(targets[1].split()), f"{block.place}: no such target"


@pytest.mark.parametrize(("block", "words"), [each for each in SHELL if each[1][0] == "freehold"], ids=shown)
def test_freehold_understands_its_commands(block: Block, words: list[str]) -> None:
    build_app().parse_args(words[1:], exit_on_error=False, print_error=False, help_on_error=False)


@pytest.mark.parametrize(("block", "words"), [each for each in SHELL if each[1][0] == "curl"], ids=shown)
def test_what_curl_sends_is_answered(block: Block, words: list[str], gateway: Gateway) -> None:
    url, headers, body = "", {}, None
    rest = iter(words[1:])
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(":")
            headers[name] = value.strip().replace("$(cat first-key)", gateway.key)
        elif word == "-d":
            body = next(rest)
        elif word not in {"-s", "-i", "-N"}:
            assert not url, f"{block.place}: {word!r} is not understood"
            url = word.replace(ADDRESS, gateway.base_url)
    reply = httpx2.request("GET" if body is None else "POST", url, headers=headers, content=body, timeout=PROGRAM_S)
    assert reply.status_code == 200, f"{block.place}: {reply.text}"


@pytest.mark.parametrize("block", of("json"), ids=shown)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)
