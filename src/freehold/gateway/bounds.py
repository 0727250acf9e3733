"""The most that a request may come to, before it is sent anywhere: what limits set aside for it.

Rather too much than too little: what is not used is given back at its end, but what was not set aside would take a limit
past its amount. A token is never shorter than a byte of its text.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import NamedTuple

from freehold.domain.deployment import Deployment, Prerouter, Route, StreamMode
from freehold.domain.errors.limits import PriceMissing
from freehold.domain.limits import Bound, Limit
from freehold.domain.money import Money
from freehold.domain.ports import PriceBook
from freehold.domain.request import InferenceRequest, PartKind, Task
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, LAN
from freehold.gateway.pricing import list_price
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime
from freehold.ledger.machine import MachineTime
from freehold.ledger.pricing import cost_of_machine_time, cost_of_tokens

TEMPLATE_TOKENS = 256
"""What a chat template may add to a conversation: its own system prompt, marks of turns, words about tools."""

_US_PER_S = 1_000_000
_OWN_ZONES = frozenset({DEVICE, LAN})
_NOT_BY_BYTES = frozenset({PartKind.IMAGE, PartKind.AUDIO, PartKind.FILE})
_ANSWER_FIELDS = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "n_predict", "num_predict",
    "min_tokens",
)  # fmt: skip
"""Members that some server takes for the length of an answer: each may win over ``max_tokens``, so the greatest counts."""


class _Step(NamedTuple):
    """A deployment that may be tried.

    Attributes:
        deployment: Which.
        usage: The most that it may read, and the most that it may write.
        tokens: The most of both together.
    """

    deployment: Deployment
    usage: Usage
    tokens: int


def bound_of(
    draft: ReceiptDraft, steps: Sequence[Deployment], *, route: Route, runtime: Runtime, prices: PriceBook
) -> Bound:
    """The most that a request may come to: as many of its plan's dearest steps as may be tried, each to its end.

    For each of them but the last all that the route asks about answers in doubt is added; and the dearest once more
    where a stream may be left after its first tokens and taken back; and those at home that a prerouter may pass over, which
    are tried beyond the others where these fail.

    Args:
        draft: The request.
        steps: Of its plan.
        route: Says how many of them may be tried, and what else is asked.
        runtime: Says how long a request may take, and what owned hardware costs.
        prices: List prices.
    """
    request, doubt = draft.request, route.doubt
    tries = min(route.attempts_max, len(steps))
    found = [_step(request, each) for each in steps]
    doubted = 0 if request.task is not Task.CHAT else tries - 1
    asked = [_asked(request, runtime.engines[name].deployment) for name in doubt.names] if doubted else []
    again = doubted * doubt.samples
    if doubted and request.stream and route.stream is StreamMode.PREFIX:
        again += 1
    if request.task is Task.CHAT and route.prerouter is Prerouter.ON:
        # Where answers have a worth any step at home may come first, else only the first ones may be passed over.
        passed_over = steps[1:] if route.gains else steps[: tries - 1]
        spare = sum(each.zone in _OWN_ZONES for each in passed_over)
        tries = min(tries + spare, len(steps))

    def most(amount: Callable[[_Step], int]) -> int:
        amounts = [amount(each) for each in found]
        return (
            sum(heapq.nlargest(tries, amounts))
            + again * max(amounts, default=0)
            + doubted * sum(amount(each) for each in asked)
        )

    def micros(limit: Limit) -> int:
        return most(lambda each: _price(each, limit, draft, runtime, prices))

    return Bound(tokens=most(lambda each: each.tokens), micros=micros)


def _asked(request: InferenceRequest, deployment: Deployment) -> _Step:
    """One that is asked about an answer: it may read that answer besides what is asked."""
    step = _step(request, deployment)
    more = _answer_tokens(request, deployment.model.context_tokens) + TEMPLATE_TOKENS
    read = min(step.usage.input_tokens + more, deployment.model.context_tokens)
    usage = Usage(input_tokens=read, output_tokens=step.usage.output_tokens)
    return _Step(deployment, usage, read + usage.output_tokens)


def _step(request: InferenceRequest, deployment: Deployment) -> _Step:
    context = deployment.model.context_tokens
    if not request.is_generated:
        read = 0 if request.task is Task.COUNT else request.computed_bytes + TEMPLATE_TOKENS
        return _Step(deployment, Usage(input_tokens=read), read)
    read = max(request.body_bytes, request.input_bytes) + TEMPLATE_TOKENS
    if not _NOT_BY_BYTES.isdisjoint(request.content_kinds):
        read = context
    answer = _answer_tokens(request, context)
    if not deployment.is_on_device:
        return _Step(deployment, Usage(input_tokens=read, output_tokens=answer), read + answer)
    # An engine of ours, which holds to its context.
    usage = Usage(input_tokens=min(read, context), output_tokens=min(answer, context))
    return _Step(deployment, usage, min(read + answer, context))


def _answer_tokens(request: InferenceRequest, context: int) -> int:
    if request.sampling.max_tokens is None:
        return context
    most = request.sampling.max_tokens
    for name in _ANSWER_FIELDS:
        said = request.fields.get(name)
        if said is not None:
            number = said.strip()
            most = max(most, int(number) if number.isdigit() and len(number) < len(str(1 << 62)) else context)
    return most


def _price(step: _Step, limit: Limit, draft: ReceiptDraft, runtime: Runtime, prices: PriceBook) -> int:
    """What a step may cost in micro-units of the limit's currency; 0 at home where nobody has said what that costs.

    Raises:
        PriceMissing: That is not known.
    """
    deployment, hardware = step.deployment, runtime.hardware
    price = list_price(prices, deployment, usage=step.usage, unix_ms=draft.created_unix_ms)
    amount: Money | None = None
    if price is not None:
        amount = cost_of_tokens(step.usage, price).amount
    elif hardware is not None and hardware.zone == deployment.zone:
        busy_us = round(runtime.deadlines.total_s * _US_PER_S)
        amount = cost_of_machine_time(hardware, MachineTime(busy_us=busy_us)).amount
    elif deployment.zone in _OWN_ZONES:
        return 0
    if amount is None or amount.currency != limit.currency:
        raise PriceMissing(
            deployment=deployment.name,
            what="no price" if amount is None else f"a price in {amount.currency}",
            limit=str(Money(micros=limit.amount, currency=limit.currency)),
            subject=str(limit.subject),
        )
    return amount.micros
