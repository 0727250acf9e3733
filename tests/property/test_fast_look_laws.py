"""The fast look over a request's bytes never misses what the full look at its texts finds."""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.memory import NoFiles, NothingRemembered
from freehold.domain.request import ContentPart, InferenceRequest, Message, PartKind, Task
from freehold.gateway.flow import AT_ONCE_BYTES_MAX, PIECE_BYTES, Flow
from freehold.policy import markings
from freehold.policy.flow import FlowRules
from freehold.policy.markings import WORDS, Markings, pieces_above
from freehold.policy.pieces import any_of
from freehold.policy.sources import in_force
from freehold.wire.messages_request import decode_messages
from freehold.wire.openai_request import decode_chat
from freehold.wire.said import NAMING, UNREAD_NATIVE, raw_of, said_in
from tests.support.labels import TREE, label

MARKINGS = Markings(TREE)
PIECES = tuple(piece.decode() for piece in pieces_above(Level.PUBLIC) if b"\\" not in piece)
SAID = [
    *WORDS, "TLP:RED", "tlp amber+strict", "msip_label_11111111-2222-3333-4444-555555555555_Enabled", "mip:",
    "X-Freehold-Label: restricted", "Classification: ", "document is ", "[", "]", "\n", " ", "internet", "international",
]  # fmt: skip
ODD = '\u0130\u0131\u017f\u212aé—漢\u0307\x7f\x00\\"/'


@st.composite
def written(draw: st.DrawFn, *, most: int = 6) -> str:
    """A text that is nearly a marking, in letters of any case."""
    words = st.sampled_from(SAID) | st.text(ODD, max_size=3) | st.text(max_size=20)
    text = "".join(draw(st.lists(words, max_size=most)))
    text = "".join(draw(st.sampled_from((str.upper, str.lower, str.swapcase, str.title)))(each) for each in [text])
    return text.replace("i", draw(st.sampled_from("ii\u0130I"))).encode(errors="replace").decode()


def as_json(text: str, picks: random.Random, share: float) -> str:
    """JSON of a text, some of whose letters are written as numbers."""
    inner = json.dumps(text, ensure_ascii=picks.random() < 0.5)[1:-1]
    parts = re.findall(r"\\u[0-9a-f]{4}|\\.|[^\\]", inner, re.DOTALL)
    return '"' + "".join(_letter(each, picks) if picks.random() < share else each for each in parts) + '"'


def _letter(each: str, picks: random.Random) -> str:
    if len(each) > 1 or ord(each) > 0xFFFF:
        return each
    return f"\\u{ord(each):04X}" if picks.random() < 0.5 else f"\\u{ord(each):04x}"


@given(written(), st.randoms(use_true_random=False), st.sampled_from([0, 0, 0.1, 1]), st.binary(max_size=4))
def test_where_a_marking_is_found_its_bytes_say_so(text: str, picks: random.Random, share: float, junk: bytes) -> None:
    encoded = as_json(text, picks, share)
    assert json.loads(encoded) == text
    for floor in Level:
        if MARKINGS.of([text], floor=floor):
            assert MARKINGS.may_be_in(encoded.encode(), floor=floor)
            assert MARKINGS.may_be_in(junk + text.encode() + junk, floor=floor)


@given(st.binary(max_size=200) | written().map(str.encode), st.sampled_from(PIECES), st.integers(0, 200))
def test_one_search_finds_what_one_search_a_piece_finds(raw: bytes, piece: str, place: int) -> None:
    wanted = tuple(each.encode() for each in PIECES)
    for each in (raw, raw[:place] + piece.title().encode() + raw[place:]):
        is_in = any(one in each.lower() for one in wanted)
        assert any_of(wanted)(each) is (is_in or (not each.isascii() and "\u0130".encode() in each))


@given(st.lists(written(most=3), max_size=4), st.integers(0, 3_000), st.sampled_from(["x", "x\ny ", "é ", "\ud800"]))
def test_a_long_text_has_the_pieces_that_it_has(texts: list[str], gap: int, filler: str) -> None:
    lowered = (filler * gap).join(texts).lower()
    assert markings._present(lowered, PIECES) == tuple(piece for piece in PIECES if piece in lowered)


@given(written() | st.text("intern alo_-é", max_size=40), st.integers(0, 40))
def test_words_that_only_begin_like_a_marking_are_passed_over(text: str, start: int) -> None:
    lowered = text.lower()
    match = markings._INTERN_WORD.search(lowered, start)
    assert markings._next(lowered, "intern", start) == (-1 if match is None else match.start())


# --- requests -------------------------------------------------------------------------------------

RULES = {
    False: FlowRules.plain(TREE),
    True: FlowRules(
        markings=MARKINGS,
        sources=in_force(
            {
                "hr": ("tool:salaries", label(Level.RESTRICTED)),
                "legal": ("file:/legal/**", label(Level.INTERNAL)),
                "mail": ("connector:mail/**", label(Level.CONFIDENTIAL)),
            }
        ),
        unread=label(Level.CONFIDENTIAL),
    ),
}
PARTS = [
    {"type": "text", "text": "hello", "source": "connector:mail/in"},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
    {"type": "file", "file": {"filename": "/legal/a.txt", "file_data": "data:text/plain;base64,AAAA"}},
    {"type": "text", "text": "hello", "extra": {"type": "image", "source": {"type": "url", "url": "x"}}},
    {"type": "text", "text": "hello", "file_id": "file-1"},
]
BLOCKS = [
    {"type": "document", "title": "/legal/a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {"type": "tool_result", "tool_use_id": "t1", "content": "x"},
    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]},
    {"type": "text", "text": "hello", "extra": {"type": "image", "source": {"type": "url", "url": "x"}}},
    {"type": "text", "text": "hello", "citations": [{"type": "x", "file_id": "file-1"}]},
]


