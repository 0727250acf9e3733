"""Whether a caller may use more."""

from __future__ import annotations

from freehold.domain.errors.base import FreeholdError


class LimitError(FreeholdError):
    """A limit is in the way."""

    status = 429
    type = "rate_limit_error"
    openai_code = "rate_limit_exceeded"
    retryable = True


class LimitReached(LimitError):
    """{subject!s} has used {used!s} of {limit!s} for this {window!s}, which ends at {resets!s}. Try again in {retry_s!s} s, or have the limit raised.

    A limit counts what receipts say: every attempt of a request, escalations too. Nothing was sent to a model. "freehold
    limits list" shows all limits and what is used of them, "freehold limits set" changes one.
    """

    code = "FH-LIMIT-001"


class BudgetSpent(LimitError):
    """{subject!s} has used {used!s} of its budget of {limit!s} for this month, which ends at {resets!s}. Ask whoever runs this server for more.

    Budgets follow calendar months in UTC and are counted from receipts, so that a restart changes nothing. Nothing was
    sent to a model. Clients of OpenAI know this as insufficient_quota.
    """

    code = "FH-LIMIT-002"
    openai_code = "insufficient_quota"
    retryable = False


class LimitHeld(LimitError):
    """{subject!s} has used {used!s} of {limit!s} for this {window!s}, and its running requests may use {reserved!s}: there is no room for the {wanted!s} that this one may come to. Try again in {retry_s!s} s, or send a smaller max_tokens.

    Before a request is sent its most is set aside: a token for each byte of the prompt, and max_tokens (the whole context
    where none is given) for each deployment that it may try. What it did not use is given back when it ends.
    """

    code = "FH-LIMIT-003"


class LimitTooSmall(LimitError):
    """This request may come to {wanted!s}, and {subject!s} has {left!s} left of {limit!s} for this {window!s}, which ends at {resets!s}. Send a smaller max_tokens or less text, or try again in {retry_s!s} s.

    Before a request is sent its most is set aside: a token for each byte of the prompt, and max_tokens (the whole context
    where none is given) for each deployment that it may try. One that asks for little may still fit.
    """

    code = "FH-LIMIT-004"


class RequestOverLimit(LimitError):
    """This request may come to {wanted!s}, and {subject!s} is never allowed more than {limit!s} in a {window!s}. Send a smaller max_tokens or less text, or have the limit raised.

    Before a request is sent its most is set aside: a token for each byte of the prompt, and max_tokens (the whole context
    where none is given) for each deployment that it may try. Waiting does not help this one.
    """

    code = "FH-LIMIT-005"
    retryable = False


class PriceMissing(LimitError):
    """{deployment} has {what!s}, so the limit of {limit!s} on {subject!s} cannot be held. Give it a price in that currency, or ask for another deployment.

    Where money is limited nothing is sent to a deployment beyond your own network whose price is not known, or is in
    another currency. Set price or price_model of the deployment. At home an unpriced answer counts as no money.
    """

    code = "FH-LIMIT-006"
    status = 403
    type = "permission_error"
    openai_code = None
    retryable = False


class LimitRequestInvalid(LimitError):
    """{what!s} is {value}: {reason!s}.

    A limit is set with "freehold limits set SUBJECT WHAT WINDOW AMOUNT", for example "freehold limits set tenant:default
    money month 50". SUBJECT is tenant:NAME or key:ID, WHAT is requests, tokens or money, WINDOW is minute, hour, day or
    month.
    """

    code = "FH-LIMIT-007"
    status = 400
    type = "invalid_request_error"
    openai_code = None
    retryable = False
