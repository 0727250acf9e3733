"""How much a child takes on, and when it is started again, given up, or killed."""

from __future__ import annotations

from dataclasses import dataclass

_SLOTS_MIN = 1
_CONTEXT_MIN_TOKENS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much a child takes on at once; its memory follows from it.

    Attributes:
        slots: Requests decoded at once, at least 1.
        context_tokens: Prompt plus answer of one slot, in tokens.
    """

    slots: int
    context_tokens: int

    def smaller(self) -> Plan | None:
        """One step down: half the slots, then half the context; ``None`` at 1 slot of 1,024 tokens or fewer."""
        if self.slots > _SLOTS_MIN:
            return Plan(slots=self.slots // 2, context_tokens=self.context_tokens)
        if self.context_tokens > _CONTEXT_MIN_TOKENS:
            return Plan(slots=self.slots, context_tokens=max(_CONTEXT_MIN_TOKENS, self.context_tokens // 2))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """When a child is started again, given up, or killed. All times in seconds.

    Attributes:
        start_timeout_s: From the start of the process to its first proof that it works.
        backoff_first_s: Wait before the first restart; doubled each time.
        backoff_max_s: Longest wait.
        stable_s: A child that was ready this long starts the backoff over.
        memory_window_s: Two deaths by memory, each after less than this of being ready, lower the plan.
        stall_s: A child with requests and no sign of progress for this long is killed; below the client's own limit
            for silence (``net.limits``), so that the cause is named.
        heartbeat_s: How often an idle child is asked for a sign of life.
        heartbeat_timeout_s: How long it may take to give one.
        stop_grace_s: From SIGTERM to SIGKILL.
        ready_wait_s: How long a request waits for a child that is starting.
    """

    start_timeout_s: float = 300.0
    backoff_first_s: float = 0.25
    backoff_max_s: float = 30.0
    stable_s: float = 60.0
    memory_window_s: float = 300.0
    stall_s: float = 45.0
    heartbeat_s: float = 10.0
    heartbeat_timeout_s: float = 10.0
    stop_grace_s: float = 3.0
    ready_wait_s: float = 30.0
