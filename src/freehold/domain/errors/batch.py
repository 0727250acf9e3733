"""Batches."""

from freehold.domain.errors.base import FreeholdError


class BatchError(FreeholdError):
    """The batch cannot be made, or cannot go on."""

    status = 400
    type = "invalid_request_error"


class BatchInputMissing(BatchError):
    """There is no file {file_id} with the purpose batch. Send one to /v1/files first, with purpose=batch.

    A file of another tenant is not there for you either.
    """

    code = "FH-BATCH-001"


class BatchNotCancellable(BatchError):
    """Batch {batch_id!s} is {state!s} and cannot be cancelled any more.

    Only what is validating or in progress can be.
    """

    code = "FH-BATCH-002"
    status = 409


class BatchesFull(BatchError):
    """Tenant {tenant} has {limit!s} batches that are not over, which is its limit. Wait for one to end, or raise [batches] open_max.

    Everything that waits has a bound, this queue too.
    """

    code = "FH-BATCH-003"
    status = 429
    type = "rate_limit_error"
    retryable = True


class BatchOwnerGone(BatchError):
    """The key that created batch {batch_id!s} opens nothing any more: revoked, expired, or its tenant is gone. Create the batch again with another key.

    Items run as the key that created their batch; where it is rotated, until its overlap is over. What had a result by then is in the batch's files.
    """

    code = "FH-BATCH-004"


class BatchInputLost(BatchError):
    """The input of batch {batch_id!s} cannot be read: {reason!s}. Send the file again and create the batch again.

    It lies in the data folder, where nobody but Freehold should change anything.
    """

    code = "FH-BATCH-005"


class BatchExpired(BatchError):
    """The time of batch {batch_id!s} was over before this request was run. Send it again in another batch.

    A batch runs at the lowest priority: everything else on the same deployments comes first.
    """

    code = "FH-BATCH-006"
    openai_code = "batch_expired"


class BatchCancelled(BatchError):
    """Batch {batch_id!s} was cancelled before this request was run.

    What had a result by then is in the batch's files.
    """

    code = "FH-BATCH-007"
    openai_code = "batch_cancelled"
