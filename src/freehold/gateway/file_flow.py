"""The label of a file that is sent, from its name, its purpose and what is in it; and its text remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from freehold.domain.files import StoredFile
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, LabelSource
from freehold.gateway.flow import label_of_text
from freehold.gateway.remembering import TEXT_CHARACTERS_MAX, Remembering, Told
from freehold.gateway.runtime import Runtime
from freehold.policy.flow import FlowRules
from freehold.policy.text import format_label

_PIECE_BYTES = 1024 * 1024
_OVERLAP_BYTES = 1024
"""Of pieces that are looked at one by one: no marking is longer."""


class FileFlow:
    """Looks into files that are sent.

    Args:
        runtime: What is in force.
        memory: Remembers what is labelled above its tenant's label.
    """

    def __init__(self, *, runtime: Callable[[], Runtime], memory: Remembering) -> None:
        self._runtime = runtime
        self._memory = memory

    async def labels_of(self, path: Path, *, filename: str, purpose: str) -> Sequence[str]:
        """What a file asks for, as texts: by its name and purpose, its markings, or since it is no text.

        Args:
            path: Where its content lies, whole.
            filename: What its owner calls it.
            purpose: What it is for.

        Raises:
            OSError: It cannot be read.
        """
        runtime = self._runtime()
        rules = runtime.flow or FlowRules.plain(runtime.tree)
        found = await asyncio.to_thread(_content_labels, path, rules)
        sources: list[LabelSource] = [*rules.of_file(filename=filename, purpose=purpose)]
        return [format_label(label) for label in (*(each.label for each in sources), *found)]

    async def kept(self, file: StoredFile, path: Path, principal: Principal) -> None:
        """A file was kept: have its text remembered where it is labelled for that.

        Raises:
            OSError: It cannot be read.
        """
        label = label_of_text(file.label, self._runtime().tree)
        if self._memory.wants(principal, label):
            text = await asyncio.to_thread(_text_of, path)
            self._memory.remember(Told(tenant=file.tenant, id=file.id, label=label, text=text))


def _content_labels(path: Path, rules: FlowRules) -> list[Label]:
    labels: list[Label] = []
    for piece in _pieces(path):
        if b"\0" in piece:
            return [rules.unread]
        if rules.markings.may_be_in(piece):
            labels += (each.label for each in rules.markings.of((_plain(piece),)))
    return labels


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(TEXT_CHARACTERS_MAX)
    return "" if b"\0" in raw else _plain(raw)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        kept = b""
        while read := file.read(_PIECE_BYTES):
            yield kept + read
            kept = read[-_OVERLAP_BYTES:]


def _plain(raw: bytes) -> str:
    """Text as it is, or in JSON's strings, whose line breaks are written out."""
    return raw.decode("utf-8", "replace").replace("\\r", "").replace("\\n", "\n").replace('\\"', '"')
