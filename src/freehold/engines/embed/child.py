"""A child process with one of the vault's models in it, and the questions that it answers over its pipes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.domain.errors.engine import EngineRefused
from freehold.engines.process.framed import FramedChild

_PROBE = "1 2 3"
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModel:
    """A verified model and how it is run.

    Attributes:
        name: Of the catalogue.
        model_path: Its file.
        tokenizer_path: The ``tokenizer.json`` beside an ONNX file; empty for a file of ``packed``, which holds its own.
        dimensions: Numbers of its vectors; 0 for a model that ranks.
        pooling: ``cls`` or ``mean`` of an ONNX model that embeds.
        tokens_max: Its window.
        query_prefix: What stands before a question; a file of ``packed`` has its own.
        threads: Computing threads.
    """

    name: str
    model_path: str
    tokenizer_path: str = ""
    dimensions: int = 0
    pooling: str = ""
    tokens_max: int = 512
    query_prefix: str = ""
    threads: int = 1

    @property
    def ranks(self) -> bool:
        """Whether it ranks; else it embeds."""
        return not self.dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSpec:
    """What every start of one model's child has in common.

    Attributes:
        model: What it loads.
        folder: Private folder; made at each start.
    """

    model: TextModel
    folder: str

    def order(self) -> dict[str, object]:
        """The worker's order."""
        model = self.model
        path = str(Path(model.model_path).resolve())
        tokenizer = str(Path(model.tokenizer_path).resolve()) if model.tokenizer_path else ""
        return {
            "folder": self.folder,
            "readable": [sys.prefix, sys.base_prefix, path, *([tokenizer] if tokenizer else [])],
            "model": path,
            "tokenizer": tokenizer,
            "ranks": model.ranks,
            "pooling": model.pooling,
            "tokens_max": model.tokens_max,
            "query_prefix": model.query_prefix,
            "threads": model.threads,
        }


class _Said(msgspec.Struct, frozen=True):
    id: int


_SAID = msgspec.json.Decoder(_Said)


class EmbedChild(FramedChild[bytes]):
    """One worker process (``life.Child``)."""

    def __init__(self, process: asyncio.subprocess.Process, *, spec: EmbedSpec) -> None:
        super().__init__(process, name=spec.model.name, folder=spec.folder)
        self._model = spec.model

    @classmethod
    async def launch(cls, spec: EmbedSpec) -> EmbedChild:
        """Start the process; whether it becomes ready shows later.

        Raises:
            OSError: A file is gone, or the system has no room for another process or folder.
        """
        order = spec.order()
        process = await cls.spawn("freehold.engines.embed.worker", folder=spec.folder)
        return cls(process, spec=spec).begin(order)

    async def prove_ready(self) -> None:
        """Return once it has computed something.

        Raises:
            EngineRefused: It computes something else than it is wanted for.
        """
        message = {"text": _PROBE, "question": _PROBE} if self._model.ranks else {"text": _PROBE, "query": True}
        found = await self.ask_for_itself(message)
        wanted = self._model.dimensions or 1
        if len(found) != wanted * _FLOAT_BYTES:
            reason = f"its model gives {len(found) // _FLOAT_BYTES} numbers where {wanted} were expected"
            raise EngineRefused(source=self._model.name, deployment=self._model.name, reason=reason)

    async def heartbeat(self) -> None:
        """Return once it has answered."""
        await self.ask_for_itself({})

    def heard(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Which message an answer is to, and its numbers."""
        return _SAID.decode(head).id, body
