"""Private documents."""

from freehold.domain.errors.base import FreeholdError


class VaultError(FreeholdError):
    """The vault cannot do that."""

    status = 400
    type = "invalid_request_error"


class VaultUnknown(VaultError):
    """There is no vault {vault} for tenant {tenant}. There is: {known!s}. Name one of those, or add [vaults.{vault!s}] to the configuration.

    A vault of another tenant is told as one that is not there.
    """

    code = "FH-VAULT-001"
    status = 404


class VaultNeedsExtra(VaultError):
    """The vault needs {missing!s}, which are not installed. Install them with: pip install "freehold[{extra!s}]"

    The vault's store, parsers and embedders are an extra, since a gateway without documents needs none of them.
    """

    code = "FH-VAULT-002"
    status = 501


class VaultModelMissing(VaultError):
    """{purpose!s} needs the model {model}, which is not in {folder!s}. Fetch it with: freehold pull {model!s}

    Models are files that are pulled once and verified by digest; nothing is fetched while documents are read or searched.
    """

    code = "FH-VAULT-040"
    status = 409


class VaultModelFailed(VaultError):
    """The model {model} of the vault gave no answer: {reason!s}. What it needs is shown by: freehold doctor

    Models run in child processes of their own, which are started again after they end.
    """

    code = "FH-VAULT-041"
    status = 503
    retryable = True


class VaultModelUnfit(VaultError):
    """The vault cannot use {model} as {purpose!s}. It can use: {known!s}.

    Vectors and relevance come from models of the catalogue whose prefixes, windows and pooling are known.
    """

    code = "FH-VAULT-042"


class VaultRankerUnfit(VaultError):
    """The reranker {model} knows English only, and the question or a passage is in another language. The order without it stands.

    On other languages its order is worse than none.
    """

    code = "FH-VAULT-043"
