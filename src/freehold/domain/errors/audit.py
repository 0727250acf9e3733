"""The proof."""

from freehold.domain.errors.base import FreeholdError


class AuditError(FreeholdError):
    """The audit log failed."""

    status = 503
    type = "audit_error"


class AuditUnwritable(AuditError):
    """The audit log cannot be written: {reason!s}. Nothing leaves this machine until it can; local answers go on.

    After a failed write the log takes nothing until the disk can be written again, which it tries every second: what
    had not reached the disk is then written once more to a fresh file, and an entry says so. Free the disk; "freehold
    doctor" says what is wrong.
    """

    code = "FH-AUDIT-001"


class AuditBroken(AuditError):
    """The audit log does not verify: {reason!s}.

    An entry, a tile or a checkpoint was changed, or belongs to another log.
    """

    code = "FH-AUDIT-002"
    status = 500


class EgressBrokerAway(AuditError):
    """The egress broker at {place!s} does not record what is to leave: {reason!s}. Nothing leaves this machine until it does; local answers go on. Start it with "freehold broker", or see what it logs.

    With [egress] broker this server has no way out of its own: another process records each egress in a log of its own,
    decides anew, and connects. It is asked again every second, and the way opens by itself once it answers. "freehold
    doctor --egress" says how it stands. docs/how-to/broker.md says how it is run.
    """

    code = "FH-AUDIT-003"
    retryable = True
