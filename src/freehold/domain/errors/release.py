"""Ways down that somebody approves: releases, and publishing."""

from freehold.domain.errors.base import FreeholdError


class ReleaseError(FreeholdError):
    """A text stays where its label keeps it."""

    status = 409
    type = "policy_error"


class ReleaseRequestInvalid(ReleaseError):
    """A release cannot be asked for with {what!s} {value}: {reason!s}.

    A release is for one body and one deployment beyond this device. The body is that of a request that policy refused
    within the last seven days, named by its receipt, or a file with the JSON that will be sent.
    """

    code = "FH-RELEASE-001"
    status = 400
    type = "invalid_request_error"


class ReleaseNotPossible(ReleaseError):
    """{deployment!s} cannot be given this text by a release: {reason!s}.

    A release lifts what policy has against one deployment: zone, level, kinds, and the terms of its upstream. It never
    lifts the kind "secret", a missing audit log, or a zone that this site does not know.
    """

    code = "FH-RELEASE-002"


class ReleaseNotApproved(ReleaseError):
    """Release {release_id!s} was not approved: {reason!s}.

    From level confidential on somebody else must approve than who asked; keys that followed one another by rotation are
    one person. A release that was approved, used or has expired is not approved again.
    """

    code = "FH-RELEASE-003"


class ReleaseSpent(ReleaseError):
    """Release {release_id!s} was used or has expired, and nothing was sent by it. Ask for another one with "freehold release request".

    A release lets one attempt go, once. It counts as used from before the first byte, whatever became of that attempt.
    """

    code = "FH-RELEASE-004"
    status = 403


class PublishRefused(ReleaseError):
    """File {file_id!s} was not given the label {label!s}: {reason!s}.

    Whoever has the scope "manage" in the tenant that a file belongs to may say that it is less sensitive. A file of level
    restricted needs a second one of them, who asks for the same label within a day. The kind "secret" is never taken off.
    """

    code = "FH-RELEASE-005"
