"""Files that clients give."""

from freehold.domain.errors.base import FreeholdError


class FileError(FreeholdError):
    """The file cannot be taken, or not be given away."""

    status = 400
    type = "invalid_request_error"


class FileFormInvalid(FileError):
    """The upload is no form with a file: {reason!s}. Send multipart/form-data with the parts "purpose" and "file".

    That is what the official clients send with ``files.create``.
    """

    code = "FH-FILE-001"


class FileTooLarge(FileError):
    """The file has more than {limit_bytes!s} bytes, which is the limit. Send less, or raise [files] file_bytes_max.

    It is refused as soon as that is known; what came until then was thrown away.
    """

    code = "FH-FILE-002"
    status = 413


class FileQuotaReached(FileError):
    """The files of tenant {tenant} may take {limit_bytes!s} bytes together, and {used_bytes!s} are taken. Delete some, or raise [files] tenant_bytes_max.

    Results of batches count too, but are never refused. Files of batches and their results go by themselves after
    [files] keep_days.
    """

    code = "FH-FILE-003"
    status = 413


class FileInUse(FileError):
    """File {file_id!s} is the input of a batch that is not over. Cancel the batch, or wait for its end.

    The items are read from the file as they are run.
    """

    code = "FH-FILE-004"
    status = 409
