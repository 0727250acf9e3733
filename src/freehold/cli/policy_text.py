"""What a text in a file asks for: the sources that it adds to a label, as the request path would find them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from freehold.app.snapshot import flow_rules
from freehold.cli.scan import look_through, read_text
from freehold.config.compile import Compiled
from freehold.domain.labels import LabelSource
from freehold.policy.detected import heeded, sources_of

_NOWHERE, _OFF, _AUTO = "nowhere", "off", "auto"


class Said(NamedTuple):
    """What a text adds to a label, whether all of it was looked through, and if not, why."""

    sources: tuple[LabelSource, ...]
    complete: bool
    why: str


def said_by(path: str, compiled: Compiled) -> Said:
    """Look through a text file with what the configuration says of markings and detectors.

    Raises:
        ScanUnreadable: It cannot be read, or is no text.
        LabelUnreadable: A label of the configuration cannot be read.
    """
    text = read_text(path)
    marked = flow_rules(compiled).of_parts(texts=[text])
    detect = compiled.detect
    if detect.beyond == _NOWHERE:
        return Said(marked, complete=True, why="")
    within_s = detect.within_ms / 1000
    scan = asyncio.run(look_through([text], names=detect.names != _OFF, within_s=within_s))
    if not scan.complete and detect.names == _AUTO:  # as at a start without the model
        scan = asyncio.run(look_through([text], names=False, within_s=within_s))
    scan = heeded([text], scan, [each.lower() for each in detect.ignore])
    found = sources_of(scan.kinds, compiled.tree)
    return Said((*marked, *found), complete=scan.complete, why=scan.why)
