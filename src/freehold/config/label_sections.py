"""Settings of what a text's label comes from besides tenant, key, route and client."""

from __future__ import annotations

from pydantic import Field

from freehold.config.section import Section


class Labels(Section):
    """What texts say of themselves, what nobody looks into, and how long restricted texts are known again."""

    unknown_mip: str = Field(
        default="confidential", description="Label of a text with a MIP label that labels.mip does not name."
    )
    unread: str = Field(
        default="confidential",
        description="Label of a request with images, audio or files in it, which nobody looks into.",
    )
    memory_days: int = Field(
        default=90,
        ge=0,
        le=3_650,
        description="Days for which texts labelled above their tenant's label are known again when somebody sends them,"
        " by keyed fingerprints; 0 remembers none.",
    )
    mip: dict[str, str] = Field(
        default={}, description="What MIP labels (Microsoft Purview) stand for: a label by each GUID."
    )


class SourceSection(Section):
    """Where texts come from, and what they are labelled for that. The one called default is for all other sources."""

    match: str = Field(
        default="",
        description="Pattern of sources: file:/NAME for files by name, purpose:NAME by what they were sent for, tool:NAME"
        " for a tool's results, connector:NAME and others for parts of messages that say so. * is anything but a slash, **"
        " anything. Must be set, but for default.",
    )
    label: str = Field(
        description="Label of texts from there, for example confidential;zones=lan or public;trusted=no."
    )
