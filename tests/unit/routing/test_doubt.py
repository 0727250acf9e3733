import json
from dataclasses import replace

import pytest

from freehold.domain.model_size import billions_of
from freehold.domain.request import Dialect, Native, ToolChoice, Untranslatable
from freehold.routing.doubt import may_be_doubted, p_true, sample_request, self_check_request
from freehold.routing.prefix import is_judged_by_prefix, measure_prefix, scope_of
from freehold.routing.signal_costs import BOUGHT, SignalCost, cost_of
from freehold.routing.signals import measure
from freehold.wire.openai_request import decode_chat
from tests.support.routing import calibration, chat, token


def decoded(more: str = "") -> object:
    raw = f'{{"model":"auto","messages":[{{"role":"user","content":"2+2?"}}]{more}}}'
    return decode_chat(raw.encode(), request_id="01890000-0000-7000-8000-000000000001")


def test_a_self_check_shows_the_answer_and_asks_for_one_word() -> None:
    asked = self_check_request(decoded(',"max_tokens":900,"stop":["x"],"temperature":1.5,"user":"u"'), 'He said "4"')
    turns = json.loads(asked.fields["messages"])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == 'He said "4"'
    assert [message.text for message in asked.messages][:2] == ["2+2?", 'He said "4"']
    assert (asked.fields["max_tokens"], asked.fields["temperature"], asked.fields["user"]) == (b"1", b"0", b'"u"')
    assert "stop" not in asked.fields
    assert asked.sampling.max_tokens == 1


def test_samples_differ_and_repeat() -> None:
    request = decoded(',"temperature":0,"seed":7')
    one, two = sample_request(request, 1), sample_request(request, 2)
    assert one.fields["seed"] != two.fields["seed"]
    assert one == sample_request(request, 1)
    assert (one.fields["temperature"], one.sampling.temperature) == (b"0.8", 0.8)
    assert one.fields["messages"] == request.fields["messages"]


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ((("Yes", -0.105), ("No", -2.303)), 0.9),
        (((" yes", -0.7), ("Yes", -2.0), ("No", -1.6)), 0.75),
        ((("No", -0.01),), 0.0),
        ((("Maybe", -0.1), ("Sure", -3.0)), None),
    ],
)
def test_p_true_is_yes_against_no(alternatives: tuple[tuple[str, float], ...], expected: float | None) -> None:
    first, *others = alternatives
    found = p_true([replace(token(*first), alternatives=(first, *others))])
    assert found == (None if expected is None else pytest.approx(expected, abs=0.01))


def test_without_log_probabilities_there_is_no_p_true() -> None:
    assert p_true([]) is None


def test_only_free_texts_are_compared() -> None:
    request = decoded()
    assert may_be_doubted(request)
    assert not may_be_doubted(replace(request, response_schema_json=b"{}"))
    tools = decoded(',"tools":[{"type":"function","function":{"name":"f"}}]')
    assert not may_be_doubted(tools)
    assert may_be_doubted(replace(tools, tool_choice=ToolChoice.NONE))
    only = Untranslatable(field="x", shown="1", reason="r")
    assert may_be_doubted(replace(request, native=Native(dialect=Dialect.ANTHROPIC, fields={})))
    assert not may_be_doubted(replace(request, native=Native(dialect=Dialect.ANTHROPIC, fields={}, only=only)))
    assert sample_request(replace(request, native=Native(dialect=Dialect.ANTHROPIC, fields={})), 1).native is None


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("qwen2.5-7b-instruct", 7.0),
        ("Llama-3.1-8B", 8.0),
        ("mixtral-8x7b", 7.0),
        ("hf:owner/repo/Qwen3-0.6B-Q8_0.gguf", 0.6),
        ("qwen3:14b", 14.0),
        ("gpt-4o", None),
        ("model-bbb7bx", None),
    ],
)
def test_a_models_name_tells_its_size(name: str, billions: float | None) -> None:
    assert billions_of(name) == billions


# --- prefixes ------------------------------------------------------------------------------------

WORDS = [token(word, -0.5, ("x", -2.0)) for word in ("I", " can", " say", " it")]


def test_a_prefix_is_measured_by_exactly_its_tokens() -> None:
    found = measure_prefix(chat(), text="I can say it", logprobs=WORDS, tokens=2)
    whole = measure(chat(), text="I can", logprobs=WORDS[:2], finish_reason=None)
    assert found == {name: value for name, value in whole.items() if name not in {"empty", "finish_length"}}


def test_without_log_probabilities_a_prefix_is_the_text_so_far() -> None:
    found = measure_prefix(chat(), text="I'm sorry, I cannot help", logprobs=[], tokens=2)
    assert found == {"refusal": 1.0}


@pytest.mark.parametrize(
    ("scopes", "is_judged"),
    [((), True), (("whole",), False), (("whole", "prefix-8"), True), (("prefix-9",), False)],
)
def test_prefixes_decide_where_they_can_be_judged_or_nothing_can(scopes: tuple[str, ...], is_judged: bool) -> None:
    known = [calibration(scope=scope) for scope in scopes]
    assert is_judged_by_prefix(chat(), known, tokens=8) is is_judged
    assert scope_of(8) == "prefix-8"


# --- costs ---------------------------------------------------------------------------------------


def test_every_signal_has_a_cost() -> None:
    asked = replace(chat("Which is it?\nA) one\nB) two\nReply with the letter."), response_schema_json=b"{}")
    words = [token(word, -0.5, ("C", -2.0)) for word in ("A", ") one", " it", " is")]
    measured = measure(asked, text="A) one it is", logprobs=words, finish_reason=None)
    costs = {name: cost_of(name) for name in measured}
    free = {name for name, cost in costs.items() if cost is SignalCost.NOTHING}
    assert {"empty", "refusal", "finish_length", "schema_valid"} <= free
    without = measure(asked, text="A) one it is", logprobs=[], finish_reason=None)
    assert without.keys() <= free, "what is measured without log-probabilities costs none"
    assert {name for name in measured if "logprob" in name or "margin" in name or "entropy" in name} <= {
        name for name, cost in costs.items() if cost is SignalCost.LOGPROBS
    }
    assert [cost_of(name) for name in BOUGHT] == [SignalCost.OPINION, SignalCost.SAMPLES, SignalCost.READING]
