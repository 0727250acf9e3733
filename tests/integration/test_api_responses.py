"""OpenAI's Responses API end to end, through the official client."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from openai import BadRequestError

from tests.servers.openai_server import TEXT
from tests.support.site import Site, site

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("responses")) as running:
        yield running


def test_whole(house: Site) -> None:
    reply = house.gateway.openai().responses.with_raw_response.create(model="plain", input="hello", metadata={"a": "b"})
    response = reply.parse()
    assert (response.output_text, response.status, response.metadata) == (TEXT, "completed", {"a": "b"})
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 6)
    assert house.receipt_of(reply)["outcome"] == "complete"


def test_streamed(house: Site) -> None:
    with house.gateway.openai().responses.stream(model="plain", input="hello") as stream:
        told = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert told == final.output_text == TEXT


@pytest.mark.parametrize("model", ["plain", "claude"])
@pytest.mark.parametrize("streamed", [False, True])
def test_functions_of_either_dialect(house: Site, model: str, streamed: bool) -> None:
    responses = house.gateway.openai().responses
    if streamed:
        with responses.stream(model=model, input="tools", tools=[TOOL]) as stream:  # type: ignore[list-item]
            response = stream.get_final_response()
    else:
        response = responses.create(model=model, input="tools", tools=[TOOL])  # type: ignore[list-item]
    call = response.output[-1]
    assert call.type == "function_call"
    assert (call.name, call.arguments.replace(" ", "")) == ("weather", '{"city":"Paris"}')


def test_reasoning_is_an_item_of_its_own(house: Site) -> None:
    output = house.gateway.openai().responses.create(model="plain", input="reasoning").output
    assert [item.type for item in output] == ["reasoning", "message"]


def test_what_points_at_a_kept_answer_is_refused(house: Site) -> None:
    with pytest.raises(BadRequestError) as caught:
        house.gateway.openai().responses.create(model="plain", input="hello", previous_response_id="resp_1")
    assert caught.value.body["freehold_code"] == "FH-REQUEST-007"  # type: ignore[index]


def test_a_broken_stream_says_so(house: Site) -> None:
    with (
        pytest.raises(Exception, match="out of memory"),
        house.gateway.openai().responses.stream(model="plain", input="error-event") as stream,
    ):
        stream.until_done()
