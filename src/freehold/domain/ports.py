"""What rooms need of each other, wired in ``app``. A room imports the protocol, never the neighbour."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from freehold.domain.classifier import KeptClassifier
from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment, TokenPrice
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.identity import Principal
from freehold.domain.limits import Bound, Standing
from freehold.domain.place import Place
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof, Receipt
from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import EmbeddingResult, EngineTimings, FinishReason, RerankResult, ResponseChunk, Usage
from freehold.domain.turn import Turn
from freehold.domain.values import value


class Clock(Protocol):
    """Time, injected."""

    def unix_ms(self) -> int:
        """Wall clock in milliseconds since 1970."""
        ...

    def monotonic_s(self) -> float:
        """Monotonic seconds, on the event loop's scale."""
        ...


class IdSource(Protocol):
    """Identifiers, injected."""

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        ...


# --- engines -------------------------------------------------------------------------------------


@value
class UpstreamCall:
    """One call, fully built: the exact body is known before anything is sent, so that it can be recorded.

    Attributes:
        origin: ``scheme://host:port`` or ``unix:///path`` of the destination.
        path: Request path with leading slash.
        body: The exact bytes.
        headers: Without host, length and credential, which the connection adds.
        request: What it was built from.
        want_logprobs: Alternatives a token that Freehold asked for, 0 for none.
        cache_scope: Only calls of the same one may use again what was read for this one.
    """

    origin: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]
    request: InferenceRequest
    want_logprobs: int = 0
    cache_scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """What an engine says of itself.

    Attributes:
        ready: It has generated a token since it started (or, for a remote one, answered).
        detail: One line for humans: ``ready``, ``loading``, ``restarting in 2 s (killed by signal 9)``…
        restarts: Starts after the first.
        pid: Process id of a child.
    """

    ready: bool
    detail: str
    restarts: int = 0
    pid: int | None = None


class PassedThrough(Protocol):
    """What is known of an answer that passed through, once it ended."""

    @property
    def usage(self) -> Usage | None:
        """As the upstream reported it; ``None`` where it did not."""
        ...

    @property
    def timings(self) -> EngineTimings | None:
        """What the engine says of its own speed."""
        ...

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended."""
        ...


class WholeReply(PassedThrough, Protocol):
    """A whole answer in the client's dialect, as it came."""

    @property
    def body(self) -> bytes:
        """Its bytes."""
        ...


class Relay(PassedThrough, Protocol):
    """A stream in the client's dialect that passes through. ``usage`` and its like are known at the end."""

    async def pass_on(
        self, write: Callable[[bytes], bool], *, drained: Callable[[], Awaitable[None]], progress: Callable[[], None]
    ) -> None:
        """Pass the stream on, in whole events as they came, until it is whole.

        Args:
            write: Takes events in the tick in which they arrive; returns whether the client is behind.
            drained: Awaited where it is, before more is read.
            progress: Called before each write until, with that one, the answer has ``begun``.

        Raises:
            UpstreamError: It broke, or reported an error. ``told`` says that its report was passed on.
        """
        ...

    def abort(self) -> None:
        """Close the connection now, unless the answer is whole. Idempotent."""
        ...

    @property
    def begun(self) -> bool:
        """Whether a part of the answer was given out."""
        ...

    @property
    def end(self) -> bytes:
        """The bytes by which the stream said that it is whole; to be sent when everything is recorded."""
        ...

    @property
    def events(self) -> int:
        """Events given out: about one a token."""
        ...


