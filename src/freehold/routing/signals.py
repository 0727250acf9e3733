"""What one answer tells of its own quality: named numbers measured from it, nothing guessed.

A signal that cannot be measured is absent, never a neutral value: "unknown" and "half sure" are different things. All
of these are free: they are read off the answer at hand. ``routing.signal_costs`` names those that are bought.

Sources: token log-probability quantiles after Gupta et al. 2024 (arXiv 2404.10136), margin of the least certain token
after UCCI (arXiv 2605.18796), entropy over the alternatives after Malinin and Gales 2021 (arXiv 2002.07650).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

from freehold.domain.request import InferenceRequest, ToolChoice
from freehold.domain.response import FinishReason, TokenLogprob
from freehold.routing.forms import (
    Form,
    code_valid,
    decide,
    format_kept,
    quotes_found,
    read_question,
    repeated_share,
)
from freehold.routing.schema import satisfies
from freehold.routing.tokens import Tokens
from freehold.routing.words import words_of

LOGPROBS_PER_TOKEN = 5
"""Alternatives a token to ask an engine for, in requests as in calibration: the margin needs two, and the chosen one is not always the first."""

_CONSTRAINTS = frozenset(
    {
        "grammar",
        "json_schema",
        "logit_bias",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "structured_outputs",
        "regex",
        "ebnf",
    }
)
"""Members of a request by which engines let only some tokens be chosen, or make some likelier: they reach them as sent."""
_NOTHING = frozenset({b"null", b"{}", b"[]", b'""', b"false"})

_FORMS = tuple((f"form_{form}", form) for form in Form if form is not Form.WORDS)
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
    """The signals of one answer.

    Args:
        request: What was asked; says whether a schema or a tool was.
        text: The answer's text.
        logprobs: Its tokens with natural-log probabilities, alternatives likeliest first; empty where the engine gives
            none.
        finish_reason: Why it ended.
        tool_calls: Calls in OpenAI's shape: ``{"function": {"name": …, "arguments": "…"}}``.

    Returns:
        Always ``empty``, ``refusal`` and ``finish_length`` (1 or 0). ``schema_valid`` and ``tool_arguments_valid`` (1 or
        0) where a schema or a tool was asked for, ``constrained`` (1) where the request constrains the tokens in a way that
        only the engine knows. The others only with log-probabilities (natural, at most 0):

        - ``logprob_*``, ``margin_*``, ``tokens_log``: over all tokens; margins where every token has an alternative.
        - ``decision_logprob``, ``decision_margin``, ``decision_entropy`` (nats), ``decision_at`` (log of 1 + place):
          where the answer decides, that is at its letter, number, yes or no, or its words (``routing.forms``);
          ``letter_share``: chance of the letter among those offered; ``number_digits``: of the number it states.
        - ``form_*`` (1 or 0): what kind of answer it is; ``question_log``, ``question_digits``: how long the question
          is, and the digits of its longest number.
        - ``format_kept``, ``code_valid`` (1 or 0), ``quotes_found`` (0 to 1): where a shape was asked for, code or
          quotations are in the answer.
        - ``new_*`` of the words that the question did not give (a word's log-probability is the sum over its tokens),
          ``new_share`` of all words; ``repeated_share`` of runs of three words. Of the answer's first 300 characters.
    """
    signals = {
        "empty": float(not text.strip() and not tool_calls),
        "refusal": float(_REFUSAL.match(_plain(text)) is not None or finish_reason is FinishReason.CONTENT_FILTER),
        "finish_length": float(finish_reason is FinishReason.LENGTH),
    }
    if any(request.fields[name] not in _NOTHING for name in _CONSTRAINTS & request.fields.keys()):
        signals["constrained"] = 1.0
    if request.response_schema_json is not None and not tool_calls:
        signals["schema_valid"] = float(satisfies(text, request.response_schema_json))
    if tool_calls or (request.tools and request.tool_choice in {ToolChoice.REQUIRED, ToolChoice.NAMED}):
        signals["tool_arguments_valid"] = float(_are_valid(request, tool_calls))
    if logprobs:
        tokens = Tokens(logprobs)
        signals |= tokens.over_all()
        question = "\n".join([*(message.text for message in request.messages), request.prompt])
        signals |= _of_form(question, tokens)
        signals |= _of_words(question, tokens)
    return signals


def _plain(text: str) -> str:
    return " ".join(text[:300].lower().replace("\u2019", "'").split())


def _of_form(question: str, tokens: Tokens) -> dict[str, float]:
    """What kind of answer it is, and how sure the model was where it decided."""
    asked, text = read_question(question), tokens.text
    decision = decide(asked, text)
    signals = {name: 1.0 if form is decision.form else 0.0 for name, form in _FORMS}
    signals["question_log"] = math.log1p(len(asked.plain))
    signals["question_digits"] = float(max(map(_digits, asked.numbers), default=0))
    if decision.end > decision.start:
        first, last = tokens.span(decision.start, decision.end)
        signals["decision_logprob"] = tokens.logprob(first, last)
        signals["decision_at"] = math.log1p(first)
        if (margin := tokens.margin(first, last)) is not None:
            signals["decision_margin"] = margin
        if (entropy := tokens.entropy(first)) is not None:
            signals["decision_entropy"] = entropy
        if decision.form is Form.LETTER and (share := tokens.share_among(first, asked.letters)) is not None:
            signals["letter_share"] = share
        if decision.form is Form.NUMBER:
            signals["number_digits"] = float(_digits(text[decision.start : decision.end]))
    if (kept := format_kept(asked, text, decision.form)) is not None:
        signals["format_kept"] = float(kept)
    if (valid := code_valid(text)) is not None:
        signals["code_valid"] = float(valid)
    if (share := quotes_found(question, text)) is not None:
        signals["quotes_found"] = share
    return signals


def _digits(number: str) -> int:
    return sum(map(str.isdigit, number))


def _of_words(question: str, tokens: Tokens) -> dict[str, float]:
    said = words_of(tokens.text, question)
    if not said.all:
        return {}
    signals = {"new_share": len(said.new) / len(said.all), "repeated_share": repeated_share(said.all)}
    if not said.new:
        return signals
    values, margins = tokens.of_each(said.new)
    signals["new_logprob_first"] = values[0]
    signals["new_logprob_min"] = min(values)
    signals["new_logprob_mean"] = math.fsum(values) / len(values)
    if margins:
        signals["new_margin_first"] = margins[0]
        signals["new_margin_min"] = min(margins)
    return signals


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
