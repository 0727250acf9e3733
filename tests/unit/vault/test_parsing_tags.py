"""HTML as tags and text, and what is made so that reading it never ends."""

from __future__ import annotations

import time

import pytest

from freehold.vault.parsing.tags import Tag, tags

MIB = 1 << 20


def test_tags_texts_and_attributes_are_told_apart() -> None:
    page = '<p Class=x data-y="1 > 2" hidden>a &amp; b < c <b>d</B><!-- <i> --><br/>e<title>A &lt; B</title><script>a<b</script>z <<< y'
    assert list(tags(page)) == [
        Tag("p", ends=False, attributes={"class": "x", "data-y": "1 > 2", "hidden": ""}), "a & b ", "<", " c ",
        Tag("b", ends=False), "d", Tag("b", ends=True), Tag("br", ends=False), "e",
        Tag("title", ends=False), "A < B", Tag("title", ends=True), Tag("script", ends=False), Tag("script", ends=True),
        "z ", "<<<", " y",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<a b='c ", '<a b="', "b = ", "<![", "&", "</", "</a", "<?", "<!--", "<script>", "<title>", " "],
)
def test_what_never_ends_is_scanned_once(piece: str) -> None:
    page = "<html><a " + piece * (MIB // len(piece))
    began_s = time.process_time()
    for _ in tags(page):
        pass
    # The standard library's parser takes minutes for some of these.
    assert time.process_time() - began_s < 5
