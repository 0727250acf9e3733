"""A server that we call."""

from typing import Literal

from freehold.domain.errors.base import FreeholdError


class UpstreamError(FreeholdError):
    """A server that Freehold called failed.

    Attributes:
        reached_model: Whether the request may have been worked on: ``"no"`` (nothing was sent), ``"unknown"`` (sent,
            no answer byte seen), ``"yes"`` (an answer had begun).
        reused: Whether it went over a connection that had served a request before. Such a connection may have been
            closed by the server while the request was on its way: with ``"unknown"``, the one case besides ``"no"``
            in which a second try is fair.
        told: Whether the client has been told already, in the upstream's own words.
        unread: Whether its answer was not being read when the time was over, because whoever asked was behind. Then it
            says nothing of the server.
    """

    status = 502
    type = "upstream_error"
    retryable = True
    reached_model: Literal["no", "unknown", "yes"] = "unknown"
    reused: bool = False
    told: bool = False
    unread: bool = False


class UpstreamUnreachable(UpstreamError):
    """{deployment} could not be reached: {reason!s}. Check its base_url and that the server runs.

    The address itself is in the audit log and in "freehold doctor", never in an answer.
    """

    code = "FH-UPSTREAM-001"


class UpstreamProtocol(UpstreamError):
    """{deployment} did not answer as its protocol demands: {reason!s}.

    For example an HTML page with status 200, a redirect, or JSON where events were asked for.
    """

    code = "FH-UPSTREAM-002"


class UpstreamBroken(UpstreamError):
    """The answer of {deployment} broke off: {reason!s}. What came until then was sent; it is not whole.

    A broken answer never looks complete: the stream ends with this error and without "[DONE]".
    """

    code = "FH-UPSTREAM-003"

    @property
    def wire_code(self) -> str:
        """The upstream's own error code where it broke off with one."""
        return str(self.values.get("upstream_code") or self.code)


class UpstreamTimeout(UpstreamError):
    """{deployment} did not {what!s} within {seconds!s} s.

    Deadlines are set under [deadlines] in freehold.toml.
    """

    code = "FH-UPSTREAM-004"
    status = 504


class UpstreamStatus(UpstreamError):
    """{deployment} answered {upstream_status!s}: {reason!s}

    Status, error code and Retry-After are the upstream's own. Freehold does not retry what reached a model.
    """

    code = "FH-UPSTREAM-005"
    quotes = frozenset({"reason"})

    @property
    def http_status(self) -> int:
        """The upstream's status, except that a refused credential of ours is our fault, not the client's."""
        status = int(str(self.values.get("upstream_status", 502)))
        return 502 if status in (401, 403) or not 400 <= status < 600 else status

    @property
    def wire_code(self) -> str:
        """The upstream's own error code where it sent one."""
        return str(self.values.get("upstream_code") or self.code)
