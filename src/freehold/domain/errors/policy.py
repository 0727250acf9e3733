"""Where the text may go."""

from freehold.domain.errors.base import FreeholdError


class PolicyError(FreeholdError):
    """The label forbids it."""

    status = 403
    type = "policy_error"


class NoPermittedDeployment(PolicyError):
    """The request is labelled {label!s} and no deployment of {route} may have it: {reasons!s}. Ask for a deployment inside the label's zones, or have its owner release the text.

    A label only ever rises on its way. It comes from the tenant, the key, the route and the request's own
    "freehold-label" header. "freehold receipts ID" shows which of them set it and which rule denied which
    deployment.
    """

    code = "FH-POLICY-001"


class LabelUnreadable(PolicyError):
    """The label {value} cannot be read: {reason!s}. Write LEVEL, or LEVEL;zones=ZONE,ZONE;kinds=KIND,KIND with LEVEL one of public, internal, confidential, restricted.

    A label that cannot be read is refused, never guessed.
    """

    code = "FH-POLICY-002"
    status = 400
    type = "invalid_request_error"


class EgressDenied(PolicyError):
    """The connection to {origin!s} was not opened: {reason!s}.

    Nothing leaves this machine without a permit, and a permit exists only after its record is on disk. It names one
    destination, one zone and one exact body, and is spent once.
    """

    code = "FH-POLICY-003"
