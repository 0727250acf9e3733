"""Private documents."""

from freehold.domain.errors.base import FreeholdError


class VaultError(FreeholdError):
    """The vault cannot do that."""

    status = 400
    type = "invalid_request_error"


class VaultUnknown(VaultError):
    """There is no vault {vault!r} for tenant {tenant!r}. There is: {known!s}. Name one of those, or add [vaults.{vault}] to the configuration.

    A vault of another tenant is told as one that is not there.
    """

    code = "FH-VAULT-001"
    status = 404


class VaultNeedsExtra(VaultError):
    """The vault needs {missing!s}, which are not installed. Install them with: pip install "freehold[{extra}]"

    The vault's store, parsers and embedders are an extra, since a gateway without documents needs none of them.
    """

    code = "FH-VAULT-002"
    status = 501


class VaultNothingAsked(VaultError):
    """There is no question for the vault {vault!r}: no message of the user has text. Send one, or leave out the vault.

    The last message of the user is what is looked for in the documents.
    """

    code = "FH-VAULT-060"


class VaultNoRoom(VaultError):
    """There is no room for passages of the vault {vault!r}: the conversation takes about {tokens!s} of the {context!s} tokens that the route's models read. Send a shorter one, or ask a route with a longer context.

    Passages are put before the last message of the user, in what the conversation and the answer leave of the context.
    """

    code = "FH-VAULT-061"
