"""How one llama.cpp engine is run, and how much of it: what the deployment itself does not say."""

from __future__ import annotations

from dataclasses import dataclass, field

from freehold.domain.deployment import PromptCache
from freehold.domain.engine_options import CacheType, Speculation
from freehold.engines.process.plan import Supervision

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
        memory_mib: Bound of what the embedded llama.cpp keeps of prompts that had to make way, in MiB.
        gpu_layers: Layers on an accelerator; 0 is none, -1 all.
        tensor_split: Shares of the model for each accelerator; empty for an even split.
        cache_type: How the key-value cache is kept.
        flash_attention: Whether attention is computed without its whole score matrix; ``None`` where llama.cpp decides.
        speculation: Whether tokens are guessed; never ``AUTO``, which is decided before.
        draft_path: The verified file of the model that guesses; set exactly with ``Speculation.DRAFT``.
        draft_digest: ``sha256:…`` of that file, which tells versions of it apart.
        draft_tokens: Most tokens guessed at once; 0 for what suits.
        adapters: Path and scale of each verified LoRA adapter. They are the child's for its whole life: llama.cpp uses what
            it read under one adapter again under another (ggml-org/llama.cpp#26207).
        pooling: How an embedding model pools: ``mean``, ``cls``, ``last``; empty for what the model file says.
        prompt_cache: What is done about the cache of prompts at ``base_url``; that of a child of ours is always kept apart.
        supervision: Restart and watchdog times.
    """

    model_path: str = ""
    program: str = ""
    base_url: str = ""
    credential: str = field(default="", repr=False)
    ca_file: str = ""
    threads: int = 0
    batch_tokens: int = 0
    memory_mib: int = 256
    gpu_layers: int = 0
    tensor_split: tuple[float, ...] = ()
    cache_type: CacheType = CacheType.F16
    flash_attention: bool | None = None
    speculation: Speculation = Speculation.OFF
    draft_path: str = ""
    draft_digest: str = ""
    draft_tokens: int = 0
    adapters: tuple[tuple[str, float], ...] = ()
    pooling: str = ""
    prompt_cache: PromptCache = PromptCache.UNUSED
    supervision: Supervision = field(default_factory=Supervision)

    def __post_init__(self) -> None:
        if bool(self.model_path) == bool(self.base_url):
            raise ValueError("give either model_path or base_url")
        if self.program and not self.model_path:
            raise ValueError("program needs a model_path")
        if bool(self.draft_path) is not (self.speculation is Speculation.DRAFT):
            raise ValueError("draft_path is for speculation by a draft")
        if self.speculation is Speculation.AUTO or (self.program and self.speculation is not Speculation.OFF):
            raise ValueError(f"speculation {self.speculation.value!r} is not decided, or not the embedded engine's")
        if self.prompt_cache is not PromptCache.UNUSED and not (
            self.base_url and self.prompt_cache is PromptCache.SHARED
        ):
            raise ValueError(
                f"prompt_cache {self.prompt_cache.value!r} is not for a llama.cpp that is ours, or takes no salt"
            )
        if self.pooling not in ("", "mean", "cls", "last"):
            raise ValueError(f"pooling {self.pooling!r} is none of mean, cls, last")
