"""What of a request is looked through: whatever of it reaches an upstream, in whichever clothes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.deployment import Declassify, ModelCard
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.request import InferenceRequest
from freehold.policy.flow import FlowRules
from freehold.wire.messages_request import decode_messages, with_betas
from freehold.wire.openai_request import decode_chat
from tests.support.detection import HereReader
from tests.support.fake_engine import FakeEngine
from tests.support.gateway import PUBLIC, TREE
from tests.unit.gateway.test_crossing import MAIL, SECRET, ask, cloud, house
from tests.unit.gateway.test_pipeline import REQUEST_ID

CARD = 4111111111111111
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]


def chat_of(messages: list[dict[str, Any]] = HELLO, **members: object) -> InferenceRequest:
    body = {"model": "auto", "messages": messages, **members}
    return decode_chat(json.dumps(body).encode(), request_id=REQUEST_ID)


def message_of(*called_with: dict[str, Any]) -> InferenceRequest:
    """A request of Anthropic's, in which tools were called with some values."""
    calls = [
        {"type": "tool_use", "id": f"t{place}", "name": "f", "input": given} for place, given in enumerate(called_with)
    ]
    results = [{"type": "tool_result", "tool_use_id": each["id"], "content": "done"} for each in calls]
    turns = [*HELLO, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    body = {"model": "auto", "max_tokens": 9, "messages": turns}
    return decode_messages(json.dumps(body).encode(), request_id=REQUEST_ID)


def tool_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties}}}


def stays(request: InferenceRequest, declassify: Declassify = Declassify.OFF) -> None:
    far = cloud()
    with pytest.raises(NoPermittedDeployment):
        ask(house(far, declassify=declassify), request)
    assert not far.calls


@pytest.mark.parametrize(
    "request_",
    [
        chat_of(metadata={SECRET: "x"}),
        chat_of(tools=[tool_of({MAIL: {"type": "string"}})]),
        message_of({"rights": {MAIL: "all"}}),
    ],
    ids=["a member that nobody knows", "a tool's schema", "what a tool was called with"],
)
def test_what_stands_in_the_name_of_a_member_is_seen(request_: InferenceRequest) -> None:
    stays(request_)


@pytest.mark.parametrize(
    "request_",
    [
        chat_of(metadata={"card": CARD}),
        chat_of(metadata={"cards": [1, [CARD]]}),
        chat_of(metadata={"card": float(CARD)}),
        message_of({"card": CARD}),
    ],
    ids=["a member", "a list", "with a point", "what a tool was called with"],
)
def test_a_number_that_is_no_text_is_seen(request_: InferenceRequest) -> None:
    stays(request_)


@pytest.mark.parametrize("metadata", [{MAIL: "x"}, {"card": CARD}], ids=["a name", "a number"])
def test_what_is_left_is_looked_through_beyond_its_texts(metadata: dict[str, Any]) -> None:
    told = chat_of([{"role": "user", "content": f"{MAIL} pays with {CARD}"}], metadata=metadata)
    stays(told, declassify=Declassify.PSEUDONYMISE)


def test_names_and_numbers_that_are_nobodys_let_a_request_go() -> None:
    far = cloud()
    ask(house(far), chat_of(tools=[tool_of({"file_path": {"type": "string"}})], metadata={"at": 1764522000}, seed=4711))
    assert len(far.calls) == 1


def picture(characters: int) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * (characters // 11)}}


def sees(request: InferenceRequest) -> FakeEngine:
    """A deployment that takes images, at a site that lets them go anywhere, after it was asked."""
    far = cloud(kinds=None)
    eyes = replace(far.deployment, model=ModelCard(name="eyes", vision=True))
    found = FakeEngine(deployment=eyes, default=far.default)
    at = house(found)
    at.flow = replace(FlowRules.plain(TREE), unread=PUBLIC)
    ask(at, request)
    return found


def test_a_picture_goes_however_large_it_is() -> None:
    told = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture(40_000)]}]
    assert len(sees(chat_of(told)).calls) == 1


@pytest.mark.parametrize(
    "beside",
    [
        {"type": "text", "text": "https://example.org/?" + "a" * 20_000 + "&key=" + SECRET},
        {"type": "image_url", "image_url": {"url": "https://example.org/?" + "a" * 20_000 + "&key=" + SECRET}},
    ],
    ids=["a text", "an address"],
)
def test_a_picture_lets_nothing_else_that_is_long_go_unseen(beside: dict[str, Any]) -> None:
    with pytest.raises(NoPermittedDeployment):
        sees(chat_of([{"role": "user", "content": [beside, picture(100)]}]))


def called_with(arguments: str) -> InferenceRequest:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    return chat_of([*HELLO, *turns, {"role": "tool", "tool_call_id": "c1", "content": "done"}])


@pytest.mark.parametrize(
    "request_",
    [
        called_with(json.dumps({"text": f"first line\n{SECRET}"})),
        called_with(json.dumps({"to": "Jörg Müller"})),
        called_with(json.dumps({f"a\n{MAIL}": 1})),
        called_with(json.dumps({"body": json.dumps({"text": f"a\t{SECRET}"})})),
        chat_of([*HELLO, {"role": "user", "content": json.dumps([{"of": "Jörg Müller"}])}]),
    ],
    ids=["after a line's end", "letters beyond ASCII", "a name", "JSON in JSON", "a text"],
)
def test_what_json_in_a_text_says_to_a_program_is_seen(request_: InferenceRequest) -> None:
    far = cloud()
    with pytest.raises(NoPermittedDeployment):
        ask(house(far, reader=HereReader(people=("Jörg Müller",))), request_)
    assert not far.calls


def test_what_is_no_json_and_has_escapes_is_a_text() -> None:
    far = cloud()
    ask(house(far), called_with("{\\nabla: [" + "[" * 2_000))
    assert len(far.calls) == 1


def test_a_header_that_goes_along_is_seen() -> None:
    stays(with_betas(message_of(), SECRET))
