"""Looking for personal data and secrets."""

from freehold.domain.errors.base import FreeholdError


class DetectError(FreeholdError):
    """A text could not be looked through."""

    status = 503
    type = "detector_error"
    retryable = True


class DetectorFailed(DetectError):
    """The detector could not look through a text: {reason!s}. What it did not see may be anything, so the text stays on this device.

    Personal data and secrets are looked for in a child process, so that a crash never takes the gateway along; it is
    started again by itself. A request whose text could not be looked through is answered on this device.
    """

    code = "FH-DETECT-001"


class ScanUnreadable(DetectError):
    """{path} cannot be looked through: {reason!s}.

    "freehold scan" reads text files and, as "-", standard input. A file of another kind is not guessed at: take its
    text out first.
    """

    code = "FH-DETECT-002"
    status = 400
    type = "invalid_request_error"
    retryable = False


class MapUnusable(DetectError):
    """The map {path} cannot be used: {reason!s}. Nothing was printed.

    "freehold redact --map" writes a map beside the text that it prints; only with it can "freehold restore" turn the
    tokens of an answer back. It holds what was taken out: keep it where the text may be.
    """

    code = "FH-DETECT-003"
    status = 400
    type = "invalid_request_error"
    retryable = False
