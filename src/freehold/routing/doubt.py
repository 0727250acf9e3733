"""What is asked about an answer that is neither clearly good nor clearly bad, and what the replies say."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

from freehold.domain.request import ContentPart, InferenceRequest, Message, PartKind, SamplingParams, Task, ToolChoice
from freehold.domain.response import TokenLogprob

_SAMPLE_TEMPERATURE = 0.8
_SELF_CHECK = (
    "Is the answer above correct and complete? Reply with one word: Yes or No."  # Kadavath et al. 2022, section 3
)
_NOT_FOR_A_CHECK = frozenset({
    "tools", "tool_choice", "parallel_tool_calls", "response_format", "stop", "logit_bias", "seed", "max_tokens",
    "max_completion_tokens", "stream_options", "logprobs", "top_logprobs", "grammar", "json_schema", "min_tokens",
    "n_predict", "functions", "function_call", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
})  # fmt: skip
"""Members that shape an answer, and would shape the reply to another question too."""


def may_be_doubted(request: InferenceRequest) -> bool:
    """Whether answers to it can be compared: a chat that is answered in a text of the model's own form."""
    may_call = bool(request.tools) and request.tool_choice is not ToolChoice.NONE
    is_bound = request.native is not None and request.native.only is not None
    return request.task is Task.CHAT and not may_call and request.response_schema_json is None and not is_bound


def sample_request(request: InferenceRequest, number: int) -> InferenceRequest:
    """The same question for one more sample; ``number`` counts from 1, and makes samples differ and repeatable."""
    fields = {**request.fields, "temperature": str(_SAMPLE_TEMPERATURE).encode(), "seed": str(number).encode()}
    sampling = replace(request.sampling, temperature=_SAMPLE_TEMPERATURE, seed=number)
    return replace(request, fields=fields, sampling=sampling, native=None)


def self_check_request(request: InferenceRequest, answer: str) -> InferenceRequest:
    """The question whether ``answer`` is right, to be answered in one token."""
    kept = {name: value for name, value in request.fields.items() if name not in _NOT_FOR_A_CHECK}
    turns = json.loads(request.fields["messages"])
    added = [("assistant", answer), ("user", _SELF_CHECK)]
    turns += [{"role": role, "content": text} for role, text in added]
    messages = (
        *request.messages,
        *(Message(role=role, parts=(ContentPart(kind=PartKind.TEXT, text=text),)) for role, text in added),
    )
    fields = {
        **kept,
        "messages": json.dumps(turns).encode(),
        "max_tokens": b"1",
        "temperature": b"0",
    }
    return replace(
        request,
        fields=fields,
        body_bytes=0,
        messages=messages,
        sampling=SamplingParams(temperature=0.0, max_tokens=1),
        tools=(),
        tool_choice=ToolChoice.NONE,
        response_schema_json=None,
        native=None,
    )


def p_true(logprobs: Sequence[TokenLogprob]) -> float | None:
    """P(Yes) against P(No) at the reply's first token; ``None`` where neither is among its likeliest."""
    if not logprobs:
        return None
    first = logprobs[0]
    said = dict(first.alternatives) or {first.token: first.logprob}
    weights = {"yes": 0.0, "no": 0.0}
    for text, logprob in said.items():
        word = text.strip().casefold().strip(".,!")
        if word in weights:
            weights[word] += math.exp(min(0.0, logprob))
    total = weights["yes"] + weights["no"]
    return weights["yes"] / total if total else None
