"""llama.cpp's ``/infill`` end to end."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from freehold.wire.sse import SseParser
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.site import Site, site
from tests.support.upstream import in_thread

FILLS = """
[deployments.fills]
engine = "openai"
model = "scripted-fills"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
infill = true
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with (
        in_thread(OpenAIServer()) as server,
        site(tmp_path_factory.mktemp("infill"), more=FILLS.format(base_url=server.base_url)) as running,
    ):
        running.large = server
        yield running


def fill(house: Site, **body: Any) -> Any:
    with house.gateway.http() as client:
        return client.post("/infill", json={"model": "fills", "input_prefix": "a", "input_suffix": "z", **body})


def test_whole(house: Site) -> None:
    reply = fill(house, prompt="b", n_predict=9, stop=["\n\n"], input_extra=[{"filename": "f.py", "text": "x"}])
    answer = reply.json()
    assert (answer["content"], answer["stop"], answer["stop_type"]) == (TEXT, True, "eos")
    assert (answer["tokens_evaluated"], answer["tokens_predicted"]) == (7, 6)
    sent = house.large.exchanges[-1].body
    assert (sent["prompt"], sent["suffix"], sent["max_tokens"], sent["stop"]) == ("ab", "z", 9, ["\n\n"])
    assert sent["input_extra"] == [{"filename": "f.py", "text": "x"}]
    assert house.receipt_of(reply)["task"] == "completion"


def test_streamed(house: Site) -> None:
    events = [json.loads(event.data) for event in SseParser().feed(fill(house, stream=True).content)]
    assert "".join(event["content"] for event in events) == TEXT
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["tokens_predicted"] == 6


def test_an_engines_speed_is_told(house: Site) -> None:
    """Editors show it beside what they suggest."""
    timings = fill(house).json()["timings"]
    assert (timings["cache_n"], timings["prompt_n"], timings["predicted_n"]) == (2, 5, 6)
    assert (timings["prompt_per_token_ms"], timings["predicted_per_second"]) == (2.0, 200.0)
    last = [json.loads(event.data) for event in SseParser().feed(fill(house, stream=True).content)][-1]
    assert last["timings"] == timings


def test_only_what_is_asked_for(house: Site) -> None:
    """By paths, as llama.cpp's server has it; one that leads nowhere names nothing, so that ``[""]`` asks for nothing."""
    answer = fill(house, response_fields=["content", "timings/prompt_n", "timings/prompt_n/x", "nothing", "content/x"])
    assert answer.json() == {"content": TEXT, "timings/prompt_n": 5}
    assert fill(house, response_fields=[""]).json() == {}
    assert fill(house, response_fields=[]).json()["stop"] is True
    assert "response_fields" not in house.large.exchanges[-1].body
    wrong = fill(house, response_fields=["x", 5]).json()["error"]
    assert (wrong["freehold_code"], wrong["param"]) == ("FH-REQUEST-002", "response_fields[1]")


def test_one_answer_a_request(house: Site) -> None:
    """``n_cmpl`` is llama.cpp's own name of ``n``."""
    for name in ("n", "n_cmpl"):
        error = fill(house, **{name: 2}).json()["error"]
        assert (error["freehold_code"], error["param"]) == ("FH-REQUEST-007", name)
    assert fill(house, n_cmpl=1).json()["content"] == TEXT


def test_refusals(house: Site) -> None:
    assert fill(house, model="plain").json()["error"]["freehold_code"] == "FH-REQUEST-006"
    wrong = fill(house, input_extra=["x"]).json()["error"]
    assert (wrong["freehold_code"], wrong["param"]) == ("FH-REQUEST-002", "input_extra[0]")
    wrong = fill(house, input_prefix=5).json()["error"]
    assert (wrong["freehold_code"], wrong["param"]) == ("FH-REQUEST-002", "input_prefix")


def test_sound_is_refused_at_once(house: Site) -> None:
    with house.gateway.http() as client:
        for kind in ("speech", "transcriptions", "translations"):
            reply = client.post(f"/v1/audio/{kind}", json={})
            assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (501, "FH-REQUEST-015")
    with house.gateway.http("") as nobody:
        assert nobody.post("/v1/audio/speech", json={}).status_code == 401
