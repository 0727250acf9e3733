"""Settings of looking through texts for what raises their label."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from freehold.config.section import Section

BeyondWord = Literal["device", "lan", "nowhere"]
NamesWord = Literal["auto", "required", "off"]
DeclassifyWord = Literal["off", "redact", "pseudonymise"]


class Detect(Section):
    """Texts are looked through for personal data and credentials before they leave, by detectors on this device."""

    beyond: BeyondWord = Field(
        default="device",
        description="Beyond what a text goes only once it was looked through: device, lan (this site's own network), or"
        " nowhere, which looks through none. Where nothing that could be found would forbid the way, nobody looks.",
    )
    names: NamesWord = Field(
        default="auto",
        description="Whether names and addresses are looked for too, with the model rampart: auto if it is on this machine at"
        " the start, required (without it a text stays on this device), or off. Credentials and what has a number's or an"
        " address's shape are always looked for.",
    )
    within_ms: int = Field(
        default=5_000,
        ge=10,
        le=600_000,
        description="Milliseconds that a request waits for it; a text that takes longer stays on this device.",
    )
    ignore: list[str] = Field(
        default=[],
        max_length=1_000,
        description="What is nobody's data though it looks like some, for example *@support.example; * is anything.",
    )
