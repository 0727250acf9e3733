"""Nobody is let in by a key, a password or a name that comes with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from freehold.identity.keys import new_secret
from tests.support.documents import ROOT, blocks

SHIPPED = sorted(
    path
    for path in (*ROOT.glob("*"), *(ROOT / "src").rglob("*"), *(ROOT / "docs").rglob("*"), *(ROOT / "demo").rglob("*"))
    if path.is_file() and path.suffix in {".py", ".toml", ".md", ".json", ".sql", ".txt", ".sh"}
)
A_KEY = re.compile(r"fh-[A-Za-z0-9_-]{43}\b|\bsk-[A-Za-z0-9_-]{16,}")
FAMILIAR = re.compile(
    r"\b(?:changeme|change-me|letmein|admin[:/]admin|root:root|admin123|hunter2|default[_ -]password|passw0rd)\b",
    re.IGNORECASE,
)
ASSIGNED = re.compile(
    r"\b(?:password|passwd|api_key|secret|token)\s*=\s*[\"'](?!env:|file:|fh-…|not-needed)([^\"']{4,})[\"']",
    re.IGNORECASE,
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_nothing_that_is_shipped_holds_a_credential() -> None:
    assert len(SHIPPED) > 500
    texts = {named(path): path.read_text(encoding="utf-8") for path in SHIPPED}
    held = {
        name: [found[0] for pattern in (A_KEY, FAMILIAR, ASSIGNED) if (found := pattern.search(text))]
        for name, text in texts.items()
    }
    assert not {name: found for name, found in held.items() if found}


def secrets_in(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [found for name, each in value.items() for found in secrets_in(each, f"{path}.{name}")]
    return (
        [(path, value)]
        if isinstance(value, str) and re.search(r"(?<!^v)key|secret|token|password", path.rpartition(".")[2])
        else []
    )


def configurations() -> list[str]:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    shown = [block.text for page in pages for block in blocks(page) if block.language == "toml"]
    files = [path.read_text("utf-8") for path in SHIPPED if path.suffix == ".toml" and path.name != "pyproject.toml"]
    return [*shown, *files]


def test_every_secret_of_a_configuration_is_a_reference() -> None:
    seen = [found for text in configurations() for found in secrets_in(tomllib.loads(text))]
    assert seen
    assert [found for found in seen if not found[1].startswith(("env:", "file:", "/", "tls", "."))] == []


def test_a_key_is_made_of_chance() -> None:
    made = {new_secret() for _ in range(1_000)}
    assert len(made) == 1_000
    assert A_KEY.fullmatch(made.pop())


def test_the_search_finds_what_it_looks_for() -> None:
    for planted in ("admin/admin", "password = 'letmein'", 'api_key = "abcdef"'):
        assert FAMILIAR.search(planted) or ASSIGNED.search(planted)
    assert not ASSIGNED.search('api_key = "env:OPENAI_API_KEY"')
