"""docs/reference/http.md says of every route, scope and header what the code does."""

from __future__ import annotations

import ast
import json
import re

import pytest

import freehold.cli.explain  # noqa: F401 - it imports every family of errors
from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES
from freehold.domain.errors.base import catalogue, message_template
from tests.support.documents import ROOT, Block, blocks, rows

PAGE = ROOT / "docs" / "reference" / "http.md"
SOURCES = [*(ROOT / "src" / "freehold" / "api").glob("*.py"), *(ROOT / "src" / "freehold" / "wire").glob("*.py")]


def header_words() -> set[str]:
    """Every ``freehold-…`` that the code which reads and writes HTTP has as a whole string."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if isinstance(text, str) and re.fullmatch(r"freehold-[a-z-]+", text):
                found.add(text)
    return found


def documented(heading: str) -> list[str]:
    return [name for row in rows(PAGE, below=heading) for name in re.findall(r"`(freehold-[a-z-]+)`", row[0])]


def test_routes() -> None:
    table = [(method, path.strip("`"), scope.strip("`")) for method, path, scope, _ in rows(PAGE, below="# HTTP")]
    served = [("POST", route.path.decode(), "infer") for route in INFERENCE_ROUTES]
    served += [(route.method, route.path.replace(":path}", "}"), route.access.scope or "none") for route in VIEW_ROUTES]
    assert table == served


def test_headers() -> None:
    requests, responses = documented("## Request headers"), documented("## Response headers")
    assert set(requests) | set(responses) == header_words()
    # freehold-label goes both ways.
    assert len(requests) + len(responses) == len(header_words()) + 1


@pytest.mark.parametrize("block", [block for block in blocks(PAGE) if block.language == "json"], ids=lambda b: b.place)
def test_the_error_shown_is_one_that_is_sent(block: Block) -> None:
    error = json.loads(block.text)["error"]
    kind = catalogue()[error["freehold_code"]]
    template = re.sub(r"\\\{\w+(!s)?\\\}", ".*", re.escape(message_template(kind)))
    assert re.fullmatch(template, error["message"])
    assert (error["type"], error["code"]) == (kind.type, kind.openai_code or kind.code)
