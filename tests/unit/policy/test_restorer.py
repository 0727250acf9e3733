"""The streaming restorer: where it restores, where it never does, and the faults of others that it must not have."""

from __future__ import annotations

import json

import pytest

from freehold.domain.findings import Finding
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE
from freehold.policy.pseudonyms import TOKEN_CHARACTERS_MAX, PseudonymMap, pseudonymise
from freehold.policy.restorer import Restorer
from tests.support.labels import label

T = "⟦PERSON_0123abcd⟧"
ANN = "Ann Lee"
MAP = PseudonymMap(values={T: ANN})
ORIGINAL = Label(level=Level.CONFIDENTIAL, kinds=frozenset({"pii"}), zones=frozenset({DEVICE}))
LOWER = label(Level.PUBLIC)


def restorer(
    pseudonyms: PseudonymMap = MAP, *, cleared_for: Label = ORIGINAL, arguments: bool = False, tools: bool = False
) -> Restorer:
    return Restorer(pseudonyms, original=ORIGINAL, cleared_for=cleared_for, arguments=arguments, tools_cleared=tools)


def restored(text: str, pseudonyms: PseudonymMap = MAP) -> str:
    one = restorer(pseudonyms)
    return one.feed(text) + one.finish()


@pytest.mark.parametrize(
    "text",
    [
        "Dear §,",
        "§",
        "§§",
        "> § wrote\n\n- §\n1. §\n# §",
        "| § | 5 |",
        "**§** and _§_ and `§`",
        "```\nprint('§')\n```",
        '{"name":"§"}',
        "a < b, §, c > d",
        "wow! § [§] (§) [§]: x",
        "see [docs](https://example.com/a_(b) 'c') for §",
        "see https://example.com/x §",
        "<b>§</b>",
        "![cat](/cat.png) §",
        "[a](b\n\n§",
        "[r]: /x\n§",
        "- [ ] §",
        "x[0]: §",
        "(§)",
    ],
)
def test_plain_words_are_restored(text: str) -> None:
    assert restored(text.replace("§", T)) == text.replace("§", ANN)


@pytest.mark.parametrize(
    "text",
    [
        # addresses
        "https://evil.example/§",
        "HTTPS://evil.example/?q=a,§",
        "//evil.example/§",
        "www.evil.example/§",
        "mailto:§",
        "https:\\/\\/evil.example/§",
        "https&#58;//evil.example/§",
        "https&colon;§",
        "https://evil.example/\u00a0§",
        f"https://evil.example/{'x' * 200}§",
        # links, in all spellings
        "[click](https://evil.example/§)",
        "[click](/redirect?to=§)",
        "[click]( /x § )",
        "[click](</x §>)",
        "[click](<a)§>)",
        "[click](<)§>)",
        "[click](/a\\)§)",
        "[click](/a(b)§)",
        '[click](/a "title) §")',
        "[click](/a 'title) §')",
        "[click](/a\n§)",
        "[r]: /x/§",
        "[r]:\n  /x/§",
        "[r]:\r\n/x/§",
        "[long\nname]: /x/§",
        "> > [r]: /x/§",
        "- [r]: <§>",
        "<https://evil.example/§>",
        "<§@evil.example>",
        "`](<` [a](/x(>)§))",
        # images
        "![§](/x)",
        "![a](/x?§)",
        "![a [b] §](/x)",
        "[![a](/§)](/x)",
        "![§][r]",
        # markup
        "<a href='/x?§'>",
        "<img src=/§>",
        '<img alt=">" src=§>',
        '<img alt=a" title=">" src=§>',
        '<a =" b=">" href=§>',
        "<img\nsrc\n=\n§>",
        "<!-- > <b x=\" --> <img y='\">' src=§>",
        "<div style=\"background:url('§')\">",
        "<script>send('§')</script>",
        "<style>a{background:url(§)}</style>",
        "<svg><text>§</text></svg>",
        # what agents take calls of tools from
        '{"name": "send", "arguments": {"to": "§"}}',
        "{'arguments': '§'}",
        '{"\\u0061rguments": "§"}',
        "<tool_call>§</tool_call>",
        "<function=send>§",
        "<|python_tag|>send('§')",
        "[TOOL_CALLS] §",
        "Action Input: §",
        "Action: send\n\nAction Input: {§",
    ],
)
def test_nothing_is_restored_where_a_program_follows_it(text: str) -> None:
    given = text.replace("§", T)
    one = restorer()
    assert one.feed(given) + one.finish() == given
    assert one.restored == 0
    assert sum(one.kept.values()) == given.count(T)


def test_a_value_that_would_begin_a_link_itself_is_not_shown() -> None:
    phone = PseudonymMap(values={T: "(030) 1234"})
    assert restored(f"[call]{T}", phone) == f"[call]{T}"
    assert restored(f"call {T}", phone) == "call (030) 1234"
    assert restored(f"hi {T}", PseudonymMap(values={T: "<img src=x"})) == f"hi {T}"


def test_a_value_may_be_an_address_and_what_follows_it_is_a_part_of_it() -> None:
    address = PseudonymMap(values={T: "https://intranet.example/ann"})
    assert restored(f"see {T}, {T}{T}", address) == (
        f"see https://intranet.example/ann, https://intranet.example/ann{T}"
    )


