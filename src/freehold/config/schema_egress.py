"""Settings of the way out."""

from __future__ import annotations

from pydantic import Field

from freehold.config.section import Name, Section


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
    hub: list[str] = Field(
        default=[],
        description="Addresses that the broker may read models from, for pull and fit: first the hub's, then those of the"
        " storage that it points to. Where there is a broker and this is empty, neither is done.",
    )
    hub_zone: Name = Field(default="world", description="Where these are.")
