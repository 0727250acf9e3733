"""The limits of the house, from day one and without an exceptions list."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the limits are about, of one file: so much is remembered of its tree.

    Attributes:
        lines: How many it has.
        functions: Line, name and length of each function.
        broad: Lines of handlers of whatever happens that end there.
        calls: Names of what it calls, alone or as an attribute.
        plain_calls: Those that it calls alone.
    """

    lines: int
    functions: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    broad: list[int] = field(default_factory=list[int])
    calls: set[str] = field(default_factory=set[str])
    plain_calls: set[str] = field(default_factory=set[str])


@functools.cache
def _facts(path: Path) -> Facts:
    text = path.read_text(encoding="utf-8")
    found = Facts(lines=text.count("\n"))
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions.append((node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1))
        elif isinstance(node, ast.ExceptHandler):
            if _is_broad(node) and not _raises_again(node):
                found.broad.append(node.lineno)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                found.plain_calls.add(node.func.id)
                found.calls.add(node.func.id)
            elif isinstance(node.func, ast.Attribute):
                found.calls.add(node.func.attr)
    return found


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in BROAD)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Cleaning up after whatever happened, and passing it on, is no boundary."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


# One test for all files of a limit, which names every file that breaks it: thousands of tests of a millisecond each
# take longer to hand out and to report than to run.


def test_files_and_functions_stay_small() -> None:
    found = {_relative(path): _facts(path) for path in PYTHON_FILES}
    long = [f"{name} has {facts.lines} lines" for name, facts in found.items() if facts.lines > FILE_LINES_MAX]
    assert not long, f"at most {FILE_LINES_MAX}: split them"
    long = [
        f"{name}:{line} {function} has {length} lines"
        for name, facts in found.items()
        for line, function, length in facts.functions
        if length > FUNCTION_LINES_MAX
    ]
    assert not long, f"at most {FUNCTION_LINES_MAX}"


def test_except_exception_only_at_named_boundaries() -> None:
    broad = {path.relative_to(SOURCE).as_posix(): _facts(path).broad for path in MODULES}
    assert not {name: lines for name, lines in broad.items() if lines and name not in BOUNDARIES_OF_EXCEPT_EXCEPTION}


def test_only_net_dials() -> None:
    dialled = {_relative(path): _facts(path).calls & DIALLING_CALLS for path in MODULES if _room(path) != "net"}
    assert not {name: calls for name, calls in dialled.items() if calls}, "these open a connection; net does that"


def test_no_dynamic_code() -> None:
    found = {_relative(path): _facts(path).plain_calls & {"__import__", "eval", "exec"} for path in MODULES}
    assert not {name: calls for name, calls in found.items() if calls}


def test_deciders_touch_no_files() -> None:
    forbidden = {"open", "read_text", "write_text", "read_bytes", "write_bytes"}
    found = {_relative(path): _facts(path).calls & forbidden for path in MODULES if _room(path) in PURE_ROOMS}
    assert {name.split("/")[2] for name in found} == set(PURE_ROOMS)
    assert not {name: calls for name, calls in found.items() if calls}, "these do I/O; deciders are pure"


def test_rooms_state_their_purpose_and_hold_no_logic() -> None:
    rooms = sorted(SOURCE.rglob("__init__.py"))
    assert {path.parent for path in MODULES} == {path.parent for path in rooms}
    for path in rooms:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        assert ast.get_docstring(tree), f"{_relative(path)} does not say what the room is for"
        if path.parent.name != "cli":  # the command table is the room's one piece of logic
            allowed = (ast.Expr, ast.Assign, ast.Import, ast.ImportFrom)
            assert all(isinstance(node, allowed) for node in tree.body), f"{_relative(path)} holds logic"


def _reached(text: str) -> set[str]:
    """Names of modules that a text imports, or names before a colon or within quotes."""
    dotted = re.findall(r"(?:from|import) ([\w.]+)", text)
    found = {name[:end] for name in dotted for end in [at for at, sign in enumerate(name) if sign == "."] + [len(name)]}
    found.update(re.findall(r"(freehold[\w.]*):", text))
    found.update(re.findall(r'"(freehold[\w.]*)"', text))
    for parent, names in re.findall(r"from ([\w.]+) import ([^\n]*)", text):
        found.update(f"{parent}.{name}" for name in re.findall(r"\w+", names))
    return found


def test_every_module_is_reachable() -> None:
    names = {".".join(("freehold", *path.relative_to(SOURCE).with_suffix("").parts)) for path in MODULES}
    reached = set[str]().union(
        *(_reached(path.read_text(encoding="utf-8")) for path in [*MODULES, ROOT / "pyproject.toml"])
    )
    entry = {"freehold.__init__", "freehold.__main__"}
    unreached = sorted(name for name in names - entry - reached if not name.endswith("__init__"))
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


def test_every_test_file_is_collected(request: pytest.FixtureRequest) -> None:
    on_disk = {_relative(path) for path in (ROOT / "tests").rglob("test_*.py")}
    collected = {_relative(item.path) for item in request.session.items}
    if on_disk <= collected:  # by this very run, which is of all tests then
        return
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
