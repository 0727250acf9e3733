"""A local engine of ours."""

from freehold.domain.errors.base import FreeholdError


class EngineError(FreeholdError):
    """A local engine failed."""

    status = 503
    type = "engine_error"
    retryable = True


class EngineCrashed(EngineError):
    """The engine of {deployment} ended {how!s} while it answered. It is being restarted; send the request again.

    The engine runs in a child process of its own so that a crash never takes the gateway along. What was generated
    until then was sent; the stream ends with this error and without "[DONE]".
    """

    code = "FH-ENGINE-001"
    status = 502


class EngineNotReady(EngineError):
    """{deployment} is not ready: {detail!s}. Try again in {retry_s!s} s.

    Ready means that it generated one token, not that a port is open.
    """

    code = "FH-ENGINE-002"


class EngineStartFailed(EngineError):
    """The engine of {deployment} did not start: {reason!s}.

    "freehold doctor" checks the processor, the free memory and the model file.
    """

    code = "FH-ENGINE-003"
    retryable = False


class EngineRefused(EngineError):
    """The engine of {deployment} refused the request: {reason!s}.

    The engine's own words follow the colon.
    """

    code = "FH-ENGINE-004"
    status = 400
    type = "invalid_request_error"
    retryable = False


class EnginePackagesMissing(EngineStartFailed):
    """The engine of {deployment} needs packages that are not installed: {packages!s}. Install them with: {command!s}

    Models that embed and rerank are run by onnxruntime, which most installations have no use for.
    """

    code = "FH-ENGINE-015"
