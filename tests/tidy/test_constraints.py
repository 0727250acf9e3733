"""constraints.txt names one exact version of everything that is installed, and says what pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = sorted(
    {
        *PROJECT["project"]["dependencies"],
        *(each for group in PROJECT["dependency-groups"].values() for each in group if isinstance(each, str)),
    }
)


def pinned() -> dict[str, str]:
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}


def test_lines_are_names_and_versions_only() -> None:
    wrong = [line for line in LINES if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*", line)]
    assert not wrong, "addresses, options and digests do not belong in constraints.txt"
    assert sorted(LINES) == LINES
    assert len(pinned()) == len(LINES)


@pytest.mark.parametrize("wanted", WANTED)
def test_what_is_wanted_is_pinned_to_what_is_allowed(wanted: str) -> None:
    requirement = Requirement(wanted)
    version = pinned().get(canonicalize_name(requirement.name))
    assert version, f"constraints.txt has no {requirement.name}"
    assert requirement.specifier.contains(version), f"pyproject.toml wants {wanted}, constraints.txt has {version}"
