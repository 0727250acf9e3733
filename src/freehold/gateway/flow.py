"""The label of what a request says, joined to its caller's: everything that flows into an answer.

Most requests have nothing: that is seen from their bytes, in microseconds. What takes longer is looked at in pieces or by
another thread, so that other requests go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache

from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.memory import FileLabels, Memory
from freehold.domain.request import InferenceRequest, PartKind
from freehold.domain.zones import ZoneTree
from freehold.policy.flow import FlowRules, of_memory, of_stored
from freehold.policy.labelling import joined
from freehold.policy.markings import pieces_above
from freehold.policy.pieces import any_of
from freehold.policy.text import parse_label
from freehold.wire.said import FILE_ID, NAMING, UNREAD, UNREAD_NATIVE, Said, raw_of, said_in

PIECE_BYTES = 256 * 1024
"""Of a request's bytes that are looked at in one go for whether anything may be in them: about 0.2 ms."""

AT_ONCE_BYTES_MAX = 16 * 1024
"""Of one that is read and looked up in one go."""

_OVERLAP_BYTES = 64
"""Of pieces that are looked at one by one: nothing that is looked for is longer."""

FILES_MAX = 256
"""Stored files that a request may name and have looked up; with more its label is that of an unknown one too."""


class Flow:
    """Finds what the text of requests adds to their labels. Has no state.

    Args:
        memory: Knows restricted texts again.
        files: The labels of stored files.
    """

    def __init__(self, *, memory: Memory, files: FileLabels) -> None:
        self._memory = memory
        self._files = files

    def at_once(
        self, request: InferenceRequest, *, tenant: str, label: Label, rules: FlowRules
    ) -> tuple[LabelSource, ...] | None:
        """What its text asks for, where that can be said at once; ``None``: ``look``.

        Args:
            request: What was asked.
            tenant: By whom.
            label: What the request is labelled whatever it says.
            rules: What is in force.
        """
        raw, remembers = raw_of(request), self._memory.has(tenant)
        if len(raw) > PIECE_BYTES:
            return None
        if not remembers and not _may_have_parts(request, raw, label, rules):
            return ()
        if len(raw) > AT_ONCE_BYTES_MAX or FILE_ID in raw:
            return None
        has_parts = _has_parts(request, raw, label, rules)
        if not has_parts and not remembers:
            return ()
        said = said_in(request)
        if said.file_ids:
            return None
        found = _of_said(request, said, label, rules) if has_parts else ()
        return (*found, *of_memory(self._memory.found(said.texts, tenant=tenant, label=label))) if remembers else found

    async def look(
        self, request: InferenceRequest, *, tenant: str, label: Label, rules: FlowRules, tree: ZoneTree
    ) -> tuple[LabelSource, ...]:
        """The same of a request that is long or names stored files; ``tree`` is the site's zones."""
        if not self._memory.has(tenant) and not await _may_have_parts_somewhere(request, label, rules):
            return ()
        said, found = await asyncio.to_thread(_looked_at, request, label, rules)
        stored = await self._stored(said.file_ids, tenant, tree)
        remembered = await self._memory.found_in_long(said.texts, tenant=tenant, label=label)
        return (*found, *stored, *of_memory(remembered))

    async def _stored(self, file_ids: Sequence[str], tenant: str, tree: ZoneTree) -> tuple[LabelSource, ...]:
        labels: dict[str, Label | None] = {}
        for file_id in file_ids[:FILES_MAX]:
            text = await self._files.label_of(file_id, tenant=tenant)
            labels[file_id] = None if text is None else label_of_text(text, tree)
        labels |= dict.fromkeys(file_ids[FILES_MAX:])
        return of_stored(labels)


def label_of_text(text: str, tree: ZoneTree) -> Label:
    """A label that was kept as text; one that this site cannot read any more is the strictest."""
    try:
        return parse_label(text, tree)
    except LabelUnreadable:
        return parse_label(joined((text,), tree=tree), tree)


def _looked_at(request: InferenceRequest, label: Label, rules: FlowRules) -> tuple[Said, tuple[LabelSource, ...]]:
    said = said_in(request)
    raw = raw_of(request)
    return said, _of_said(request, said, label, rules) if _has_parts(request, raw, label, rules) else ()


async def _may_have_parts_somewhere(request: InferenceRequest, label: Label, rules: FlowRules) -> bool:
    """``_may_have_parts`` of a request however long; other requests go on meanwhile."""
    raw = raw_of(request)
    for start in range(0, len(raw), PIECE_BYTES):
        if _may_have_parts(request, raw[start : start + PIECE_BYTES + _OVERLAP_BYTES], label, rules):
            return True
        await asyncio.sleep(0)
    return not raw


def _may_have_parts(request: InferenceRequest, raw: bytes, label: Label, rules: FlowRules) -> bool:
    """Whether a look is worth its time: no only to what ``_has_parts`` says no to, and to what names no stored file."""
    finder = _finder(label.level >= Level.INTERNAL, request.native is not None, bool(rules.sources))
    return finder(raw) or not raw or not UNREAD.isdisjoint(request.content_kinds)


@cache
def _finder(is_internal: bool, is_native: bool, has_sources: bool) -> Callable[[bytes], bool]:  # noqa: FBT001 - keys
    native, naming = UNREAD_NATIVE if is_native else (), NAMING if has_sources else ()
    return any_of((*pieces_above(Level.INTERNAL if is_internal else Level.PUBLIC), FILE_ID, *native, *naming))


def _has_parts(request: InferenceRequest, raw: bytes, label: Label, rules: FlowRules) -> bool:
    """Whether anything in it may ask for a label, going by its bytes."""
    if not raw or rules.markings.may_be_in(raw, floor=label.level) or not UNREAD.isdisjoint(request.content_kinds):
        return True
    if request.native is not None and any(piece in raw for piece in UNREAD_NATIVE):
        return True
    return bool(rules.sources) and any(piece in raw for piece in NAMING)


def _of_said(request: InferenceRequest, said: Said, label: Label, rules: FlowRules) -> tuple[LabelSource, ...]:
    unread = said.unread | {kind.value for kind in request.content_kinds & UNREAD}
    if said.file_ids:  # of such a file what is stored tells more
        unread -= {PartKind.FILE.value} - said.unread
    return rules.of_parts(
        texts=said.texts,
        names=said.names,
        tools=said.tools,
        filenames=said.filenames,
        unread=unread,
        floor=label.level,
    )
