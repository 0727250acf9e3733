"""The child process that looks through pieces of text, and what it is told and says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.domain.detect_ports import Looked
from freehold.engines.process.framed import FramedChild


@dataclass(frozen=True, slots=True, kw_only=True)
class NameModel:
    """A verified model that marks names.

    Attributes:
        version: Its name and the beginning of its digest, for records.
        model_path: The ONNX file.
        tokenizer_path: The ``tokenizer.json`` beside it.
        labels: What its outputs mean, in order.
    """

    version: str
    model_path: str
    tokenizer_path: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSpec:
    """What every start of the child has in common.

    Attributes:
        module: What it runs: ``python -m module``.
        model: The model that marks names; ``None`` for a child that looks for none.
        folder: Private folder; made at each start.
    """

    module: str
    model: NameModel | None
    folder: str

    def order(self) -> dict[str, object]:
        """The worker's order."""
        order: dict[str, object] = {"folder": self.folder, "readable": [sys.prefix, sys.base_prefix], "model": None}
        if self.model is not None:
            model, tokenizer = Path(self.model.model_path).resolve(), Path(self.model.tokenizer_path).resolve()
            order["readable"] = [sys.prefix, sys.base_prefix, str(model), str(tokenizer)]
            order["model"] = {
                "version": self.model.version,
                "model": str(model),
                "tokenizer": str(tokenizer),
                "labels": self.model.labels,
            }
        return order


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer.

    Attributes:
        id: Of the message that it answers.
        looked: What came of a piece; of a message that asked for nothing, nothing was found.
    """

    id: int
    looked: Looked = Looked(findings=())


_SAID = msgspec.json.Decoder(Said)
_PROBE = "Jane Roe, jane.roe@example.org"


class DetectorChild(FramedChild[Looked]):
    """One worker process (``life.Child``)."""

    @classmethod
    async def launch(cls, spec: DetectorSpec) -> DetectorChild:
        """Start the process; whether it becomes ready shows later.

        Raises:
            OSError: A file is gone, or the system has no room for another process or folder.
        """
        order = spec.order()
        process = await cls.spawn(spec.module, folder=spec.folder)
        return cls(process, name="detector", folder=spec.folder).begin(order)

    async def prove_ready(self) -> None:
        """Return once it has looked through a text."""
        await self.ask_for_itself({"piece": _PROBE, "names": True})

    async def heartbeat(self) -> None:
        """Return once it has answered."""
        await self.ask_for_itself({})

    def heard(self, head: bytes, body: bytes) -> tuple[int, Looked]:
        """Which message an answer is to, and what it says."""
        del body
        found = _SAID.decode(head)
        if any(not 0 <= each.start < each.end for each in found.looked.findings):
            raise ValueError("a finding that is nowhere")
        return found.id, found.looked


def answer_to(number: int, looked: Looked | None) -> dict[str, object]:
    """The head of an answer, as the worker writes it."""
    return {"id": number} if looked is None else {"id": number, "looked": looked}
