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


class VaultKeyWrong(VaultError):
    """The vault {path!s} doesn't open with its key, or is no vault. Put back the key that it was made with, or restore the file from a backup; without its key a vault can't be read.

    An encrypted file with another key, and a file that was never a vault, look the same.
    """

    code = "FH-VAULT-010"
    status = 500


class VaultOfNewerVersion(VaultError):
    """The vault {path!s} was written by a newer Freehold: its schema is {found!s}, and this version knows {known!s}. Update Freehold, or restore the vault from a backup of before."""

    code = "FH-VAULT-011"
    status = 500


class VaultOfAnotherModel(VaultError):
    """The vault {path!s} has vectors of {found} with {found_dimensions!s} dimensions, but {model} with {dimensions!s} is set. Set embedder to {found} again, or embed it anew: freehold vault reembed

    Vectors of two models are never compared: their numbers mean different things.
    """

    code = "FH-VAULT-012"
    status = 500


class VaultDamaged(VaultError):
    """The vault {path!s} is damaged: {reason!s}. Restore it from a backup, or add its documents anew."""

    code = "FH-VAULT-013"
    status = 500


class VaultVectorsUnfit(VaultError):
    """{what!s} doesn't fit the vault's index: {reason!s}. Use the embedder that the vault was made with."""

    code = "FH-VAULT-014"
    status = 500


class VaultBusy(VaultError):
    """The vault {path!s} is in use by another process for longer than {seconds!s} s. Try again, or stop what else has it open."""

    code = "FH-VAULT-015"
    status = 503


class VaultUnwritable(VaultError):
    """The vault {path!s} can't be opened or written: {reason!s}. See whether its folder is there, may be written, and has room."""

    code = "FH-VAULT-016"
    status = 507


class VaultClosed(VaultError):
    """The vault {path!s} is closed. Open it again; nothing that was reported done is lost."""

    code = "FH-VAULT-017"
    status = 503
