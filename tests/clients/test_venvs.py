"""What is planted in a client's environment is found, and its pins are whole."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.clients import venvs
from tests.clients.venvs import CLIENTS, HERE, PROGRAMS, ClientVenv, EditorPlugin, pins_of, surprises

TROJANS = {"litellm": {"1.82.7", "1.82.8", "1.107.0"}}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with one honest package."""
    (tmp_path / "honest").mkdir()
    (tmp_path / "honest" / "__init__.py").write_text("x = 1\n")
    _list(tmp_path, "honest/__init__.py")
    return tmp_path


def _list(packages: Path, *names: str) -> None:
    info = packages / "honest-1.0.dist-info"
    info.mkdir(exist_ok=True)
    lines = [f"{info.name}/RECORD,,"]
    for name in names:
        digest = base64.urlsafe_b64encode(hashlib.sha256((packages / name).read_bytes()).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},1")
    (info / "RECORD").write_text("\n".join(lines) + "\n")


def test_an_honest_environment_is_quiet(packages: Path) -> None:
    (packages / "honest" / "__pycache__").mkdir()
    (packages / "honest" / "__pycache__" / "__init__.pyc").write_bytes(b"")
    assert surprises(packages) == []


@pytest.mark.parametrize("name", ["litellm_init.pth", "sitecustomize.py", "usercustomize.py"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_planted_start_hook_is_found_even_if_its_package_lists_it(packages: Path, name: str, listed: bool) -> None:
    (packages / name).write_text("import os\n")
    if listed:
        _list(packages, "honest/__init__.py", name)
    assert surprises(packages) == [f"{name} runs whenever Python starts"]


def test_a_start_hook_that_was_read_is_taken_only_as_it_was_read(packages: Path) -> None:
    name = "distutils-precedence.pth"
    (packages / name).write_text("import os; os.system('true')\n")
    _list(packages, "honest/__init__.py", name)
    assert surprises(packages) == [f"{name} runs whenever Python starts"]


def test_a_file_of_nobody_and_a_changed_one_are_found(packages: Path) -> None:
    (packages / "extra.py").write_text("")
    (packages / "honest" / "__init__.py").write_text("x = 2\n")
    assert surprises(packages) == [
        "extra.py belongs to no package",
        "honest/__init__.py is not what its package listed",
    ]


@pytest.mark.parametrize("client", CLIENTS + PROGRAMS)
def test_every_pin_has_a_version_and_hashes_and_names_no_place(client: str) -> None:
    wanted = (HERE / client / "requirements.in").read_text().split()
    pins = "\n".join(each.read_text().strip() for each in pins_of(client))
    entries = re.split(r"\n(?=\S)", pins.strip())
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in pins
    assert "--index" not in pins
    for line in wanted:
        name, _, version = line.partition("==")
        assert version, f"{line} names no version"
        assert version not in TROJANS.get(name.partition("[")[0], ())
        assert f"{name.partition('[')[0]}" in pins


def test_every_model_that_a_test_asks_is_pulled_before_the_network_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[str] = []
    for each in (ClientVenv, EditorPlugin):
        monkeypatch.setattr(each, "make", lambda _: None)
    monkeypatch.setattr(venvs, "starter_model", lambda name: pulled.append(name) or Path(name))
    venvs.main()
    asked = "".join(each.read_text() for each in HERE.glob("test_*.py"))
    assert set(pulled) == set(re.findall(r'starter_model\("([^"]+)"\)', asked))
