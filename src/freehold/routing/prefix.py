"""Judging a stream by its first tokens. A prefix is another thing than an answer: its own calibration, its own certificate."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.domain.request import InferenceRequest, ToolChoice
from freehold.domain.response import TokenLogprob
from freehold.routing.calibration import Calibration
from freehold.routing.signals import measure

_WHOLE_ONLY = ("empty", "finish_length", "schema_valid", "tool_arguments_valid")
"""Signals that say nothing before an answer has ended."""


def scope_of(tokens: int) -> str:
    """The scope of what is judged by so many first tokens."""
    return f"prefix-{tokens}"


def is_judged_by_prefix(request: InferenceRequest, calibrations: Sequence[Calibration], *, tokens: int) -> bool:
    """Whether a stream's first tokens decide.

    Not where a schema or tools may shape the answer, which only the whole of it satisfies; nor where whole answers
    can be judged and prefixes of this length cannot.
    """
    if request.response_schema_json is not None or (request.tools and request.tool_choice is not ToolChoice.NONE):
        return False
    scopes = {each.scope for each in calibrations}
    return not scopes or scope_of(tokens) in scopes


def measure_prefix(
    request: InferenceRequest, *, text: str, logprobs: Sequence[TokenLogprob], tokens: int
) -> dict[str, float]:
    """The signals of an answer's first ``tokens`` tokens; without log-probabilities those of the text so far."""
    first = logprobs[:tokens]
    said = "".join(token.token for token in first) if first else text
    signals = measure(request, text=said, logprobs=first, finish_reason=None)
    return {name: value for name, value in signals.items() if name not in _WHOLE_ONLY}
