"""What one answer tells of its own quality: named numbers measured from it, nothing guessed.

A signal that cannot be measured is absent, never a neutral value: "unknown" and "half sure" are different things.
Sources: token log-probability quantiles after Gupta et al. 2024 (arXiv 2404.10136), margin of the least certain token
after UCCI (arXiv 2605.18796).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

from freehold.domain.request import InferenceRequest, ToolChoice
from freehold.domain.response import FinishReason, TokenLogprob
from freehold.routing.schema import satisfies
from freehold.routing.words import new_words, words

LOGPROBS_PER_TOKEN = 5
"""Alternatives a token to ask an engine for, in requests as in calibration: the margin needs two, and the chosen one is not always the first."""

LOGPROB_FLOOR = -20.0
"""Engines write minus infinity, or their own smallest number, for what is all but impossible."""

_QUANTILES = ((0.1, "logprob_q10"), (0.25, "logprob_q25"), (0.5, "logprob_q50"), (0.75, "logprob_q75"))
_REFUSAL = re.compile(
    r"\W*(?:(?:i'?m|i am) (?:very |really |so )?(?:sorry|afraid)\b.{0,40}?\b(?:can(?:'?t|not)|unable|not able|don't have)|"
    r"sorry,? (?:but )?i (?:can(?:'?t|not)|am unable|am not able|don't have)|"
    r"i (?:can(?:'?t|not)|am unable to|am not able to|won't|will not) (?:help|assist|provide|answer|do|comply|fulfil)|"
    r"(?:i'm|i am) (?:unable|not able) to|"
    r"as an? (?:ai|artificial|large|language)\b.{0,60}?\b(?:can(?:'?t|not)|unable|don't|do not))"
)


def measure(
    request: InferenceRequest,
    *,
    text: str,
    logprobs: Sequence[TokenLogprob],
    finish_reason: FinishReason | None,
    tool_calls: Sequence[Mapping[str, object]] = (),
) -> dict[str, float]:
    """The signals of one whole answer.

    Args:
        request: What was asked; says whether a schema or a tool was.
        text: The answer's text.
        logprobs: Its tokens with natural-log probabilities; empty where the engine gives none.
        finish_reason: Why it ended.
        tool_calls: Calls in OpenAI's shape: ``{"function": {"name": …, "arguments": "…"}}``.

    Returns:
        Always ``empty``, ``refusal`` and ``finish_length`` (1 or 0). ``schema_valid`` and ``tool_arguments_valid`` (1 or
        0) where a schema or a tool was asked for. With log-probabilities ``logprob_*`` (at most 0, natural log),
        ``tokens_log`` (natural log of their count) and ``new_*`` of the words that the question did not give (a word's
        log-probability is the sum over its tokens). With at least two alternatives a token ``margin_*``: log-probability
        of the chosen token minus that of the best other one, at the least certain token or word and at the first.
    """
    signals = {
        "empty": float(not text.strip() and not tool_calls),
        "refusal": float(_REFUSAL.match(_plain(text)) is not None or finish_reason is FinishReason.CONTENT_FILTER),
        "finish_length": float(finish_reason is FinishReason.LENGTH),
    }
    if request.response_schema_json is not None and not tool_calls:
        signals["schema_valid"] = float(satisfies(text, request.response_schema_json))
    if tool_calls or (request.tools and request.tool_choice in {ToolChoice.REQUIRED, ToolChoice.NAMED}):
        signals["tool_arguments_valid"] = float(_are_valid(request, tool_calls))
    signals |= _from_logprobs(logprobs)
    signals |= _from_new_words(request, logprobs)
    return signals


def _plain(text: str) -> str:
    return " ".join(text[:300].lower().replace("\u2019", "'").split())


def _from_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, float]:
    if not logprobs:
        return {}
    values = [_bounded(token.logprob) for token in logprobs]
    ordered = sorted(values)
    signals = {
        "logprob_mean": math.fsum(values) / len(values),
        "logprob_min": ordered[0],
        "logprob_first": values[0],
        "tokens_log": math.log(len(values)),
    }
    signals |= {name: _quantile(ordered, share) for share, name in _QUANTILES}
    margins = [margin for token in logprobs if (margin := _margin(token)) is not None]
    if len(margins) == len(values):
        signals["margin_min"] = min(margins)
        signals["margin_first"] = margins[0]
    return signals


def _from_new_words(request: InferenceRequest, logprobs: Sequence[TokenLogprob]) -> dict[str, float]:
    said = words(logprobs)
    added = new_words(said, request)
    if not said:
        return {}
    signals = {"new_share": len(added) / len(said)}
    if not added:
        return signals
    values = [max(LOGPROB_FLOOR, math.fsum(_bounded(token.logprob) for token in word.tokens)) for word in added]
    signals |= {
        "new_logprob_first": values[0],
        "new_logprob_min": min(values),
        "new_logprob_mean": math.fsum(values) / len(values),
    }
    margins = [[_margin(token) for token in word.tokens] for word in added]
    known = [[margin for margin in word if margin is not None] for word in margins]
    if all(len(some) == len(word) for some, word in zip(known, margins, strict=True)):
        signals["new_margin_first"] = min(known[0])
        signals["new_margin_min"] = min(map(min, known))
    return signals


def _bounded(logprob: float) -> float:
    return LOGPROB_FLOOR if math.isnan(logprob) else max(LOGPROB_FLOOR, min(0.0, logprob))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between order statistics (Hyndman and Fan, type 7)."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _margin(token: TokenLogprob) -> float | None:
    """Log-probability of the chosen token minus that of the best other; negative where sampling took another one."""
    others = [logprob for text, logprob in token.alternatives if text != token.token]
    return _bounded(token.logprob) - _bounded(max(others)) if others else None


def _are_valid(request: InferenceRequest, tool_calls: Sequence[Mapping[str, object]]) -> bool:
    """At least one call, each of a tool that was offered, with arguments that its parameters allow."""
    parameters = {tool.name: tool.parameters_json for tool in request.tools}
    for call in tool_calls:
        function = call.get("function")
        if not isinstance(function, Mapping):
            return False
        named = cast("Mapping[str, object]", function)
        name, arguments = str(named.get("name")), named.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        if name not in parameters or not satisfies(text or "{}", parameters[name]):
            return False
        if request.tool_name is not None and name != request.tool_name:
            return False
    return bool(tool_calls)
