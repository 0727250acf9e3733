"""How one llama.cpp engine is run, and how much of it: what the deployment itself does not say."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        start_timeout_s: From the start of the process to its first token.
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


_BATCH_S = 0.35
_BATCHES = (128, 64, 16)
_BATCH_ON_GPU = 512
_READ_BYTES_PER_S = 50e9
_READ_TOK_PER_S_MAX = 200.0


def batch_for(*, file_bytes: int, threads: int, on_gpu: bool) -> int:
    """The largest batch, in tokens, that an ordinary processor reads in about a third of a second.

    llama.cpp notices that a client left only between two batches, and frees the slot one or two batches later. The
    rate is tokens a second and thread times the size of the model file: with AVX-512 and files of 0.1, 0.5 and 1.1 GB
    it was 20, 47 and 50 GB/s at 64 tokens. Larger batches are hardly faster; below 64 llama.cpp takes another path
    that is a third slower, with little between 48 tokens and 16.
    """
    if on_gpu:
        return _BATCH_ON_GPU
    tok_per_s = threads * min(_READ_TOK_PER_S_MAX, _READ_BYTES_PER_S / max(1, file_bytes))
    return next((batch for batch in _BATCHES if batch <= tok_per_s * _BATCH_S), _BATCHES[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSettings:
    """Where the model is and how llama.cpp runs it.

    Exactly one of ``model_path`` (a child of ours) and ``base_url`` (a llama.cpp that somebody else runs) is set.

    Attributes:
        model_path: A verified GGUF file.
        program: A ``llama-server`` binary to run instead of the embedded one; empty for the embedded one.
        base_url: Root of a running llama.cpp server, for example ``http://127.0.0.1:8080``.
        credential: Secret for ``base_url``, already resolved; empty for none.
        ca_file: PEM file of the authority to trust at ``base_url`` instead of the system's; empty for the system's.
        threads: Computing threads; 0 leaves one core to the gateway and takes the others. A thread too many costs
            more than it brings: all spin while one of them waits for its core.
        batch_tokens: Prompt tokens read in one go; 0 chooses by ``batch_for``.
        cache_ram_mib: Bound of the prompt cache, in MiB.
        gpu_layers: Layers on an accelerator; 0 is none, -1 all.
        pooling: How an embedding model pools: ``mean``, ``cls``, ``last``; empty for what the model file says.
        supervision: Restart and watchdog times.
    """

    model_path: str = ""
    program: str = ""
    base_url: str = ""
    credential: str = field(default="", repr=False)
    ca_file: str = ""
    threads: int = 0
    batch_tokens: int = 0
    cache_ram_mib: int = 256
    gpu_layers: int = 0
    pooling: str = ""
    supervision: Supervision = field(default_factory=Supervision)

    def __post_init__(self) -> None:
        if bool(self.model_path) == bool(self.base_url):
            raise ValueError("give either model_path or base_url")
        if self.program and not self.model_path:
            raise ValueError("program needs a model_path")
        if self.pooling not in ("", "mean", "cls", "last"):
            raise ValueError(f"pooling {self.pooling!r} is none of mean, cls, last")
