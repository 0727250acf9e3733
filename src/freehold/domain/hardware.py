"""What a machine is, and whether a model fits on it."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.domain.speed import MachineRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One accelerator.

    Attributes:
        name: As its maker calls it.
        vram_bytes: Memory that models may use.
        free_bytes: Of it, now.
        power_w: What it draws now; 0 where it does not say.
        celsius: Its temperature; 0 where it does not say.
        throttled: Whether heat slows it down now.
    """

    name: str
    vram_bytes: int
    free_bytes: int
    power_w: float = 0.0
    celsius: float = 0.0
    throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorState:
    """How the processor is.

    Attributes:
        power_w: What it draws now, all packages together; 0 where nobody may know.
        celsius: Its temperature; 0 where nothing says.
        slowed_by_heat: How often it slowed down for heat since the machine was started.
    """

    power_w: float
    celsius: float
    slowed_by_heat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareProfile:
    """This machine at one moment.

    Attributes:
        cpu_name: As the system reports it.
        cores: Cores that this process may use.
        cpu_flags: For example ``avx2``, ``avx512f``; lower case.
        memory_bytes: Installed, or the cgroup's limit where that is lower.
        memory_free_bytes: Available now.
        gpus: Accelerators found.
        bandwidth_bytes_per_s: Memory traffic (read plus written) measured by a short copy; 0 where not measured.
        physical_cores: Of ``cores``, those that are not a second thread of another one; 0 where unknown.
        measured: Models that were run on it; ``None`` where none was.
    """

    cpu_name: str
    cores: int
    cpu_flags: frozenset[str]
    memory_bytes: int
    memory_free_bytes: int
    gpus: tuple[Gpu, ...] = ()
    bandwidth_bytes_per_s: int = 0
    physical_cores: int = 0
    measured: MachineRuns | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRead:
    """What is read of one type of weights.

    Attributes:
        type: As ggml calls it, for example ``Q4_K``.
        read_bytes: Of it, for each token that is written.
        block_weights: How many of its weights take part in each token of a prompt: all but those of the output.
    """

    type: str
    read_bytes: int
    block_weights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What a model file's header says about memory.

    Where a header gives one number a layer, ``kv_heads`` is their mean, rounded up.

    Attributes:
        file_bytes: Size of the weights.
        sliding_window: Tokens that a windowed layer looks back; 0 for none.
        read_bytes: Weights read for each generated token: less than ``file_bytes`` for a mixture of experts and where
            the embedding table is separate from the output; 0 where unknown.
        reads: The same by type of weights; empty where unknown.
        kv_heads_each: Key-value heads of each layer, 0 where a layer keeps a state instead; empty where all have
            ``kv_heads``.
        latent_length: Values cached for each token and layer in place of keys and values (multi-head latent
            attention); 0 for none.
        state_values: Numbers of 32 bits that each layer without key-value heads keeps for each sequence, however long
            that is.
        layer_bytes: Weights of each layer; empty where only their sum is known.
        expert_bytes: Of ``layer_bytes``, those of experts; empty for none.
        embedding_bytes: The table that tokens are looked up in, which stays in the machine's own memory; 0 where it is
            not known apart.
        tied: Whether that table serves as the output too, so that a card has a copy of it.
        unknown: What is not known of this model, so that what is said of its memory may be too little; empty where
            everything is.
    """

    architecture: str
    file_bytes: int
    layers: int
    embedding_length: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context_length: int
    sliding_window: int = 0
    read_bytes: int = 0
    reads: tuple[WeightRead, ...] = ()
    kv_heads_each: tuple[int, ...] = ()
    latent_length: int = 0
    state_values: int = 0
    layer_bytes: tuple[int, ...] = ()
    expert_bytes: tuple[int, ...] = ()
    embedding_bytes: int = 0
    tied: bool = False
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNeed:
    """What one device must hold.

    Attributes:
        device: ``memory`` for the machine's own, else the card's name.
        layers: How many of the model's layers it works on.
        projector_bytes: What looks at pictures, where it is beside the model.
        overhead_bytes: What the engine or the card's runtime takes beside all that.
        free_bytes: What is free there now.
    """

    device: str
    layers: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    overhead_bytes: int
    free_bytes: int
    projector_bytes: int = 0

    @property
    def needs_bytes(self) -> int:
        """Total memory."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.projector_bytes + self.overhead_bytes

    @property
    def margin_bytes(self) -> int:
        """Free minus needed; negative means that it does not fit."""
        return self.free_bytes - self.needs_bytes

    reads: tuple[WeightRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """Needs X, free Y, margin Z, which formula said so, and what it could not know."""

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    overhead_bytes: int
    free_bytes: int
    tok_per_s_low: float
    tok_per_s_high: float
    source: str = "formula"
    unknown: str = ""

    @property
    def needs_bytes(self) -> int:
        """Total memory."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def margin_bytes(self) -> int:
        """Free minus needed; negative means that it does not fit."""
        return self.free_bytes - self.needs_bytes

    @property
    def fits(self) -> bool:
        """Whether it surely fits: never where something about the model is not known."""
        return self.margin_bytes >= 0 and not self.unknown


ENGINE_NEEDS = ("avx", "avx2", "bmi2", "f16c", "fma")
"""What the embedded engine's build for x86 uses without asking: instructions of Haswell (2013) and later."""


def missing_flags(cpu_flags: frozenset[str]) -> tuple[str, ...]:
    """What an x86 processor lacks of what the embedded engine uses; nothing for others, and where flags are not known."""
    return tuple(flag for flag in ENGINE_NEEDS if flag not in cpu_flags) if "sse2" in cpu_flags else ()