class Relaying(Protocol):
    """An engine's answers as they came, for clients that speak its own dialect."""

    @property
    def dialect(self) -> Dialect:
        """In which they are."""
        ...

    async def relay(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> Relay:
        """Run a call of a client that streams; returns when the answer's head is there. Raises as ``Engine.stream``."""
        ...

    async def relay_whole(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> WholeReply:
        """Run a call of a client that does not stream. Raises as ``Engine.stream``."""
        ...


class Engine(Protocol):
    """One deployment that can be called. Always a stream underneath; whoever wants a whole answer aggregates."""

    @property
    def deployment(self) -> Deployment:
        """What this engine serves."""
        ...

    def state(self) -> EngineState:
        """Current state; costs nothing."""
        ...

    async def start(self) -> None:
        """Make it ready. For a child this returns once one token was generated.

        Raises:
            EngineError: It cannot be started.
        """
        ...

    async def close(self) -> None:
        """Release everything. Idempotent."""
        ...

    @property
    def relaying(self) -> Relaying | None:
        """What passes its answers through as they came; ``None`` where they are always looked into."""
        ...

    def prepare(
        self, request: InferenceRequest, *, want_logprobs: int, as_it_comes: bool = False, cache_scope: str = ""
    ) -> UpstreamCall:
        """Build the exact call. Pure.

        Args:
            request: What is asked.
            want_logprobs: Alternatives a token to ask for, 0 for none.
            as_it_comes: The call is for ``relaying``: what the client asked for, and as it asked.
            cache_scope: For whom and under which label (``policy.cache_scope``): what an engine keeps of a prompt is used
                again within it only. Empty is a scope too: that of the house's own calls.

        Raises:
            RequestError: The deployment cannot serve this request.
        """
        ...

    def stream(
        self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float
    ) -> AsyncGenerator[ResponseChunk]:
        """Run the call. Closing the generator aborts the connection in the same tick.

        Args:
            call: Made by ``prepare`` of this engine.
            permit: Required unless the deployment is on this device.
            deadline_s: Monotonic moment by which all must be over.

        Raises:
            EngineError: A local engine failed.
            UpstreamError: A remote one did.
            RequestError: It refused the request (for example: context too long).
        """
        ...

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        """Run an embedding call. Raises as ``stream``."""
        ...

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        """Run a rerank call. Raises as ``stream``."""
        ...

    @property
    def counts(self) -> bool:
        """Whether it can tell how many tokens a prompt has, as far as that is known."""
        ...

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> int | None:
        """Tokens of a prompt, without generating; only where it ``counts``. Raises as ``stream``.

        Returns:
            ``None`` where the server turns out not to tell; then it is not asked again.
        """
        ...


# --- identity, ledger, audit ---------------------------------------------------------------------


class Authenticator(Protocol):
    """Who asks?"""

    def authenticate(self, credential: str | None) -> Principal:
        """The caller behind a bearer credential.

        Raises:
            AuthError: Missing, unknown or revoked.
        """
        ...


class Reservation(Protocol):
    """What is set aside of a caller's limits for one request that runs."""

    def settle(self, receipt: Receipt | None) -> None:
        """Count what the request used, nothing where there is no receipt, and give the rest back. Idempotent."""
        ...

    def standings(self) -> tuple[Standing, ...]:
        """How its caller stands with its limits now."""
        ...


class Quotas(Protocol):
    """How much may a caller use?"""

    @property
    def limited(self) -> frozenset[str]:
        """Names of tenants and ids of keys that have limits: whoever is not among them need not be asked about."""
        ...

    def reserve(self, principal: Principal, bound: Bound) -> Reservation | None:
        """Set the most aside that a request may come to; ``None`` for a caller without limits.

        Raises:
            LimitError: It does not fit into what the caller may still use.
        """
        ...


class PriceBook(Protocol):
    """List prices of cloud models."""

    def price(self, model: str, *, usage: Usage, unix_ms: int) -> TokenPrice | None:
        """Price of ``provider/model`` at a moment; ``None`` where unknown, never zero."""
        ...


class ReceiptStore(Protocol):
    """Receipts, and the ledger that follows from them."""

    def keep(self, *receipts: Receipt) -> None:
        """Write receipts down, all or none; at return the kernel has them, so that they survive ``kill -9``.

        Raises:
            StorageFailed: The disk fails, or one of them cannot be written.
            StorageBusy: Too much waits for the database.
        """
        ...

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        """One receipt of this tenant as JSON-ready values."""
        ...

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        """The tenant's receipts, newest first, from before a receipt id."""
        ...


class ClassifierStore(Protocol):
    """Classifiers; every look-up names its tenant."""

    async def put(self, classifier: KeptClassifier, *, replace: bool, most: int) -> None:
        """Keep one.

        Raises:
            ClassifierExists: There is one of that name, and it is not to be replaced.
            ClassifiersTooMany: The tenant has ``most`` already.
            StorageFailed: It could not be written.
        """
        ...

    async def id_of(self, name: str, *, tenant: str) -> str | None:
        """Which one the name stands for now; ``None`` for none."""
        ...

    async def get(self, name: str, *, tenant: str) -> KeptClassifier | None:
        """One with all that is in it."""
        ...

    async def all(self, *, tenant: str) -> list[KeptClassifier]:
        """The tenant's, by name, without numbers and examples."""
        ...

    async def remove(self, name: str, *, tenant: str) -> bool:
        """Forget one with all that is in it; False where there is none."""
        ...


class AuditLog(Protocol):
    """The append-only transparency log."""

    @property
    def size(self) -> int:
        """Entries so far: the index of the next one."""
        ...

    def append(self, *records: AuditRecord) -> int:
        """Write entries in a row, all or none, and return the first one's index.

        At return the kernel has them, so that they survive ``kill -9``.

        Raises:
            AuditUnwritable: The log cannot take one of them.
        """
        ...

    async def durable(self, index: int) -> None:
        """Return once an entry is on the medium, so that it survives a power cut.

        Raises:
            AuditUnwritable: It is not, and whether it will be is not known.
        """
        ...

    @property
    def healthy(self) -> bool:
        """False while the log cannot be written: then nothing may leave."""
        ...

    async def prove(self, index: int) -> InclusionProof | None:
        """Proof that an entry is in the newest checkpoint; ``None`` where it is not in one yet."""
        ...

    async def checkpoint(self) -> Checkpoint:
        """Sign the tree as it is now, durably."""
        ...

    def commit(self, body: bytes, *, tenant: str = "", subject: str = "", record: str = "") -> str:
        """Keyed commitment of a body, hex: HMAC, so that short texts cannot be guessed.

        Args:
            body: The exact bytes.
            tenant: Whose.
            subject: Which of its keys sent it: the commitment is worth nothing once that one's data key is erased.
                Empty for what the house itself sends.
            record: Id of the request.

        Raises:
            AuditError: The subject has no data key, and none can be made: nothing may leave.
        """
        ...


class Proofs(Protocol):
    """Proofs from all logs of this gateway: each of its processes has one."""

    async def prove(self, index: int, *, log: str) -> InclusionProof | None:
        """Proof that an entry is in the newest checkpoint of the log of that name; ``None`` where it is not in one yet.

        An empty name is the main log's, which receipts from before there were several do not name.
        """
        ...


class EgressJournal(Protocol):
    """No record, no egress."""

    async def permit(self, intent: EgressIntent, *, body: bytes) -> EgressPermit:
        """Write the intent to disk, then hand out the permit for exactly this body.

        Raises:
            AuditError: It could not be made durable; nothing may leave.
        """
        ...

    def done(self, permit: EgressPermit, *, request_id: str, tenant: str, outcome: str, bytes_sent: int) -> None:
        """Record how it went. Never raises: a missing end reads as "unknown" in the log."""
        ...


# --- serving -------------------------------------------------------------------------------------


class Slot(Protocol):
    """Leave to run on a deployment; given back exactly once."""

    @property
    def queue_ms(self) -> float:
        """How long it was waited for."""
        ...

    def release(self, *, tokens: int = 0) -> None:
        """Give it back. Idempotent.

        Args:
            tokens: What the request cost, prompt and answer; 0 where that is not known.
        """
        ...

    def yields(self, ask: Callable[[], None]) -> None:
        """What runs gives the slot up when it is asked to: soon after ``ask`` was called it must be released."""
        ...

    def keeps(self) -> None:
        """What runs cannot give it up any more."""
        ...


class Admission(Protocol):
    """Is there room, and whose turn is it?"""

    def try_admit(self, deployment: Deployment, turn: Turn) -> Slot | None:
        """A slot, if one is free and nobody waits for it; ``None`` otherwise, also where nobody is admitted at all."""
        ...

    def room(self, deployment: Deployment, turn: Turn, *, ready: bool, deadline_s: float) -> Room:
        """How a deployment is now, for a request that may wait until ``deadline_s``; takes nothing."""
        ...

    def retry_s(self, deployment: Deployment, turn: Turn) -> int:
        """When it makes sense to ask for a slot again, in whole seconds."""
        ...

    async def admit(
        self, deployment: Deployment, turn: Turn, *, deadline_s: float, told: Callable[[Place], None]
    ) -> Slot:
        """Wait for a slot.

        Args:
            deployment: Where.
            turn: Whose turn it is to be.
            deadline_s: Until when it may come.
            told: Called once with the place in the queue, if there is anything to wait for.

        Raises:
            AdmissionError: The queue is full, or the deadline cannot be met.
        """
        ...
