"""Settings of the audit log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from freehold.config.section import LogName, Name, Section

AUDIT_DAYS_LEAST = 184
"""Six months: the least that the EU AI Act's articles 19 and 26(6) ask of who keeps logs."""


class WitnessSection(Section):
    """Who cosigns checkpoints of the audit log, over C2SP tlog-witness."""

    url: str = Field(description="Address below which the witness takes add-checkpoint.")
    vkey: str = Field(description="The witness's verifier key, NAME+ID+KEY, from the witness itself.")
    zone: Name = Field(
        default="world",
        description="Where it runs. It is sent names, sizes and hashes only; outside of device each time is recorded first.",
    )
    ca_file: str = Field(
        default="", description="PEM file of the certificate authority to trust instead of the system's."
    )


class Audit(Section):
    """The audit log."""

    origin: LogName = Field(
        default="freehold.local/audit", description="The log's name in its checkpoints. It cannot be changed later."
    )
    bodies: Literal["commitment", "sealed"] = Field(
        default="commitment",
        description="What is kept of a body that leaves this device: commitment keeps a keyed hash of it in the log; sealed"
        " also keeps the body itself beside the log, encrypted with a key of who sent it, which can be erased.",
    )
    witness_every_s: int = Field(
        default=60, ge=1, le=86_400, description="Seconds between two times that witnesses are asked to cosign."
    )
    witnesses: dict[Name, WitnessSection] = Field(default={}, description="Who cosigns checkpoints, by name.")
