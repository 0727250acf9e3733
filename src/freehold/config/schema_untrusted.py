"""Settings for untrusted contexts: what tools do, and where answers may link."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from freehold.config.section import Section

ToolName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127})$")]
HostName = Annotated[str, Field(pattern=r"^(\*\.)?[^\s/@:*]{1,253}$")]
EffectWord = Literal["none", "read", "write"]
SanitiseWord = Literal["always", "untrusted", "off"]


class ToolSection(Section):
    """One tool that clients offer to models."""

    effect: EffectWord = Field(
        default="write",
        description="What calling it does: none outside the program that calls it; read: it looks something up in a system of"
        " your own; write: it changes something, or its arguments reach somebody else.",
    )
    trusted: bool = Field(
        default=False,
        description="Whether what it gives back is as good as the user's own words: it never lowers trust.",
    )


class Output(Section):
    """Answers in an untrusted context."""

    link_hosts: list[HostName] = Field(
        default=[],
        description="Hosts that such answers may link to, besides those that the user named; *.corp.example for all below."
        " None that sends its visitors on to any address that it is told.",
    )
