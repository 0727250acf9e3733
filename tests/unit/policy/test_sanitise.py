"""Answers cleaned: every construct that can fetch, lead away or hide, and what must stay as it is."""

from __future__ import annotations

import base64

import pytest

from freehold.policy.hidden import without_hidden
from freehold.policy.links import hosts_of
from freehold.policy.sanitise import BLOCK_CHARACTERS_MAX, Sanitiser, sanitise, sanitise_json

HOSTS = hosts_of([], ["corp.test"])
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
GONE = "link to `evil[.]test` removed"
IMAGE = "(image from `evil[.]test` removed)"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("![a](https://evil.test/1)", f"a {IMAGE}"),
        ("![a](https://corp.test/1)", "a (image from `corp[.]test` removed)"),
        ("![a][r]\n\n[r]: https://evil.test/1", f"a {IMAGE}\n\nr: {GONE}"),
        ("[a](https://evil.test/1 'https://evil.test/2')", f"a ({GONE})"),
        ("[a](https://corp.test/1)", "[a](https://corp.test/1)"),
        ("[a](https://corp.test/1 'hidden words')", "[a](<https://corp.test/1>)"),
        ("[a][]\n\n[a]: https://evil.test/1", f"a ({GONE})\n\na: {GONE}"),
        ("<https://evil.test/1>", GONE),
        ("<https://corp.test/1>", "<https://corp.test/1>"),
        ("<a@evil.test>", GONE),
        ("https://evil.test/1", f"({GONE})"),
        ("[a](javascript:x)", "a (link removed)"),
        ("[a](data:text/html,x)", "a (link removed)"),
        ("[a](vbscript:x)", "a (link removed)"),
        ("[a](/local)", "a (link removed)"),
        ("[a](https://ap\u0440le.test/)", "a (link to `xn--aple-h6d[.]test` removed)"),
        (f"![dot]({PNG})", f"![dot]({PNG})"),
        ("![x](data:image/svg+xml;base64,PHN2Zz4=)", "x (image removed)"),
        ("![x](data:image/png;base64,PHN2Zz4=)", "x (image removed)"),
        ("<img src='https://evil.test/1' alt='pie'>", "pie (image removed)"),
        ("<svg><image href='//evil.test/1'/></svg>after", "after"),
        ("<video poster='//evil.test/1'>x</video>end", "end"),
        ("a <span style='font-size:0'>hidden</span> b", "a  b"),
        ("a <span style='display: none'>hidden</span> b", "a  b"),
        ("a <b onclick='x'>bold</b> b", "a bold b"),
        ("a <!-- hidden --> b", "a  b"),
        ("<script>fetch('//evil.test')</script>x", "x"),
        ("<style>@import '//evil.test'</style>\n\nx", "x"),
        ("<a href='https://evil.test/1'>go</a>", "go (link to evil\\[.\\]test removed)"),
        ("`https://evil.test/1`", "`https[:]//evil[.]test/1`"),
        ("```python\nget('https://evil.test/1')\n```", "```python\nget('https[:]//evil[.]test/1')\n```"),
        ('```mermaid\nclick A "//evil.test/1"\n```', '```\nclick A "//evil[.]test/1"\n```'),
        ("```html\n<p>x</p>\n```", "```\n<p>x</p>\n```"),
        ("http&#58;//evil.test/1", f"({GONE})"),
        ("\\[a\\](https://evil.test/1)", f"({GONE})"),
        ("$\\href{https://evil.test/1}{x}$", "({})".format("link to `evil[.]test` removed")),
        ("a\u200bb\u202ec\U000e0041d", "abcd"),
        ("see &#8203;x", "see x"),
    ],
)
def test_constructs(text: str, cleaned: str) -> None:
    assert sanitise(text, HOSTS).text == cleaned


WHOLE = """# A title

Words with *emphasis*, `code`, a [link](https://corp.test/a), a file README.md and 10:30.

- one
  - two

1. first
2. second

> said

| a | b |
|---|:-:|
| 1 | `x` |

```python
print("hello", obj.attr)
```
"""


def test_what_harms_nobody_passes_byte_for_byte() -> None:
    assert sanitise(WHOLE, HOSTS).text == WHOLE
    assert sanitise(WHOLE, HOSTS).removed == ()


def test_only_the_block_with_something_in_it_is_written_again() -> None:
    found = sanitise(f"*  odd\n*  marks\n\n{WHOLE}\n\n![x](//evil.test)\n", HOSTS)
    assert found.text.startswith("*  odd\n*  marks\n\n" + WHOLE)
    assert found.removed == (("image", 1),)


def test_everything_is_written_again_as_what_it_was() -> None:
    bad = "[x](//evil.test)"
    text = f"- a {bad}\n- b\n\n> q {bad}\n\n| h | {bad} |\n|:--|--:|\n| `a` | **b** |\n\n3. c {bad}\n   d\n\n## t {bad}\n\n~~s~~ {bad}"
    x = f"x ({GONE})"
    assert sanitise(text, HOSTS).text == (
        f"- a {x}\n- b\n\n> q {x}\n\n| h | {x} |\n| :-- | --: |\n| `a` | **b** |\n\n3. c {x}\n   d\n\n## t {x}\n\n~~s~~ {x}"
    )


def test_indented_code_cannot_become_text_behind_what_was_written_again() -> None:
    found = sanitise("<pre>a</pre>\n    ![x](https://evil.test/1)", HOSTS).text
    assert found == "a\n\n```\n![x](https[:]//evil[.]test/1)\n```"


def test_what_is_nested_too_deep_to_be_read_becomes_code() -> None:
    found = sanitise("> " * 70 + "![x](https://evil.test/1)", HOSTS)
    assert found.text.startswith("```\n")
    assert "evil.test" not in found.text
    assert found.removed == (("plain", 1),)


def test_a_block_without_end_is_cut_and_closed() -> None:
    sanitiser, written = Sanitiser(HOSTS), ""
    text = "```python\n" + "x = 1\n" * BLOCK_CHARACTERS_MAX
    for place in range(0, len(text), 1000):
        written += sanitiser.feed(text[place : place + 1000])
        assert len(text[: place + 1000]) - len(written) < 2 * BLOCK_CHARACTERS_MAX
    written += sanitiser.close()
    assert written == sanitise(text, HOSTS).text
    assert written.startswith("```python\nx = 1\n")
    assert "x = 1\n```\n\nx = 1" in written


def test_blocks_come_as_soon_as_the_next_one_begins() -> None:
    sanitiser = Sanitiser(HOSTS)
    assert sanitiser.feed("One.\n\nTw") == ""
    assert sanitiser.feed("o.\n\nThree.\n") == "One.\n\nTwo.\n\n"
    assert sanitiser.close() == "Three.\n"


def test_json_stays_json() -> None:
    plain = '{"a": [1, "words_with_marks*", true], "b": "x"}'
    assert sanitise_json(plain, HOSTS).text == plain
    found = sanitise_json('{"a": ["![x](https://evil.test/1)"], "b": 1}', HOSTS)
    assert found.text == '{"a": ["x (image from `evil[.]test` removed)"], "b": 1}'
    assert sanitise_json("not json ![x](//evil.test)", HOSTS).text == f"not json x {IMAGE}"


@pytest.mark.parametrize(
    "text", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "\u06cc\u200c\u0646", "1\ufe0f\u20e3"]
)
def test_joiners_stay_where_they_mean_something(text: str) -> None:
    assert without_hidden(text) == text
