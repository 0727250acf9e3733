"""Whose words are in a conversation, and what its tools may do: words that configuration, policy and gateway share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

ANY_TOOL = "*"
"""Stands for every tool that has no entry of its own."""


class Effect(StrEnum):
    """What calling a tool does.

    Attributes:
        NONE: Nothing outside the program that called: a calculator, the time. Nothing of its arguments is sent.
        READ: It looks something up in a system of one's own, which sees its arguments.
        WRITE: It changes something, or its arguments reach somebody else: mail, payments, a request over the web.
    """

    NONE = "none"
    READ = "read"
    WRITE = "write"


class Sanitise(StrEnum):
    """When an answer's text is cleaned of what could fetch, lead away or hide.

    Attributes:
        ALWAYS: Whatever the context is.
        UNTRUSTED: Where somebody else's words are in the context, and the label's level is at least internal.
        OFF: Never.
    """

    ALWAYS = "always"
    UNTRUSTED = "untrusted"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRule:
    """What is said of one tool.

    Attributes:
        effect: What calling it does.
        trusted: Whether what it gives back is as good as the user's own words.
    """

    effect: Effect = Effect.WRITE
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRules:
    """What the configuration says of tools and links.

    Attributes:
        tools: By name; ``ANY_TOOL`` for all others.
        link_hosts: To which answers in an untrusted context may link; ``*.corp.example`` stands for all below it.
    """

    tools: Mapping[str, ToolRule] = field(default_factory=lambda: MappingProxyType({}))
    link_hosts: tuple[str, ...] = ()

    def of(self, tool: str) -> ToolRule:
        """What holds for a tool. Of one that nobody named the worst is assumed."""
        return self.tools.get(tool) or self.tools.get(ANY_TOOL) or _UNKNOWN

    def names(self, tool: str) -> bool:
        """Whether anybody has said anything of a tool."""
        return tool in self.tools or ANY_TOOL in self.tools

    @property
    def is_all_harmless(self) -> bool:
        """Whether no tool at all has an effect outside the program that calls it."""
        return ANY_TOOL in self.tools and all(rule.effect is Effect.NONE for rule in self.tools.values())


_UNKNOWN = ToolRule()

NOTHING_SAID = TrustRules()
"""The worst is assumed of every tool, and no host is listed."""


class HeldState(StrEnum):
    """What became of a call that was held back."""

    WAITING = "waiting"
    ALLOWED = "allowed"
    DENIED = "denied"
    USED = "used"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that a model wants to make.

    Attributes:
        name: The tool.
        arguments: As the model wrote them, JSON.
        digest: SHA-256 of name and arguments, hex; equal for arguments that differ in white space and order only.
    """

    name: str
    arguments: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCall:
    """A call that was held back until a human decides.

    Attributes:
        id: UUIDv7; empty where nobody keeps it, so that nobody can allow it.
        tenant: Whose request it was in.
        key_id: Of which key.
        request_id: In whose answer.
        call: Exactly what would be called.
        because: Which message made the context untrusted.
        asked_unix_ms: When.
        expires_unix_ms: Until when it may be decided, or, once allowed, made.
        state: What became of it.
        decided_by: Who decided; empty for nobody yet.
    """

    id: str
    tenant: str
    key_id: str
    request_id: str
    call: ToolCall
    because: str
    asked_unix_ms: int
    expires_unix_ms: int
    state: HeldState = HeldState.WAITING
    decided_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """In whose answer a call is.

    Attributes:
        tenant: Whose.
        key_id: Of which key.
        request_id: Which request.
        because: Which message made the context untrusted.
        unix_ms: When.
    """

    tenant: str
    key_id: str
    request_id: str
    because: str
    unix_ms: int


class Approvals(Protocol):
    """Where calls are held until a human decides."""

    async def settle(self, calls: Sequence[ToolCall], asker: Asker) -> tuple[HeldCall, ...]:
        """What holds for each call: ``USED`` for one that a human had allowed, which is spent by this; else held.

        Raises:
            StorageFailed: It cannot be told; then no call is made.
        """
        ...


class NothingApproved:
    """Nobody can allow anything: every call is held."""

    async def settle(self, calls: Sequence[ToolCall], asker: Asker) -> tuple[HeldCall, ...]:
        """Held, each of them."""
        return tuple(
            HeldCall(
                id="",
                tenant=asker.tenant,
                key_id=asker.key_id,
                request_id=asker.request_id,
                call=call,
                because=asker.because,
                asked_unix_ms=asker.unix_ms,
                expires_unix_ms=asker.unix_ms,
            )
            for call in calls
        )
