"""A child process with an ONNX model in it, and the questions that it answers over its pipes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.errors.engine import EngineRefused
from freehold.engines.onnx.frames import said
from freehold.engines.onnx.settings import OnnxSettings
from freehold.engines.process.framed import FramedChild

_PROBE = "1 2 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What every start of one deployment's child has in common.

    Attributes:
        name: The deployment.
        settings: How the model is run.
        reranks: Whether it tells relevance instead of making vectors.
        tokens_max: Longest text.
        threads: Computing threads, at least 1.
        folder: Private folder; made at each start.
    """

    name: str
    settings: OnnxSettings
    reranks: bool
    tokens_max: int
    threads: int
    folder: str

    def order(self) -> dict[str, object]:
        """The worker's order."""
        model, tokenizer = Path(self.settings.model_path).resolve(), Path(self.settings.tokenizer_path).resolve()
        return {
            "folder": self.folder,
            "readable": [sys.prefix, sys.base_prefix, str(model), str(tokenizer)],
            "model": str(model),
            "tokenizer": str(tokenizer),
            "pooling": self.settings.pooling,
            "tokens_max": self.tokens_max,
            "threads": self.threads,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the worker said to one message.

    Attributes:
        tokens: What was read, or the length of each text that was only looked at.
        numbers: What came of it, as little-endian 32-bit floats.
        too_long: Tokens of a text that was not read, since it has too many.
    """

    tokens: tuple[int, ...] = ()
    numbers: bytes = b""
    too_long: int | None = None


class OnnxChild(FramedChild[Answer]):
    """One worker process (``life.Child``).

    Attributes:
        dimensions: Length of its vectors, known once it is ready; 0 for a model that reranks.
    """

    def __init__(self, process: asyncio.subprocess.Process, *, spec: ChildSpec) -> None:
        super().__init__(process, name=spec.name, folder=spec.folder)
        self._spec = spec
        self.dimensions = 0

    @classmethod
    async def launch(cls, spec: ChildSpec) -> OnnxChild:
        """Start the process; whether it becomes ready shows later.

        Raises:
            OSError: A file is gone, or the system has no room for another process or folder.
        """
        order = spec.order()
        process = await cls.spawn("freehold.engines.onnx.worker", folder=spec.folder)
        return cls(process, spec=spec).begin(order)

    async def prove_ready(self) -> None:
        """Return once it has computed something.

        Raises:
            EngineRefused: It computes something else than it is wanted for.
        """
        message: dict[str, object] = {"text": _PROBE, "cut": False}
        if self._spec.reranks:
            message |= {"query": _PROBE, "document_tokens_max": None}
        found = await self.ask_for_itself(message)
        numbers = len(found.numbers) // 4
        if not numbers or (numbers == 1) != self._spec.reranks:
            wanted = "one number for a pair" if self._spec.reranks else "a vector"
            reason = f"its model gives {numbers} numbers where {wanted} was expected"
            raise EngineRefused(source=self._spec.name, deployment=self._spec.name, reason=reason)
        self.dimensions = 0 if self._spec.reranks else numbers

    async def heartbeat(self) -> None:
        """Return once it has answered."""
        await self.ask_for_itself({"texts": []})

    def heard(self, head: bytes, body: bytes) -> tuple[int, Answer]:
        """Which message an answer is to, and what it says."""
        found = said(head)
        tokens = tuple(found.tokens) if isinstance(found.tokens, list) else (found.tokens,)
        return found.id, Answer(tokens=tokens, numbers=body, too_long=found.too_long)
