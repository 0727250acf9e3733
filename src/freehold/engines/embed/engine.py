"""The vault's models on this device: children behind ``domain.vault_ports.Embedder`` and ``PassageRanker``."""

from __future__ import annotations

import re
import secrets
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import TypedDict, Unpack

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.vault import VaultModelFailed
from freehold.domain.ports import Clock, EngineState
from freehold.engines.embed.child import EmbedChild, EmbedSpec, TextModel
from freehold.engines.process.asked import AskedChild, ChildDiedError, ChildDownError
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Supervision
from freehold.hostinfo.clock import SystemClock, any_share

_HALF = re.compile("[\ud800-\udfff]")
_NUMBER = struct.Struct("<f")


class How(TypedDict, total=False):
    """How a child of a model is run, where not as usual."""

    times: Supervision | None
    launch: Callable[[EmbedSpec], Awaitable[EmbedChild]]
    clock: Clock | None
    files: ModelFiles | None


class _TextChild:
    """One child, started with its first text. Texts are computed one after the other, in the order of their asking.

    One at a time, as decision 15 says: a text's vector must not depend on those that it is sent with, and a question
    never waits for more than the text that is being computed.

    Args:
        model: What it runs.
        times: When the child is started again, given up, killed; the usual ones if not given.
        launch: Starts a child.
        clock: Time; the system's if not given.
        files: Those of the model.
    """

    def __init__(
        self,
        model: TextModel,
        *,
        times: Supervision | None = None,
        launch: Callable[[EmbedSpec], Awaitable[EmbedChild]] = EmbedChild.launch,
        clock: Clock | None = None,
        files: ModelFiles | None = None,
    ) -> None:
        self._model = model
        self._times = times or Supervision()
        spec = EmbedSpec(model=model, folder=f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}")
        self._child = AskedChild(
            name=model.name,
            launch=lambda: launch(spec),
            clock=clock or SystemClock(),
            times=self._times,
            jitter=any_share,
            files=files,
        )

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model.name

    def state(self) -> EngineState:
        """Of its child."""
        return self._child.state()

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        return self._child.jail_report()

    async def start(self) -> None:
        """Make it ready ahead of the first text.

        Raises:
            VaultModelFailed: Its child never became ready.
        """
        try:
            await self._child.start()
        except FreeholdError as error:
            raise self._failed(error.message) from error

    async def close(self) -> None:
        """End the child, for good. Idempotent."""
        await self._child.close()

    async def _numbers(self, message: Mapping[str, object]) -> bytes:
        """What comes of one message: as many finite numbers as the model makes."""
        try:
            found = await self._child.ask(lambda child: child.ask(message), wait_s=self._times.ready_wait_s)
        except (ChildDownError, ChildDiedError) as error:
            raise self._failed(str(error)) from error
        except FreeholdError as error:
            raise self._failed(error.message) from error
        wanted = self._model.dimensions or 1
        if len(found) != wanted * _NUMBER.size or not all(isfinite(each) for (each,) in _NUMBER.iter_unpack(found)):
            raise self._failed(f"{len(found)} bytes came back that are not {wanted} finite numbers")
        return found

    def _failed(self, reason: str) -> VaultModelFailed:
        return VaultModelFailed(model=self._model.name, reason=reason.rstrip("."))


class LocalEmbedder(_TextChild):
    """Makes vectors (``domain.vault_ports.Embedder``) in a child that its first text, or ``start``, starts.

    Args:
        model: A model that embeds.
        how: Of its child, as ``_TextChild`` takes it.
    """

    def __init__(self, model: TextModel, **how: Unpack[How]) -> None:
        if not model.dimensions:
            raise ValueError(f"{model.name} makes no vectors")
        super().__init__(model, **how)

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._model.dimensions

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Vectors of texts to be found; see ``Embedder``.

        Raises:
            VaultModelFailed: There are none; the message says why.
        """
        return [await self._numbers({"text": whole(text), "query": False}) for text in texts]

    async def query(self, text: str) -> bytes:
        """Vector of a question; see ``Embedder``.

        Raises:
            VaultModelFailed: There is none; the message says why.
        """
        return await self._numbers({"text": whole(text), "query": True})


class LocalRanker(_TextChild):
    """Says how well texts answer a question (``domain.vault_ports.PassageRanker``), in a child.

    Args:
        model: A model that ranks.
        how: Of its child, as ``_TextChild`` takes it.
    """

    def __init__(self, model: TextModel, **how: Unpack[How]) -> None:
        if not model.ranks or not model.tokenizer_path:
            raise ValueError(f"{model.name} makes vectors and ranks nothing")
        super().__init__(model, **how)

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """Relevance of texts; see ``PassageRanker``.

        Raises:
            VaultModelFailed: There is none; the message says why.
        """
        asked = whole(question)
        found = [await self._numbers({"question": asked, "text": whole(text)}) for text in texts]
        return [min(1.0, max(0.0, _NUMBER.unpack(each)[0])) for each in found]


def whole(text: str) -> str:
    """A text without halves of characters, which cannot be said to a child."""
    return _HALF.sub("\ufffd", text)
