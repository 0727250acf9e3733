"""Pages lead to pages and files that are there, and everything in docs/ can be reached from its index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import PAGES, ROOT, anchors, named, prose

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_PATH = re.compile(r"`(?P<path>(?:[\w.-]+/)+(?:[\w-]+\.(?:py|md|toml|sh|txt|json|sql))?|[A-Z]+\.md)`")
_OURS = {path.name for path in ROOT.iterdir()} | {path.name for path in (ROOT / "src" / "freehold").iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for match in _LINK.finditer(prose(page)):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{named(page)}: there is no {match['target']}"
        assert not anchor or anchor in anchors(there), f"{named(page)}: there is no {match['target']}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_named_files_are_there(page: Path) -> None:
    folders = (ROOT, ROOT / "src" / "freehold", page.parent)
    for match in _PATH.finditer(prose(page)):
        path = match["path"]
        if path.split("/")[0] in _OURS or path.count("/") == 0:
            assert any((folder / path).exists() for folder in folders), f"{named(page)}: there is no {path}"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    targets = {match["target"] for match in _LINK.finditer(prose(index))}
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs") and page != index:
            within = page.relative_to(index.parent).as_posix()
            is_listed = within in targets or f"{within.rpartition('/')[0]}/README.md" in targets
            assert is_listed, f"docs/README.md does not lead to {within}"
