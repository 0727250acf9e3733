"""What a real server refuses reaches the client with its status and its code, and says who refused."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.real.house import House, Way

TOO_LONG = "word " * 3000


def refused(house: House, model: str, **body: Any) -> openai.APIStatusError:
    messages = body.pop("messages", [{"role": "user", "content": "Hello"}])
    with pytest.raises(openai.APIStatusError) as caught:
        house.gateway.openai().chat.completions.create(model=model, messages=messages, **body)
    receipt = house.gateway.receipt(caught.value.response.headers["freehold-receipt"])
    assert receipt["outcome"] in ("failed", "refused")
    return caught.value


def source(error: openai.APIStatusError) -> Any:
    assert isinstance(error.body, dict)
    return error.body["source"]


@pytest.mark.parametrize("streams", [True, False])
def test_a_prompt_that_is_too_long(real_house: House, way: Way, *, streams: bool) -> None:
    error = refused(real_house, way.model, messages=[{"role": "user", "content": TOO_LONG}], stream=streams)
    assert isinstance(error, openai.BadRequestError)
    assert error.code == "context_length_exceeded"
    assert "2048" in error.message
    assert source(error) in (way.model, way.model.replace("-judged", ""), way.model.replace("-judged", "-spare"))


@pytest.mark.parametrize("streams", [True, False])
def test_a_model_that_the_server_does_not_have(real_house: House, *, streams: bool) -> None:
    error = refused(real_house, "vllm-unknown", stream=streams)
    own = real_house.vllm.post(
        "/v1/chat/completions", {"model": "no-such-model", "messages": [{"role": "user", "content": "Hello"}]}
    )
    assert error.status_code == own.status_code == 404
    assert error.code == own.json()["error"]["type"]
    assert source(error) == "vllm-unknown"


def test_a_member_that_only_the_server_knows_and_refuses(real_house: House, way: Way) -> None:
    wrong = {"vllm": {"add_generation_prompt": "perhaps"}, "llama-server": {"grammar": "root ::= ((("}}[way.server]
    error = refused(real_house, way.model, extra_body=wrong)
    assert error.status_code == 400
    assert next(iter(wrong)) in error.message


@pytest.mark.parametrize("model", ["vllm-locked", "llama-locked"])
def test_a_credential_that_the_server_refuses_is_our_fault(real_house: House, model: str) -> None:
    error = refused(real_house, model)
    assert error.status_code == 502
    assert source(error) == model
    assert "not-the-key-of-this-server" not in error.response.text


def test_a_refusal_does_no_harm(real_house: House, way: Way) -> None:
    reply = real_house.post(
        "/v1/chat/completions",
        {"model": way.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2},
    )
    assert reply.status_code == 200, reply.text
