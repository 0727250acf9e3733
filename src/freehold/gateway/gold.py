"""Asks a question with a known answer, and labels every answer that was made to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from freehold.domain.errors.feedback import NothingLearnt, OutcomeUnknown
from freehold.domain.identity import Principal
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.priority import Priority
from freehold.domain.receipt import Receipt
from freehold.domain.request import Purpose
from freehold.gateway.inner_calls import KeptAnswer
from freehold.gateway.learning import Learning
from freehold.gateway.pipeline import Pipeline
from freehold.wire.openai_request import decode_chat

_LEARN_S = 10.0
"""How long outcomes may take to be made, once the answer is there: the path that makes them has a pause in it."""


_QUESTION_DIGITS = 16
"""Of a digest that tells one of a tenant's questions from another, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of one question.

    Attributes:
        receipt: Of the request.
        outcomes: One for each answer that was made, labelled.
    """

    receipt: Receipt
    outcomes: Sequence[AnswerOutcome]


async def ask_gold(
    pipeline: Pipeline,
    learning: Learning,
    principal: Principal,
    *,
    request_id: str,
    model: str,
    prompt: str,
    tokens_max: int,
    is_right: Callable[[str], bool],
) -> Asked:
    """Ask one question, greedily and at the lowest priority, as a request of the caller's with a receipt.

    Raises:
        NothingLearnt: Nothing may be learnt from this caller's requests.
        OutcomeUnknown: Nobody looked into the answer, since its route does not measure.
        FreeholdError: The request was refused or failed.
    """
    if not learning.wants(principal):
        raise NothingLearnt(reason="its tenant or its key is left out of learning")
    members = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens_max,
        "temperature": 0,
    }
    request = decode_chat(json.dumps(members, ensure_ascii=False).encode(), request_id=request_id, label_header=None)
    request = replace(request, priority=Priority.BATCH, purpose=Purpose.GOLD)
    question = hashlib.sha256(prompt.encode()).hexdigest()[:_QUESTION_DIGITS]
    graded = learning.expect(request_id, is_right, question=question)
    try:
        receipt = await pipeline.answer(request, principal, KeptAnswer())
        try:
            outcomes = await asyncio.wait_for(graded.found, _LEARN_S)
        except TimeoutError:
            raise OutcomeUnknown(name=request_id) from None
    finally:
        learning.forget(request_id)
    return Asked(receipt=receipt, outcomes=outcomes)