def full_look(request: InferenceRequest, lowest: Label, rules: FlowRules) -> tuple[tuple[LabelSource, ...], list[str]]:
    """What is found by looking for everything everywhere, one thing after the other."""
    raw, said = raw_of(request), said_in(request)
    pieces = [
        *pieces_above(lowest.level),
        *(NAMING if rules.sources else ()),
        *(UNREAD_NATIVE if request.native else ()),
    ]
    is_said = any(piece in (raw if piece.startswith(b'"') else raw.lower()) for piece in (*pieces, "\u0130".encode()))
    unread = said.unread | {kind.value for kind in request.content_kinds & {"image", "audio", "file"}}
    if not is_said and not request.content_kinds & {"image", "audio", "file"}:
        return (), said.file_ids
    if said.file_ids:
        unread -= {"file"} - said.unread
    told = rules.of_parts(
        texts=said.texts, names=said.names, tools=said.tools, filenames=said.filenames, unread=unread,
        floor=lowest.level,
    )  # fmt: skip
    return told, said.file_ids


async def looked(request: InferenceRequest, lowest: Label, rules: FlowRules) -> tuple[LabelSource, ...]:
    flow = Flow(memory=NothingRemembered(), files=NoFiles())
    found = flow.at_once(request, tenant="default", label=lowest, rules=rules)
    if found is None:
        found = await flow.look(request, tenant="default", label=lowest, rules=rules, tree=TREE)
    return found


@pytest.mark.parametrize("is_native", [False, True], ids=["chat", "messages"])
@given(
    texts=st.lists(st.just("plain") | written(), min_size=1, max_size=3),
    part=st.sampled_from([None, *range(len(PARTS))]),
    length=st.sampled_from([0, AT_ONCE_BYTES_MAX, 64 * 1024, PIECE_BYTES - 400, 2 * PIECE_BYTES]),
    has_sources=st.booleans(),
    level=st.sampled_from([Level.PUBLIC, Level.INTERNAL]),
    picks=st.randoms(use_true_random=False),
    share=st.sampled_from([0, 0, 0.05]),
)
def test_a_request_gets_the_label_of_the_full_look_however_long_it_is(
    is_native: bool,
    texts: list[str],
    part: int | None,
    length: int,
    has_sources: bool,
    level: Level,
    picks: random.Random,
    share: float,
) -> None:
    told: list[object] = [{"type": "text", "text": "hello " * (length // 6)}]
    told += [] if part is None else [(BLOCKS if is_native else PARTS)[part]]
    head = json.dumps({"role": "user", "content": told})
    rest = [f'{{"role":"user","content":{as_json(text or "x", picks, share)}}}' for text in texts]
    order = [*rest, head] if picks.random() < 0.5 else [head, *rest]
    raw = f'{{"model":"auto","max_tokens":5,"messages":[{",".join(order)}]}}'.encode()
    decode = decode_messages if is_native else decode_chat
    request, rules, lowest = decode(raw, request_id="r"), RULES[has_sources], label(level)
    found, file_ids = full_look(request, lowest, rules)
    expected = [*found, *(("file:unknown",) if file_ids else ())]
    got = asyncio.run(looked(request, lowest, rules))
    assert [each.rule for each in got] == [each if isinstance(each, str) else each.rule for each in expected]
    assert got[: len(found)] == found
    assert bool(file_ids) == (part == len(PARTS) - 1 or (part == 1 and not is_native))


@pytest.mark.parametrize("piece", ["confidential", "TLP:RED", "X-Freehold-Label: restricted"])
def test_what_lies_across_two_pieces_of_a_long_request_is_found(piece: str) -> None:
    start = len('{"model":"auto","messages":[{"role":"user","content":"')
    for before in range(len(piece) + 1):
        text = "x" * (PIECE_BYTES - start - before - 2) + "\n" + piece
        raw = f'{{"model":"auto","messages":[{{"role":"user","content":{json.dumps(text)}}}]}}'.encode()
        assert raw[PIECE_BYTES - before :].startswith(piece.encode())
        request = decode_chat(raw, request_id="r")
        assert [each.origin for each in asyncio.run(looked(request, label(Level.PUBLIC), RULES[False]))] == ["marking"]


def test_a_piece_across_two_blocks_of_a_text_is_there() -> None:
    for piece in PIECES:
        for before in range(len(piece) + 1):
            text = " " * (1024 - before) + piece + " " * 3_000
            assert markings._present(text, PIECES) == tuple(each for each in PIECES if each in piece)


@pytest.mark.parametrize("text", ["TLP:RED", "SECRET", "vertraulich", "INTERN", "VS-NfD", "mip:"])
def test_any_letter_may_be_written_as_a_number(text: str) -> None:
    for place, each in enumerate(text):
        for number in (f"\\u{ord(each):04x}", f"\\u{ord(each):04X}"):
            assert MARKINGS.may_be_in(f'"{text[:place]}{number}{text[place + 1 :]}"'.encode())


def test_a_long_look_at_a_request_that_was_made_here_reads_it() -> None:
    message = Message(role="user", parts=(ContentPart(kind=PartKind.TEXT, text="TLP:RED"),))
    request = InferenceRequest(id="r", task=Task.CHAT, model="auto", messages=(message,))
    flow = Flow(memory=NothingRemembered(), files=NoFiles())
    look = flow.look(request, tenant="default", label=label(Level.PUBLIC), rules=RULES[False], tree=TREE)
    assert [each.rule for each in asyncio.run(look)] == ["marking:tlp-red"]
