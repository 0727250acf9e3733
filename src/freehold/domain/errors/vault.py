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


class VaultPathMissing(VaultError):
    """{path!r} cannot be added: {reason!s}. Name a file or a folder that this user may read.

    Nothing of it was taken in. A folder that is named in the configuration and is not there is not taken for emptied:
    its documents stay until ``freehold vault remove --gone`` erases them.
    """

    code = "FH-VAULT-050"


class VaultFileUnreadable(VaultError):
    """The file cannot be opened: {reason!s}. Let this user read it, and add it again.

    What was read of it before, if anything, is still in the vault.
    """

    code = "FH-VAULT-051"


class VaultFileTooLarge(VaultError):
    """The file has {size_bytes!s} bytes, and at most {limit!s} are read. Raise file_bytes_max of the vault, or split it.

    Nothing of it is in the vault but this line.
    """

    code = "FH-VAULT-052"
    status = 413


class VaultDocumentUnknown(VaultError):
    """There is no document {document!r} in the vault {vault!r}. "freehold vault list" shows those that there are.

    A document that may not be read is told as one that is not there.
    """

    code = "FH-VAULT-053"
    status = 404


class VaultNothingAdded(VaultError):
    """Nothing was added: of {files!s} files {failed!s} could not be read. "freehold vault list --failed" shows why.

    The vault is as it was, but for the lines that say so.
    """

    code = "FH-VAULT-054"


class VaultNameUnusable(VaultError):
    """A vault cannot be called {vault!r}. Use lower-case letters, digits, hyphens and underscores, at most 64.

    The name is part of the name of the file that the vault is in.
    """

    code = "FH-VAULT-055"
