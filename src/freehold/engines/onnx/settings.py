"""Where an ONNX model is and how it is run: what the deployment itself does not say."""

from __future__ import annotations

from dataclasses import dataclass, field

from freehold.engines.process.plan import Supervision


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxSettings:
    """How a model that embeds or reranks is run.

    Attributes:
        model_path: A verified ONNX file.
        tokenizer_path: The verified ``tokenizer.json`` beside it.
        pooling: ``cls`` or ``mean``; empty for a model that reranks.
        threads: Computing threads; 0 leaves one core to the gateway and takes the others.
        supervision: Restart and watchdog times.
    """

    model_path: str
    tokenizer_path: str
    pooling: str = ""
    threads: int = 0
    supervision: Supervision = field(default_factory=Supervision)
