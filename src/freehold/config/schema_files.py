"""Settings of files that clients send, and of batches."""

from __future__ import annotations

from pydantic import Field

from freehold.config.section import Section


class Files(Section):
    """Files that clients send, and results of batches."""

    file_bytes_max: int = Field(
        default=209_715_200, ge=1_024, le=1_099_511_627_776, description="Largest file in bytes."
    )
    tenant_bytes_max: int = Field(
        default=10_737_418_240,
        ge=1_024,
        le=1_099_511_627_776,
        description="Bytes that the files of one tenant may take together; results of batches count too.",
    )
    keep_days: int = Field(
        default=30,
        ge=0,
        le=3_650,
        description="Days after which inputs and results of batches are deleted, unless their owner said otherwise; 0"
        " keeps them.",
    )


class Batches(Section):
    """Requests in a file, answered at the lowest priority."""

    items_max: int = Field(default=50_000, ge=1, le=1_000_000, description="Most requests in one batch.")
    open_max: int = Field(
        default=100, ge=1, le=10_000, description="Batches of one tenant that are not over; more are refused."
    )
    parallel: int = Field(
        default=0,
        ge=0,
        le=1_024,
        description="Requests of batches that run or wait for a slot at once, all batches together; 0 is as many as the"
        " deployments of their routes have slots.",
    )
    retries: int = Field(
        default=3,
        ge=0,
        le=20,
        description="How often a request is tried again that failed for a reason that may pass. Waiting for room is no"
        " failure.",
    )
