"""What is remembered of restricted texts, so that they are known again: keyed fingerprints, never words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from freehold.domain.identity import Principal
from freehold.domain.labels import Label
from freehold.domain.outcomes import LookedInto
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPassage:
    """A passage of a restricted text.

    Attributes:
        tenant: Whose.
        id: Of the answer's receipt, or of the file.
        part: The how manyeth passage of that id.
        label: What it is labelled, as text.
        expires_unix_ms: From when on it is forgotten.
        prints: Its fingerprints, 8 bytes each in the order of the machine that the data folder is on.
        seq: Number in the store, rising; 0 until it is there.
    """

    tenant: str
    id: str
    part: int
    label: str
    expires_unix_ms: int
    prints: bytes
    seq: int = 0


class MemoryStore(Protocol):
    """Passages on disk; several processes may use it at once."""

    def keep(self, passages: Sequence[KeptPassage], *, unix_ms: int) -> None:
        """Keep passages, and drop those that are out of date or too many; returns at once."""
        ...

    async def after(self, seq: int) -> Sequence[KeptPassage]:
        """Those with a higher number, in order."""
        ...

    async def erased(self) -> int:
        """How often something of any tenant was erased."""
        ...


class FileLabels(Protocol):
    """The labels of stored files."""

    async def label_of(self, file_id: str, *, tenant: str) -> str | None:
        """The label of a tenant's file as text; ``None`` where it has none of that id."""
        ...


class NoFiles:
    """Where no files are kept."""

    async def label_of(self, file_id: str, *, tenant: str) -> str | None:  # noqa: ARG002 - a port's
        """There is none."""
        return None


class Memory(Protocol):
    """Knows restricted texts again. Called in the request's way: nothing here waits or fails."""

    def has(self, tenant: str) -> bool:
        """Whether anything of a tenant's is remembered."""
        ...

    def found(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:
        """Labels of remembered texts that are in ``texts``, by their ids, as far as they raise ``label``."""
        ...

    async def found_in_long(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:
        """The same, of texts that take long to look through; other requests go on meanwhile."""
        ...

    def wants(self, principal: Principal, label: Label) -> bool:
        """Whether texts with this label are to be remembered: it is above what all of the tenant's have."""
        ...

    def told(
        self, request: InferenceRequest, principal: Principal, receipt: Receipt, answers: Mapping[int, LookedInto]
    ) -> None:
        """A request ended that is wanted; its last byte is sent."""
        ...


class NothingRemembered:
    """Where nothing is remembered."""

    def has(self, tenant: str) -> bool:  # noqa: ARG002 - a port's
        """No."""
        return False

    def found(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:  # noqa: ARG002 - a port's
        """Nothing."""
        return {}

    async def found_in_long(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:  # noqa: ARG002
        """Nothing."""
        return {}

    def wants(self, principal: Principal, label: Label) -> bool:  # noqa: ARG002 - a port's
        """No."""
        return False

    def told(
        self, request: InferenceRequest, principal: Principal, receipt: Receipt, answers: Mapping[int, LookedInto]
    ) -> None:
        """Forget it."""
