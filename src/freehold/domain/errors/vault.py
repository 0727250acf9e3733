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


class VaultsConfigured(VaultError):
    """Vaults are made in the configuration, not over the API. Add [vaults.NAME] to freehold.toml and reload; then put documents into it.

    A vault is an encrypted file with a key, an embedder and folders of its own, which no client may choose.
    """

    code = "FH-VAULT-080"


class DocumentNotYours(VaultError):
    """You may read this document and not change it: it is {owner!s}. Have it done with its owner's key, or with one that has the scope manage too.

    A document that may not be read is answered as one that does not exist.
    """

    code = "FH-VAULT-081"
    status = 403
    type = "permission_error"


class DocumentOutOfSight(VaultError):
    """The document was not taken in: this key could not read it, since {reason!s}. Name a reader that it is, or add it with a key that has the scope manage too.

    What a key puts where it cannot see it, it could neither find nor remove again. A manager may, to fill a vault for
    others.
    """

    code = "FH-VAULT-082"
    status = 403
    type = "permission_error"
