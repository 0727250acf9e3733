"""The limits of the house, from day one and without an exceptions list."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "freehold"
MODULES = sorted(SOURCE.rglob("*.py"))
PYTHON_FILES = sorted(
    path for folder in ("src", "tests", "tools", "bench", "demo") for path in (ROOT / folder).rglob("*.py")
)
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 200_000
RUNTIME_DEPENDENCIES_MAX = 15
PURE_ROOMS = ("domain", "policy", "routing", "planner")
DIALLING_CALLS = {
    "open_connection", "create_connection", "open_unix_connection", "create_unix_connection",
    "create_datagram_endpoint", "sock_connect", "getaddrinfo", "start_tls",
}  # fmt: skip
BROAD = {"Exception", "BaseException"}
BOUNDARIES_OF_EXCEPT_EXCEPTION = {"api/batch_item.py", "api/inference.py", "api/server.py"}
"""Where an unforeseen error becomes an answer instead of a traceback."""


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _called_names(tree: ast.Module) -> set[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        call.attr if isinstance(call, ast.Attribute) else call.id
        for call in calls
        if isinstance(call, ast.Attribute | ast.Name)
    }


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= FILE_LINES_MAX, f"{_relative(path)} has {lines} lines, at most {FILE_LINES_MAX}: split it"
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{_relative(path)}:{node.lineno} {node.name} has {length} lines"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Cleaning up after whatever happened, and passing it on, is no boundary."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_except_exception_only_at_named_boundaries(path: Path) -> None:
    broad = [
        node.lineno
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD))
        and not _raises_again(node)
    ]
    allowed = path.relative_to(SOURCE).as_posix() in BOUNDARIES_OF_EXCEPT_EXCEPTION
    assert allowed or not broad, f"{_relative(path)}: except Exception at lines {broad}"


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_only_net_dials(path: Path) -> None:
    if path.relative_to(SOURCE).parts[0] != "net":
        assert not _called_names(_tree(path)) & DIALLING_CALLS, f"{_relative(path)} opens a connection; net does that"


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_no_dynamic_code(path: Path) -> None:
    names = {
        node.func.id for node in ast.walk(_tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not names & {"__import__", "eval", "exec"}, _relative(path)


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(SOURCE).parts[0] in PURE_ROOMS], ids=_relative)
def test_deciders_touch_no_files(path: Path) -> None:
    forbidden = {"open", "read_text", "write_text", "read_bytes", "write_bytes"}
    assert not _called_names(_tree(path)) & forbidden, f"{_relative(path)} does I/O; deciders are pure"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=_relative)
def test_rooms_state_their_purpose_and_hold_no_logic(path: Path) -> None:
    tree = _tree(path)
    assert ast.get_docstring(tree), f"{_relative(path)} does not say what the room is for"
    if path.parent.name != "cli":  # the command table is the room's one piece of logic
        allowed = (ast.Expr, ast.Assign, ast.Import, ast.ImportFrom)
        assert all(isinstance(node, allowed) for node in tree.body), f"{_relative(path)} holds logic"


def test_every_module_is_reachable() -> None:
    names = {".".join(("freehold", *path.relative_to(SOURCE).with_suffix("").parts)) for path in MODULES}
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, ROOT / "pyproject.toml"])
    entry = {"freehold.__init__", "freehold.__main__"}
    unreached = sorted(
        name
        for name in names - entry
        if not name.endswith("__init__")
        and not re.search(rf"(from|import) {re.escape(name)}\b|{re.escape(name)}:|\"{re.escape(name)}\"", text)
        and not re.search(
            rf"from {re.escape(name.rpartition('.')[0])} import [^\n]*\b{name.rpartition('.')[2]}\b", text
        )
    )
    assert not unreached, f"nothing imports {unreached}"


def test_no_unfinished_work_is_left() -> None:
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    found = [_relative(path) for path in PYTHON_FILES if words.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_dependencies_are_the_agreed_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = sorted(re.split(r"[<>=;! ]", line, maxsplit=1)[0] for line in project["dependencies"])
    agreed = (ROOT / "tests" / "tidy" / "dependencies.txt").read_text().split()
    assert direct == agreed, "a dependency changed: say why in docs/decisions/0002-dependencies.md, then edit the list"
    brought = {
        re.split(r"[<>=;! (~\[]", wanted, maxsplit=1)[0]
        for name in direct
        for wanted in _installed_requirements(name)
        if "extra ==" not in wanted
    }
    own = [name for name in direct if name not in brought]
    assert len(own) <= RUNTIME_DEPENDENCIES_MAX, "beside what these bring along anyway"
    decisions = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    assert all(f"`{name}`" in decisions for name in direct)


def _installed_requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # not for this platform
        return []


def test_extras_are_tested() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    decisions = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    for wanted in whole["project"]["optional-dependencies"].values():
        assert set(wanted) <= {each for each in whole["dependency-groups"]["dev"] if isinstance(each, str)}
        assert all(f"`{re.split(r'[<>=]', each, maxsplit=1)[0]}`" in decisions for each in wanted)


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_test_file_is_collected() -> None:
    on_disk = {_relative(path) for path in (ROOT / "tests").rglob("test_*.py")}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    collected = set(re.findall(r"^(tests/\S+?\.py)", listing.stdout, re.MULTILINE))
    assert on_disk - collected == set(), listing.stdout[-2000:] + listing.stderr[-2000:]


def test_no_large_or_generated_files_are_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in tracked.stdout.splitlines()]
    large = [_relative(path) for path in paths if path.is_file() and path.stat().st_size > FILE_BYTES_MAX]
    assert not large, f"over {FILE_BYTES_MAX} bytes: {large}"


LINTERS = {
    "ruff check": [],
    "ruff format": ["--check"],
    "lint-imports": ["--no-logo"],
    "basedpyright": ["--pythonpath", sys.executable],
}


@pytest.mark.parametrize("command", LINTERS)
def test_linters_are_content(command: str) -> None:
    name, *arguments = [*command.split(), *LINTERS[command]]
    tool = Path(sys.executable).parent / name
    if not tool.exists():
        pytest.skip(f"{name} is not installed beside {sys.executable}; make test installs it")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    outcome = subprocess.run(
        [str(tool), *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert outcome.returncode == 0, outcome.stdout[-6000:] + outcome.stderr[-2000:]
