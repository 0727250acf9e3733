"""Where something runs: ``device ⊂ lan ⊂ region ⊂ world``.

A deployment is in exactly one zone. A label names the zones that a text may be processed in, stored closed
downwards, so that plain set intersection is the meet (``policy-and-audit``: ``{lan} ∩ {eu}`` must be ``{lan}``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

Zone = NewType("Zone", str)

DEVICE = Zone("device")
LAN = Zone("lan")
WORLD = Zone("world")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTree:
    """The zones that one site knows. The site's network lies in exactly one region.

    Attributes:
        site_region: Region that this machine and its LAN are in.
        regions: All regions in use, the site's own among them.
    """

    site_region: Zone
    regions: frozenset[Zone]

    @property
    def zones(self) -> frozenset[Zone]:
        """Every zone there is."""
        return self.regions | {DEVICE, LAN, WORLD, self.site_region}

    def within(self, zone: Zone) -> frozenset[Zone]:
        """``zone`` and everything inside it. An unknown zone contains nothing, not even itself."""
        if zone == WORLD:
            return self.zones
        if zone == self.site_region:
            return frozenset({zone, LAN, DEVICE})
        if zone == LAN:
            return frozenset({LAN, DEVICE})
        return frozenset({zone}) & self.zones

    def closure(self, zones: Iterable[Zone]) -> frozenset[Zone]:
        """Downward closure of ``zones``."""
        closed: frozenset[Zone] = frozenset()
        for zone in zones:
            closed |= self.within(zone)
        return closed

    def is_known(self, zone: Zone) -> bool:
        """Whether ``zone`` is one of this site's zones."""
        return zone in self.zones