@pytest.mark.parametrize(
    ("begin", "end"), [('"argum', 'ents": '), ("see https:/", "/evil.example/"), ("[a](", "/x"), ("<scr", "ipt>")]
)
def test_what_was_sent_long_ago_is_remembered(begin: str, end: str) -> None:
    """More than is kept before it is looked at: what begins in one look ends in the next."""
    one = restorer()
    one.feed("x" * (1 << 16) + " " + begin)
    assert one.feed(f"{end}{T}") == f"{end}{T}"


def test_a_tangle_of_links_is_one_to_its_end() -> None:
    text = "[a](" * 200 + "\n\n" + T
    assert restored(text) == text


def test_whoever_is_not_cleared_gets_tokens() -> None:
    one = restorer(cleared_for=LOWER)
    assert one.feed(f"Dear {T},") == f"Dear {T},"
    assert one.kept == {"not cleared": 1}


def test_arguments_are_restored_for_cleared_tools_only_and_stay_json() -> None:
    pseudonyms = PseudonymMap(values={T: 'Ann "A" Lee\n'})
    arguments = json.dumps({"to": T, "url": f"https://x.example/{T}"}, ensure_ascii=False, separators=(",", ":"))
    one = restorer(pseudonyms, arguments=True)
    assert one.feed(arguments) == arguments
    cleared = restorer(pseudonyms, arguments=True, tools=True)
    got = json.loads(cleared.feed(arguments) + cleared.finish())
    assert got == {"to": 'Ann "A" Lee\n', "url": f"https://x.example/{T}"}
    escaped = '{"url":"https://x.example/?a=\\"' + T + '"}'
    assert restorer(arguments=True, tools=True).feed(escaped) == escaped


def test_unknown_tokens_stay_and_are_counted() -> None:
    one = restorer()
    text = "⟦PERSON_00000000⟧ ⟦person_0123abcd⟧ ⟦PERSON_0123ABCD⟧"
    assert one.feed(text) == text
    assert one.unknown == 3


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Dear ⟦", 1),
        ("Dear ⟦PERSON_01", 10),
        ("Dear ⟦⟦PER", 4),
        ("Dear ⟦PERSON 01", 0),
        ("Dear ⟦" + "A" * 17, 0),
        ("Dear ⟦A_" + "0" * 21, 0),
        ("Dear ⟦A_0⟧", 0),
    ],
)
def test_it_holds_only_what_may_become_a_token(text: str, held: int) -> None:
    one = restorer()
    out = one.feed(text)
    assert one.held_characters == held <= TOKEN_CHARACTERS_MAX
    assert out + one.finish() == text
    assert one.held_characters == 0


# --- faults of others (BerriAI/litellm) ---------------------------------------------------------------


def found(text: str, value: str) -> Finding:
    start = text.index(value)
    return Finding(start=start, end=start + len(value), kind="pii", type="PERSON")


def test_14516_an_answer_does_not_stay_masked() -> None:
    said = pseudonymise(["I am Ann Lee."], [[found("I am Ann Lee.", ANN)]], b"k" * 16)
    (token,) = said.map.values
    assert restored(f"Hello {token}, {token}!", said.map) == "Hello Ann Lee, Ann Lee!"


def test_19950_no_map_is_shared_between_conversations() -> None:
    one = pseudonymise(["Ann Lee"], [[found("Ann Lee", ANN)]], b"a" * 16)
    other = pseudonymise(["Bob Roe"], [[found("Bob Roe", "Bob Roe")]], b"b" * 16)
    assert not set(one.map.values) & set(other.map.values)
    (token,) = one.map.values
    assert restored(f"{token}", other.map) == token
    assert other.map.values.keys() == {other.texts[0]}


def test_6247_the_value_that_is_kept_is_the_one_that_stood_there() -> None:
    text = "My name is Mike. What is the weather like for Mike. And Wh?"
    findings = [Finding(start=text.index("Mike"), end=text.index("Mike") + 4, kind="pii", type="PERSON"),
                Finding(start=text.rindex("Mike"), end=text.rindex("Mike") + 4, kind="pii", type="PERSON")]  # fmt: skip
    done = pseudonymise([text], [findings], b"k" * 16)
    assert list(done.map.values.values()) == ["Mike"]
    assert restored(done.texts[0], done.map) == text


def test_29134_31503_the_first_words_do_not_wait_for_the_last() -> None:
    one = restorer()
    pieces = ["Hello ", "there ", "⟦", "PERSON_", "0123abcd", "⟧", ", ", "how ", "are you?"]
    sent = [one.feed(each) for each in pieces]
    assert sent == ["Hello ", "there ", "", "", "", ANN, ", ", "how ", "are you?"]


def test_8359_what_goes_out_holds_no_value_wherever_it_stood() -> None:
    from freehold.policy.message_texts import texts_of, with_texts

    messages: list[object] = [
        {"role": "user", "name": "Ann Lee", "content": [{"type": "text", "text": "I am Ann Lee"}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"Ann Lee": "Ann\\u0020Lee"}'}}]},
        {"role": "tool", "content": "Ann Lee: 42"},
    ]
    texts = texts_of(messages).texts
    findings = [[found(each, ANN)] if ANN in each else [] for each in texts]
    done = pseudonymise(texts, findings, b"k" * 16)
    sent = json.dumps(with_texts(messages, done.texts), ensure_ascii=False)
    assert "Ann" not in sent
    assert "Lee" not in sent
    assert done.counts == {"PERSON": 5}
