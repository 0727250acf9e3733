"""Every page of ours, served or written, says that it fetches nothing from anywhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from freehold.api.routes import VIEW_ROUTES
from tests.support.inside import Answer, inside
from tests.support.objects import kind_of

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "freehold"
OWN = re.compile(r"'(?:none|self|sha256-[A-Za-z0-9+/=]+|nonce-[A-Za-z0-9+/=_-]+)'|data:")
META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">')
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


def is_strict(policy: str) -> bool:
    """Whether a policy names nobody else, and says something of what it does not name."""
    directives = {words[0]: words[1:] for part in policy.split(";") if (words := part.split())}
    if "default-src" not in directives or {"'unsafe-eval'", "*"} & {
        word for words in directives.values() for word in words
    }:
        return False
    images = directives.get("img-src", directives["default-src"])
    others = [word for name, words in directives.items() if name != "img-src" for word in words if word != "data:"]
    return all(OWN.fullmatch(word) for word in (*images, *others))


def unsafe(answer: Answer) -> bool:
    """Whether an answer is a page that might fetch from elsewhere."""
    fields = dict(answer.headers)
    if "html" not in fields.get("content-type", "") and b"<html" not in answer.body[:2000].lower():
        return False
    return not is_strict(fields.get("content-security-policy", ""))


def test_every_page_that_is_served(tmp_path: Path) -> None:
    with inside(tmp_path) as gateway:
        key, _ = gateway.key("ours", "infer", "manage", "admin")
        paths = {
            PARAMETER.sub(lambda found, path=row.path: kind_of(found[1], path).missing, row.path)
            for row in VIEW_ROUTES
            if row.method == "GET"
        }
        fields = {"Accept": "text/html"}
        asked = [
            gateway.ask("GET", path, key=key, headers=fields)
            for path in sorted(paths | {"/", "/nothing", "/favicon.ico"})
        ]
        assert not [answer.raw[:200] for answer in asked if unsafe(answer)]
        assert any(answer.status == 200 for answer in asked)


def test_every_page_that_is_written() -> None:
    pages = sorted((ROOT / "tests" / "golden").rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text("utf-8")
        found = META.search(text)
        assert found is not None, page
        assert is_strict(found[1]), found[1]
        # What stands before it is not held to it.
        assert not re.search(r"<(?!!doctype|html|head|meta charset)", text[: found.start()], re.IGNORECASE), page


def test_whoever_makes_a_page_gives_it_a_policy() -> None:
    for source in SOURCES.rglob("*.py"):
        if source.is_relative_to(SOURCES / "vault" / "parsing"):
            continue  # it reads pages of others
        text = source.read_text("utf-8")
        if "<!doctype html" in text.lower() or "text/html" in text:
            assert "content-security-policy" in text.lower(), f"{source}: a page without a policy"


@pytest.mark.parametrize(
    ("policy", "strict"),
    [
        ("default-src 'none'; style-src 'sha256-AAAA='; base-uri 'none'", True),
        ("default-src 'self'; img-src 'self' data:", True),
        ("img-src 'self'", False),
        ("default-src 'self'; img-src *", False),
        ("default-src 'self' https://cdn.test", False),
        ("default-src 'none'; script-src 'unsafe-eval'", False),
        ("", False),
    ],
)
def test_the_measure(policy: str, strict: bool) -> None:
    assert is_strict(policy) is strict
