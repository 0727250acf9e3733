"""Models that share memory."""

from freehold.domain.errors.admission import AdmissionError
from freehold.domain.errors.engine import EngineError


class ModelTooLarge(EngineError):
    """{deployment} needs {needs!s} of {device!s}, and models may have {most!s} there. Give it fewer slots, a shorter context or a smaller quantisation, or raise [memory] cap.

    Nothing was unloaded for it: what can never fit makes nobody leave. What a model needs is computed from its file and
    corrected by what it was seen to take; "freehold models explain" shows its parts. Beside what "freehold fit" counts
    it has 256 MiB for prompts that an embedded engine keeps.
    """

    code = "FH-ENGINE-016"
    retryable = False


class NoMemoryBeside(EngineError):
    """{deployment} needs {needs!s} of {device!s}, {free!s} is free ({holders!s}). Run "freehold unload {unload!s}", or take pinned = true from it.

    Models that are pinned make way for nobody, and beside them there is no room for this one. Nothing was unloaded.
    """

    code = "FH-ENGINE-017"


class MemoryTaken(EngineError):
    """{deployment} needs {needs!s} of {device!s}, {free!s} is free ({holders!s}). Other programs hold the rest: end one, or use a smaller model. Try again in {retry_s!s} s.

    Models are started only where their memory is really free, whatever was set aside for them. Nothing was unloaded.
    """

    code = "FH-ENGINE-018"


class ModelBusy(EngineError):
    """{deployment} answers {in_use!s} requests, so that it is not unloaded. Try again when they are done.

    A model that answers is never stopped for another one, nor by a command.
    """

    code = "FH-ENGINE-019"
    status = 409
    type = "invalid_request_error"


class NotPlaced(EngineError):
    """{deployment} is no model that this server loads. "freehold ps" lists them.

    Only engines of Freehold's own are loaded and unloaded; a server that runs by itself keeps what it has.
    """

    code = "FH-ENGINE-020"
    status = 409
    type = "invalid_request_error"
    retryable = False


class DeploymentUnknown(EngineError):
    """{deployment} is no deployment of this server. "freehold ps" lists those whose models it loads.

    Names are those of the configuration, as [deployments.NAME] has them, not those of models or routes.
    """

    code = "FH-ENGINE-021"
    status = 404
    type = "invalid_request_error"
    retryable = False


class LoadTooLate(AdmissionError):
    """{deployment} is {state!s}: it is expected in about {expected_s!s} s, and this request may wait {allowed_s!s} s. Try again in {retry_s!s} s.

    Several models share this machine's memory, and one is loaded at a time. "freehold ps" shows which are loaded and
    which leaves next; a model with pinned = true stays.
    """

    code = "FH-ADMIT-009"
