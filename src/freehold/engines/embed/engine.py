"""The vault's models on this device: children behind ``domain.vault_ports.Embedder`` and ``PassageRanker``."""

from __future__ import annotations

import contextlib
import re
import secrets
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.errors.vault import VaultModelFailed
from freehold.domain.ports import EngineState
from freehold.engines.embed.child import EmbedChild, EmbedSpec, TextModel
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Plan, Supervision
from freehold.engines.process.supervisor import Supervisor
from freehold.hostinfo.clock import any_share

_DEATH_NOTICED_S = 0.5
_HALF = re.compile("[\ud800-\udfff]")
_NUMBER = struct.Struct("<f")


class _Child:
    """One child, started with its first text. Texts are computed one after the other, in the order of their asking.

    One at a time, as decision 15 says: a text's vector must not depend on those that it is sent with, and a question
    never waits for more than the text that is being computed.
    """

    def __init__(
        self,
        model: TextModel,
        *,
        times: Supervision | None = None,
        jitter: Callable[[], float] = any_share,
        launch: Callable[[EmbedSpec], Awaitable[EmbedChild]] = EmbedChild.launch,
    ) -> None:
        self._model = model
        self._times = times or Supervision()
        spec = EmbedSpec(model=model, folder=f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}")
        self._is_started = False

        async def launched(plan: Plan) -> EmbedChild:
            del plan  # one text at a time, whatever it is
            return await launch(spec)

        self._supervisor = Supervisor(
            name=model.name, plan=Plan(slots=1, context_tokens=0), times=self._times, launch=launched, jitter=jitter
        )

    def state(self) -> EngineState:
        return self._supervisor.state()

    def jail_report(self) -> tuple[Measure, ...]:
        child = self._supervisor.child
        return child.jail if child is not None else ()

    async def start(self) -> None:
        try:
            await self._supervisor.start()
        except FreeholdError as error:
            raise self._failed(error.message) from error
        self._is_started = True

    async def close(self) -> None:
        await self._supervisor.close()

    async def numbers(self, message: Mapping[str, object]) -> bytes:
        """What comes of one message: as many finite numbers as the model makes."""
        if not self._is_started:
            await self.start()
        try:
            found = await self._ask(message)
        except VaultModelFailed:
            raise
        except FreeholdError as error:
            raise self._failed(error.message) from error
        wanted = self._model.dimensions or 1
        if len(found) != wanted * _NUMBER.size or not all(isfinite(each) for (each,) in _NUMBER.iter_unpack(found)):
            raise self._failed(f"{len(found)} bytes came back that are not {wanted} finite numbers")
        return found

    async def _ask(self, message: Mapping[str, object]) -> bytes:
        life = await self._supervisor.ready(wait_s=self._times.ready_wait_s)
        progress = False
        life.begin_wait()
        try:
            found = await life.child.ask(message)
        except UpstreamBroken as error:
            # Once its death is known, whoever comes next waits for another one.
            with contextlib.suppress(TimeoutError):
                death = await life.death(within_s=_DEATH_NOTICED_S)
                raise self._failed(f"its process ended {death.how}") from error
            raise
        else:
            progress = True
            return found
        finally:
            life.end_wait(progress=progress)

    def _failed(self, reason: str) -> VaultModelFailed:
        return VaultModelFailed(model=self._model.name, reason=reason.rstrip("."))


class LocalEmbedder:
    """Makes vectors (``domain.vault_ports.Embedder``) in a child that its first text, or ``start``, starts.

    Args:
        model: A model that embeds.
        times: When the child is started again, given up, killed.
        launch: Starts a child.
    """

    def __init__(
        self,
        model: TextModel,
        *,
        times: Supervision | None = None,
        launch: Callable[[EmbedSpec], Awaitable[EmbedChild]] = EmbedChild.launch,
    ) -> None:
        if not model.dimensions:
            raise ValueError(f"{model.name} makes no vectors")
        self._model = model
        self._child = _Child(model, times=times, launch=launch)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._model.dimensions

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
        await self._child.start()

    async def close(self) -> None:
        """End the child. Idempotent."""
        await self._child.close()

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Vectors of texts to be found; see ``Embedder``.

        Raises:
            VaultModelFailed: There are none; the message says why.
        """
        return [await self._child.numbers({"text": whole(text), "query": False}) for text in texts]

    async def query(self, text: str) -> bytes:
        """Vector of a question; see ``Embedder``.

        Raises:
            VaultModelFailed: There is none; the message says why.
        """
        return await self._child.numbers({"text": whole(text), "query": True})


class LocalRanker:
    """Says how well texts answer a question (``domain.vault_ports.PassageRanker``), in a child.

    Args:
        model: A model that ranks.
        times: When the child is started again, given up, killed.
        launch: Starts a child.
    """

    def __init__(
        self,
        model: TextModel,
        *,
        times: Supervision | None = None,
        launch: Callable[[EmbedSpec], Awaitable[EmbedChild]] = EmbedChild.launch,
    ) -> None:
        if model.dimensions:
            raise ValueError(f"{model.name} makes vectors and ranks nothing")
        self._model = model
        self._child = _Child(model, times=times, launch=launch)

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
        """Make it ready ahead of the first question.

        Raises:
            VaultModelFailed: Its child never became ready.
        """
        await self._child.start()

    async def close(self) -> None:
        """End the child. Idempotent."""
        await self._child.close()

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """Relevance of texts; see ``PassageRanker``.

        Raises:
            VaultModelFailed: There is none; the message says why.
        """
        asked = whole(question)
        found = [await self._child.numbers({"question": asked, "text": whole(text)}) for text in texts]
        return [min(1.0, max(0.0, _NUMBER.unpack(each)[0])) for each in found]


def whole(text: str) -> str:
    """A text without halves of characters, which cannot be said to a child."""
    return _HALF.sub("\ufffd", text)
