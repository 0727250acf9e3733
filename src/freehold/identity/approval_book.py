"""Who may decide on calls of tools that are held, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from freehold.domain.errors.untrusted import ApprovalOver, ApprovalOwn, ApprovalUnknown
from freehold.domain.ports import Clock
from freehold.domain.trust import HeldCall, HeldState


class ApprovalStore(Protocol):
    """Where held calls are kept. Methods block; a change and its event are durable together."""

    def all(self, tenant: str | None = None) -> Sequence[HeldCall]:
        """Every one, the newest first."""
        ...

    def get(self, held_id: str, tenant: str | None = None) -> HeldCall | None:
        """One of them."""
        ...

    def decide(self, held: HeldCall, *, state: HeldState, by: str, unix_ms: int) -> bool:
        """Decide on one that waits; False where it does not any more."""
        ...


class ApprovalBook:
    """Lists, shows and decides on held calls. Methods block on the store.

    Args:
        store: Where they are.
        clock: Time.
    """

    def __init__(self, store: ApprovalStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def all(self, tenant: str | None = None) -> list[dict[str, object]]:
        """Every call that is kept, the newest first, as JSON-ready values; of one tenant or of all."""
        return [self._shown(each) for each in self._store.all(tenant)]

    def get(self, held_id: str, tenant: str | None = None) -> dict[str, object]:
        """One call.

        Raises:
            ApprovalUnknown: There is none, or it is another tenant's.
        """
        return self._shown(self._known(held_id, tenant))

    def decide(self, held_id: str, *, allow: bool, by: str, tenant: str | None = None) -> dict[str, object]:
        """Allow a call once, or deny it.

        Args:
            held_id: Which.
            allow: Whether it may be made.
            by: Who decides: the id of a key, or a word for a program on this machine.
            tenant: Whose calls may be decided on; ``None`` for all.

        Raises:
            ApprovalUnknown: There is none, or it is another tenant's.
            ApprovalOwn: Who asked for it wants to allow it.
            ApprovalOver: It was decided before, or it is too late.
        """
        held, state = self._known(held_id, tenant), HeldState.ALLOWED if allow else HeldState.DENIED
        if allow and by == held.key_id:
            raise ApprovalOwn(id=held_id)
        done = held.state is HeldState.WAITING
        done = done and self._store.decide(held, state=state, by=by, unix_ms=self._clock.unix_ms())
        if not done:
            raise ApprovalOver(id=held_id, wanted=state.value, state=self._shown(self._known(held_id, tenant))["state"])
        return self.get(held_id, tenant)

    def _known(self, held_id: str, tenant: str | None) -> HeldCall:
        found = self._store.get(held_id, tenant)
        if found is None:
            raise ApprovalUnknown(id=held_id)
        return found

    def _shown(self, held: HeldCall) -> dict[str, object]:
        is_late = held.state in (HeldState.WAITING, HeldState.ALLOWED) and self._clock.unix_ms() >= held.expires_unix_ms
        return {
            "object": "approval",
            "id": held.id,
            "tenant": held.tenant,
            "key": held.key_id,
            "request": held.request_id,
            "tool": held.call.name,
            "arguments": held.call.arguments,
            "call_sha256": held.call.digest,
            "because": held.because,
            "asked_unix_ms": held.asked_unix_ms,
            "expires_unix_ms": held.expires_unix_ms,
            "state": "expired" if is_late else held.state.value,
            "decided_by": held.decided_by or None,
        }
