"""Calls of tools that wait for a human."""

from freehold.domain.errors.base import FreeholdError


class ApprovalError(FreeholdError):
    """What was asked of a call that is held cannot be done."""

    status = 409
    type = "invalid_request_error"


class ApprovalUnknown(ApprovalError):
    """No call with the id {id} is held here. "freehold approvals list" shows those that are.

    A call is forgotten a day after it could no longer be decided or made.
    """

    code = "FH-UNTRUSTED-001"
    status = 404


class ApprovalOver(ApprovalError):
    """The call {id} cannot be {wanted!s} any more: it is {state!s}. Have the request sent again; if the model wants the same call, it is held anew.

    A call is decided once, within an hour of being held. One that is allowed may be made once, within an hour of that: when
    the same key's next answer holds exactly the same call.
    """

    code = "FH-UNTRUSTED-002"


class ApprovalOwn(ApprovalError):
    """The call {id} was asked for with this key, which cannot allow it itself. Use another key with the scope manage, or "freehold approvals allow" on the gateway's machine.

    Otherwise a program could let through what the text that it read made its model want.
    """

    code = "FH-UNTRUSTED-003"
    status = 403
    type = "permission_error"


class ServerToolRefused(ApprovalError):
    """The request has untrusted text in it ({because!s}) and a tool that the model's provider runs by itself ({field!s}). Leave that tool out, or name the text's source trusted.

    What a provider's own tool is asked, no gateway sees in time: a search or a fetch could carry the conversation away. In an
    untrusted context with a label of at least internal such a tool is therefore refused.
    """

    code = "FH-UNTRUSTED-004"
    status = 403
    type = "policy_error"
