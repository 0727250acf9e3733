"""ARCHITECTURE.md states constants; the code has the same ones."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest

from freehold.audit.journal import PERMIT_LIFE_S
from freehold.config.schema import DeadlineSection, RouteSection, Server
from freehold.domain.deployment import Route
from freehold.engines.llama.settings import batch_for
from freehold.routing.signals import LOGPROBS_PER_TOKEN
from tests.support.documents import ROOT, rows

PAGE = ROOT / "ARCHITECTURE.md"


def _attempts() -> str:
    default = RouteSection(deployments=["a"]).attempts_max
    assert default == Route(name="a", deployments=("a",)).attempts_max
    return str(default)


def _batches() -> str:
    sizes = (10**8, 5 * 10**8, 10**10)
    found = sorted({batch_for(file_bytes=size, threads=cores, on_gpu=False) for size in sizes for cores in (1, 8)})
    return f"{found[2]}, {found[1]} or {found[0]}"


CONSTANTS: dict[str, Callable[[], str]] = {
    "alternatives per token asked of engines": lambda: str(LOGPROBS_PER_TOKEN),
    "attempts per request by default": _attempts,
    "request body limit": lambda: f"{Server().body_limit_bytes >> 20} MiB",
    "a request in all, waiting for a slot": lambda: f"{DeadlineSection().total_s} s, {DeadlineSection().queue_s} s",
    "life of a permit": lambda: f"{PERMIT_LIFE_S:.0f} s",
    "prompt tokens an engine reads between two looks at its socket": _batches,
}
TABLE = {what: value for what, value, _ in rows(PAGE, below="## Constants")}


def test_every_constant_is_held() -> None:
    assert list(TABLE) == list(CONSTANTS), "a constant changed in ARCHITECTURE.md: hold it here against the code"


@pytest.mark.parametrize("what", CONSTANTS)
def test_constants(what: str) -> None:
    assert TABLE[what] == CONSTANTS[what]()


def test_rooms_are_those_of_the_import_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contract if each["type"] == "layers")
    text = PAGE.read_text(encoding="utf-8").partition("\n## Rooms\n")[2]
    fence = text.split("```")[1].splitlines()[1:]
    # A line is one layer; words after two blanks say what it is for.
    assert [line.split("  ")[0].strip() for line in fence] == layers
