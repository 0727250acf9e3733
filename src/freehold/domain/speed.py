"""How fast a model answers on a device: what is known of both, what was measured, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeviceFamily(StrEnum):
    """Devices that behave alike."""

    GEFORCE = "geforce"
    WORKSTATION = "workstation"
    DATACENTER = "datacenter"
    APPLE = "apple"
    RADEON = "radeon"
    CPU = "cpu"


class WeightClass(StrEnum):
    """Weights that are read alike."""

    HALVES = "f16"
    QUANTISED = "quantised"
    EXPERTS = "experts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What computes.

    Attributes:
        name: For people.
        family: What it behaves like.
        bandwidth_bytes_per_s: Of its memory, of one card.
        flops: Half precision, dense, of one card, a second; 0 where nobody knows.
        count: Cards that share a model by layers.
    """

    name: str
    family: DeviceFamily
    bandwidth_bytes_per_s: float
    flops: float = 0.0
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a model has to do for one token.

    Attributes:
        weights: How its weights are stored.
        read_bytes: Weights that are read for one token of one stream.
        file_bytes: All of its weights; the same as ``read_bytes`` but for a mixture of experts.
        cache_bytes_per_token: Cache that is read for each token that is in it already.
        active_parameters: Weights that take part in one token.
        layers: Blocks.
        width: Of the model.
        worked_bytes: On a processor, ``read_bytes`` as bytes of Q4_K that take as long; 0 where unknown.
        worked_weights: On a processor, weights that take part in a token of a prompt, as weights of Q4_K; 0 where unknown.
    """

    weights: WeightClass
    read_bytes: float
    file_bytes: float
    cache_bytes_per_token: float
    active_parameters: float
    layers: int
    width: int
    worked_bytes: float = 0.0
    worked_weights: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run that was measured on the device that is asked about.

    Attributes:
        load: Of the model that ran.
        depth_tokens: Tokens in the cache, in the middle of the run; 0 for a prompt.
        prompt_tokens: Tokens that were read in one go; 0 for a run that wrote.
        tok_per_s: What came of it.
    """

    load: Load
    depth_tokens: float = 0.0
    prompt_tokens: int = 0
    tok_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRuns:
    """Models that were run on the processor of this machine.

    Attributes:
        threads: That computed.
        writing: Runs that wrote.
        reading: Runs that read a prompt.
        models: Their names.
        unix_ms: When.
        taken_share: Share of the time that others took the processor meanwhile.
    """

    threads: int
    writing: tuple[Measured, ...]
    reading: tuple[Measured, ...]
    models: tuple[str, ...]
    unix_ms: int
    taken_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputEstimate:
    """An expected speed, with the interval that nine of ten devices are in.

    Attributes:
        tok_per_s: Expected.
        low: Least.
        high: Most.
        source: ``table``, or ``measured`` where runs of this device are in it.
    """

    tok_per_s: float
    low: float
    high: float
    source: str
