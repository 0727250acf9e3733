import math
from dataclasses import replace

import pytest

from freehold.domain.request import Tool, ToolChoice
from freehold.domain.response import FinishReason
from freehold.routing.signals import measure
from freehold.routing.tokens import LOGPROB_FLOOR
from tests.support.routing import chat, token

STOP = FinishReason.STOP


def of(text, tokens=(), request=None, finish=STOP, tool_calls=()):
    return measure(request or chat(), text=text, logprobs=tokens, finish_reason=finish, tool_calls=tool_calls)


def test_without_log_probabilities_only_what_can_be_seen_is_measured():
    assert of("Paris") == {"empty": 0.0, "refusal": 0.0, "finish_length": 0.0}


def test_log_probability_signals_have_the_values_they_are_named_after():
    tokens = [token(" a", -1.0), token(" b", -3.0), token(" c", 0.0), token(" d", -2.0), token(" e", -4.0)]
    signals = of("a b c d e", tokens)
    assert signals["logprob_mean"] == -2.0
    assert signals["logprob_min"] == -4.0
    assert signals["logprob_first"] == -1.0
    assert [signals[f"logprob_q{share}"] for share in (10, 25, 50, 75)] == pytest.approx([-3.6, -3.0, -2.0, -1.0])
    assert signals["tokens_log"] == math.log(5)


def test_margins_need_two_alternatives_at_every_token():
    both = [token("x", -0.1, ("y", -2.1)), token("z", -0.5, ("w", -1.0), ("v", -9.0))]
    signals = of("xz", both)
    assert signals["margin_first"] == pytest.approx(2.0)
    assert signals["margin_min"] == pytest.approx(0.5)
    assert "margin_min" not in of("xz", [both[0], token("z", -0.5)])


def test_a_sampled_token_that_was_not_the_likeliest_has_a_negative_margin():
    assert of("x", [token("x", -2.0, ("y", -0.5))])["margin_min"] == pytest.approx(-1.5)


def test_words_that_the_question_gave_do_not_count_as_new():
    request = chat("What is the capital of Oman?")
    tokens = [token("The", -2.0), token(" capital", -1.0), token(" is", -1.5), token(" Mus", -0.25), token("cat", -0.5)]
    signals = of("The capital is Muscat", tokens, request)
    assert signals["new_share"] == 0.25
    assert signals["new_logprob_first"] == signals["new_logprob_min"] == signals["new_logprob_mean"] == -0.75
    assert "new_margin_min" not in signals


def test_an_answer_without_new_words_has_no_signals_of_them():
    signals = of("Oman", [token("Oman", -0.1)], chat("Capital of Oman?"))
    assert signals["new_share"] == 0.0
    assert not any(name.startswith(("new_logprob", "new_margin")) for name in signals)


def test_scripts_without_blanks_are_taken_by_the_character():
    assert of("東京", [token("東", -0.5), token("京", -0.25)], chat("日本の首都は?"))["new_logprob_min"] == -0.5


@pytest.mark.parametrize("odd", [float("-inf"), float("nan"), -1e9])
def test_odd_numbers_of_an_engine_are_bounded(odd):
    signals = of("x", [token("x", odd, ("y", odd))])
    assert signals["logprob_min"] == LOGPROB_FLOOR
    assert all(math.isfinite(value) for value in signals.values())


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_is_empty_unless_a_tool_is_called(text):
    assert of(text)["empty"] == 1.0
    assert of(text, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}])["empty"] == 0.0


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I’m sorry, but I cannot assist with that request.", True),
        ("I cannot provide medical advice.", True),
        ("As an AI language model, I do not have opinions.", True),
        ("I'm unable to open links.", True),
        ("The store cannot help with that.", False),
        ("I can't believe it is not butter.", False),
        ("Sorry is the hardest word.", False),
        ("Paris", False),
    ],
)
def test_refusals(text, refused):
    assert of(text)["refusal"] == float(refused)


def test_a_content_filter_is_a_refusal():
    assert of("", finish=FinishReason.CONTENT_FILTER)["refusal"] == 1.0


def test_the_end_by_length_is_seen():
    assert of("and so", finish=FinishReason.LENGTH)["finish_length"] == 1.0


def test_a_schema_is_checked_only_where_one_was_asked():
    request = chat(response_schema_json=b'{"type": "object", "required": ["a"]}')
    assert of('{"a": 1}', request=request)["schema_valid"] == 1.0
    assert of("{}", request=request)["schema_valid"] == 0.0
    assert "schema_valid" not in of("{}")


CALL = {"function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TOOL = Tool(name="weather", parameters_json=b'{"type": "object", "required": ["city"]}')


@pytest.mark.parametrize(
    ("calls", "choice", "expected"),
    [
        ([CALL], ToolChoice.AUTO, 1.0),
        ([], ToolChoice.AUTO, None),
        ([], ToolChoice.REQUIRED, 0.0),
        ([{"function": {"name": "weather", "arguments": "{}"}}], ToolChoice.AUTO, 0.0),
        ([{"function": {"name": "weather", "arguments": "{oops"}}], ToolChoice.AUTO, 0.0),
        ([{"function": {"name": "other", "arguments": "{}"}}], ToolChoice.AUTO, 0.0),
        ([CALL, {"id": "no function"}], ToolChoice.AUTO, 0.0),
    ],
)
def test_tool_arguments(calls, choice, expected):
    signals = of("", request=chat(tools=(TOOL,), tool_choice=choice), tool_calls=calls)
    assert signals.get("tool_arguments_valid") == expected


def test_the_named_tool_must_be_the_one_called():
    other = Tool(name="other")
    request = chat(tools=(TOOL, other), tool_choice=ToolChoice.NAMED, tool_name="other")
    assert of("", request=request, tool_calls=[CALL])["tool_arguments_valid"] == 0.0


@pytest.mark.parametrize("name", ["grammar", "json_schema", "guided_regex", "logit_bias"])
def test_what_an_engine_is_told_to_allow_is_seen(name: str):
    request = replace(chat(), fields={"model": b'"auto"', name: b'{"7": -100}'})
    assert of("yes", [token("yes", 0.0)], request)["constrained"] == 1.0
    assert "constrained" not in of("yes", [token("yes", 0.0)], replace(chat(), fields={name: b"null"}))
