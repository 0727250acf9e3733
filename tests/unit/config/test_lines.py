"""Keys have the line that they stand on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from freehold.config.lines import KeyPath, dotted, line_index, line_of, split_dotted

ROOT = Path(__file__).parents[3]

TEXT = """\
# comment
top = 1
[server] # [not.a.table]
host = "a # b" # c = 1
"qu.ed".x."y\\u0041" = 'z'
multi = \"\"\"
[not]
a = 1 \\\"\"\" still
\"\"\"
literal = '''
x = 2''''
empty = ""
items = [ # ]
  1, "two]",
  [3, 4],
  { a = 1, b = { c = "}" } },
]
when = 2026-01-01 10:00:00
[[ list . of ]]
x = 1
[list.of.deep]
y = 2
[[list.of]]
x = 3
"""


def paths_of(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every path that tomllib found."""
    found: set[KeyPath] = {path} if path else set()
    if isinstance(value, dict):
        for name, inner in value.items():
            found |= paths_of(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found |= paths_of(inner, (*path, number))
    return found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("server",), 3),
        (("server", "host"), 4),
        (("server", "qu.ed", "x", "yA"), 5),
        (("server", "multi"), 6),
        (("server", "literal"), 10),
        (("server", "empty"), 12),
        (("server", "items"), 13),
        (("server", "items", 1), 14),
        (("server", "items", 2, 1), 15),
        (("server", "items", 3, "b", "c"), 16),
        (("server", "when"), 18),
        (("list", "of", 0, "x"), 20),
        (("list", "of", 0, "deep", "y"), 22),
        (("list", "of", 1, "x"), 24),
    ],
)
def test_line(path: KeyPath, line: int) -> None:
    assert line_index(TEXT)[path] == line


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("\n", "\r\n"),
        "",
        "a = 1",
        "a.b.c = { d.e = [[], {}] }",
        *((ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "src/freehold/serving/catalogue.toml")),
    ],
    ids=range(7),
)
def test_the_index_holds_exactly_what_the_parser_found(text: str) -> None:
    assert set(line_index(text)) == paths_of(tomllib.loads(text))


def test_what_was_not_written_has_the_line_of_its_table() -> None:
    index = line_index(TEXT)
    assert line_of(("server", "port"), index) == 3
    assert line_of(("site", "region"), index) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("server", "port"), "server.port"),
        (("deployments", "qwen2.5", "slots"), 'deployments."qwen2.5".slots'),
        (("routes", "auto", "deployments", 0), "routes.auto.deployments[0]"),
        (("aliases", 'a"b'), 'aliases."a\\"b"'),
        (("aliases", ""), 'aliases.""'),
    ],
)
def test_dotted_and_back(path: KeyPath, text: str) -> None:
    assert dotted(path) == text
    assert split_dotted(text) == path


@pytest.mark.parametrize("text", ["", "a.", ".a", "a b", "a[x]", 'a."b'])
def test_no_dotted_key(text: str) -> None:
    with pytest.raises(ValueError, match="is no dotted key"):
        split_dotted(text)
