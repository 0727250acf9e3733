from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, PromptCache, Terms, Upstream
from freehold.domain.request import InferenceRequest
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.engines.prompt_cache import cache_members
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker
from freehold.wire.messages_request import decode_count_tokens
from freehold.wire.openai_request import decode_chat, decode_embedding

SALTED, UNUSED, SHARED = PromptCache.SALTED, PromptCache.UNUSED, PromptCache.SHARED


def chat(**members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **members}
    return decode_chat(json.dumps(body).encode(), request_id="r")


def sent(kind: PromptCache, request: InferenceRequest, *, zone: Zone = DEVICE, **more: Any) -> dict[str, Any]:
    clock = SystemClock()
    engine = OpenAICompatibleEngine(
        deployment=Deployment(
            name="far", engine=EngineKind.OPENAI, model=ModelCard(name="m", embeds=True), zone=zone, terms=Terms()
        ),
        upstream=Upstream(base_url="http://127.0.0.1:1/v1", prompt_cache=kind),
        broker=Broker(clock=clock, permit_key=b"k" * 32),
        clock=clock,
    )
    return json.loads(engine.prepare(request, want_logprobs=0, **more).body)


@pytest.mark.parametrize("zone", [DEVICE, LAN])
@pytest.mark.parametrize("as_it_comes", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_each_scope_has_a_salt_of_its_own_however_the_answer_comes(zone: Zone, as_it_comes: bool, stream: bool) -> None:
    request = chat(stream=stream)
    salts = [
        sent(SALTED, request, zone=zone, as_it_comes=as_it_comes, cache_scope=scope)["cache_salt"]
        for scope in ("a", "b", "a", "")
    ]
    assert salts[0] == salts[2]
    assert len(set(salts)) == 3
    assert all(salts)  # vLLM refuses an empty one


def test_a_client_may_keep_its_own_users_apart_and_never_chooses_the_scope() -> None:
    said = [cache_members(chat(cache_salt="u1"), SALTED, scope=scope)["cache_salt"] for scope in ("a", "b", "a")]
    other = cache_members(chat(cache_salt="u2"), SALTED, scope="a")["cache_salt"]
    assert said[0] == said[2]
    assert len({"u1", "u2", "a", "b", *map(str, said), str(other)}) == 7
    assert sent(SALTED, chat(cache_salt="b"), cache_scope="a")["cache_salt"] != "b"


@pytest.mark.parametrize("as_it_comes", [False, True])
def test_llama_cpp_is_told_to_read_anew_whatever_the_client_says(as_it_comes: bool) -> None:
    request = chat(cache_prompt=True, stream=True)
    assert sent(UNUSED, request, as_it_comes=as_it_comes, cache_scope="a")["cache_prompt"] is False


@pytest.mark.parametrize("as_it_comes", [False, True])
def test_an_unknown_server_gets_nothing_that_it_may_not_know(as_it_comes: bool) -> None:
    body = sent(SHARED, chat(stream=True), as_it_comes=as_it_comes, cache_scope="a")
    assert not {"cache_salt", "cache_prompt", "prompt_cache_key"} & set(body)


def test_embeddings_are_salted_and_counts_need_nothing() -> None:
    embedding = decode_embedding(b'{"model": "auto", "input": ["a"]}', request_id="r")
    assert sent(SALTED, embedding, cache_scope="a")["cache_salt"] == "a"
    assert "cache_prompt" not in sent(UNUSED, embedding, cache_scope="a")
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}'
    counted = decode_count_tokens(body, request_id="r")
    assert "cache_salt" not in sent(SALTED, counted, cache_scope="a")
