"""Settings of the way out."""

from __future__ import annotations

from pydantic import Field

from freehold.config.section import Section


class Egress(Section):
    """Who connects beyond this device."""

    broker: str = Field(
        default="",
        description="Unix socket of a broker's process, unix:///PATH, through which everything goes that leaves this"
        " device: the server needs no network then. Empty to connect from the server.",
    )
    users: list[str] = Field(
        default=[],
        description="Users, by name or number, who may use that socket besides the broker's own: the server's.",
    )
