"""How an engine of ours is to run a model: what its owner set, and what an adapter is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CacheType(StrEnum):
    """How the key-value cache is kept; fewer bits take less memory, and change answers a little."""

    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"


class Speculation(StrEnum):
    """Whether tokens are guessed and then checked several at once; greedy answers stay the same but for near ties.

    Attributes:
        AUTO: Where it was measured to pay on this machine.
        OFF: Never.
        DRAFT: A smaller model guesses.
        LOOKUP: What stands in the prompt already is the guess.
    """

    AUTO = "auto"
    OFF = "off"
    DRAFT = "draft"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter of a deployment.

    Attributes:
        name: What receipts call it.
        path: Its GGUF file.
        scale: How strongly it acts; 1 is as it was trained.
        sha256: Hex digest that the file must have; empty for any.
    """

    name: str
    path: str
    scale: float = 1.0
    sha256: str = ""

    @property
    def told_scale(self) -> str:
        """Its scale as people write it, and never the same for two that are not."""
        return exact(self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What the owner of a deployment set. What is ``None`` or empty the planner chooses.

    Attributes:
        cache_type: How the key-value cache is kept.
        flash_attention: Whether attention is computed without its whole score matrix.
        speculation: Whether tokens are guessed.
        draft_model: Reference of the model that guesses; it must share the tokenizer.
        draft_tokens: Most tokens guessed at once; 0 for what suits.
        adapters: Applied together, in this order.
        tensor_split: Shares of the model for each accelerator, in any unit; empty for an even split.
        said: Of ``slots``, ``context_tokens`` and ``gpu_layers`` those that are not at their default.
    """

    cache_type: CacheType | None = None
    flash_attention: bool | None = None
    speculation: Speculation = Speculation.AUTO
    draft_model: str = ""
    draft_tokens: int = 0
    adapters: tuple[Adapter, ...] = ()
    tensor_split: tuple[float, ...] = ()
    said: frozenset[str] = frozenset()


NO_OPTIONS = EngineOptions()


def exact(number: float) -> str:
    """A number in few digits where these are exact, else in all that it takes."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
