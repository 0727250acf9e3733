"""Which engines share this machine's memory: what each needs, and the loader that starts and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from freehold.app.placed_engine import FingerprintedEngine, PlacedEngine, Unloads
from freehold.config.compile import DeploymentPlan, MemoryPlan
from freehold.domain.deployment import Deployment
from freehold.domain.errors.engine import EngineStartFailed
from freehold.domain.hardware import FitReport, HardwareProfile
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.placement import PROCESSOR, Held, Need
from freehold.domain.ports import Admission, Clock, Engine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
from freehold.engines.onnx.engine import OnnxEngine
from freehold.hostinfo.graphics import cards
from freehold.hostinfo.memory import process_memory
from freehold.hostinfo.probe import free_memory
from freehold.planner.fit import ENGINE_OVERHEAD_BYTES, GPU_OVERHEAD_BYTES, fit
from freehold.planner.launching import Asked, launch_of
from freehold.serving.gguf import read_header
from freehold.serving.placed import Wanted
from freehold.serving.placed_admission import PlacedAdmission
from freehold.serving.placement import RULES
from freehold.serving.placing import Placer

log = logging.getLogger("freehold.app")

_MIB: Final = 1 << 20
_RESERVE_BYTES: Final = 256 * _MIB
"""Left to the rest of the machine of what is free at the start, where nobody set a cap."""

_LOAD_WITHIN_S: Final = 600.0

_ONNX_FACTOR: Final = 2
"""Times the size of its file that an ONNX model takes: the weights, and what they are computed with."""

_PACKED_SHARE: Final = 0.7
"""From this share of its file in memory of its own on, an engine has packed the weights anew: then the file's pages are
not needed any more, and do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a model is loaded from, so that what it takes can be read."""

    engine: Unloads
    file_bytes: int


@dataclass(slots=True, eq=False)
class Share:
    """A deployment's part in a model that several may share; of one name there are two while it is reloaded."""

    name: str
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A model that is loaded once, for whom it was first, and who shares it."""

    deployment: Deployment
    shares: list[Share]

    @property
    def names(self) -> tuple[str, ...]:
        """Deployments that share it."""
        return tuple(dict.fromkeys(each.name for each in self.shares))


class EngineLoader:
    """Implements ``placed.Loader`` by starting and ending engines."""

    def __init__(self, *, has_cards: bool) -> None:
        self._has_cards = has_cards
        self.measures: dict[str, Measure] = {}

    async def load(self, model: str, held: Held) -> None:
        """Start the engine where ``held`` says; it has generated a token when this returns.

        Raises:
            EngineStartFailed: It does not start.
        """
        engine = self.measures[model].engine
        shares = {device: size for device, size in held.items() if device != PROCESSOR}
        if shares and isinstance(engine, LlamaEngine):
            engine.use_cards({int(device.removeprefix("gpu")): size for device, size in shares.items()})
        await engine.start()
        log.info("%s is ready: %s", engine.deployment.name, engine.state().detail)

    async def unload(self, model: str) -> None:
        """End its child."""
        if model in self.measures:
            await self.measures[model].engine.unload()

    def measured(self, model: str) -> int | None:
        """What its child has for itself, and the weights where it reads them from their file."""
        found = self.measures.get(model)
        pid = None if found is None else found.engine.state().pid
        memory = None if pid is None else process_memory(pid)
        if found is None or memory is None:
            return None
        is_packed = memory.own_bytes >= _PACKED_SHARE * found.file_bytes
        return memory.own_bytes + (0 if is_packed else min(memory.file_bytes, found.file_bytes))

    async def free(self) -> Mapping[str, int]:
        """What the system says is free."""
        return await asyncio.to_thread(self._free)

    def _free(self) -> dict[str, int]:
        free_bytes = free_memory()
        found = {PROCESSOR: free_bytes} if free_bytes else {}
        if self._has_cards:
            found |= {f"gpu{number}": card.free_bytes for number, card in enumerate(cards(Path("/")))}
        return found


class Placement:
    """The engines of ours that share memory, by deployment.

    Args:
        machine: What this machine is.
        plan: How models share memory.
        clock: On the event loop's scale.
        queued: How many wait for a slot of a deployment.
    """

    def __init__(
        self,
        *,
        machine: HardwareProfile,
        plan: MemoryPlan,
        clock: Clock,
        queued: Callable[[str], int],
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._loader = EngineLoader(has_cards=bool(machine.gpus))
        self._shared: dict[str, Shared] = {}
        self._ids: set[str] = set()
        self._models: dict[str, str] = {}
        self._made = 0
        self.placer = Placer(self._loader, devices=_devices(machine, plan), clock=clock, queued=queued)
        self.know(plan)

    def know(self, plan: MemoryPlan) -> None:
        """Take over other settings. Without a cap the one before holds: what is free now is not what models may have."""
        if plan.cap_bytes:
            self.placer.limit(PROCESSOR, plan.cap_bytes)
        self.placer.keep_s = plan.keep_s
        self.placer.rules = replace(RULES, patience_s=plan.patience_s)

    def take(self, engines: Mapping[str, Engine], plans: Mapping[str, DeploymentPlan]) -> dict[str, Engine]:
        """The engines, those of ours in the hands of the placer: none of them starts by itself any more.

        All or none: where one cannot be taken, no other has been.
        """
        fresh: dict[str, Wanted] = {}
        taken: dict[str, Engine] = {}
        try:
            for name, engine in engines.items():
                plan = plans[name]
                if isinstance(engine, LlamaEngine | OnnxEngine) and not plan.settings.base_url:
                    taken[name] = self._placed(engine, plan, fresh)
                else:
                    taken[name] = engine
        except BaseException:
            for each in taken.values():
                if isinstance(each, PlacedEngine) and self._drop(each.model, each.share) is not None:
                    del self._loader.measures[each.model]
            raise
        for model, wanted in fresh.items():
            shared = self._shared[model]
            pinned = any(each.pinned for each in shared.shares)
            fresh[model] = replace(wanted, deployments=shared.names, pinned=pinned)
        self.placer.know(fresh.values())
        self._tell_shares(each.model for each in taken.values() if isinstance(each, PlacedEngine))
        return taken

    async def load(self, engines: Collection[Engine]) -> None:
        """Load these now, where all fit beside what is there: nobody leaves for them, and they stay as others do.

        Raises:
            EngineError: One does not load.
        """
        models = {each.model for each in engines if isinstance(each, PlacedEngine)}
        entries = [entry for entry in map(self.placer.entry, models) if entry.phase is None]
        state = self.placer.state()
        held = sum(each.held.get(PROCESSOR, 0) for each in state.residents.values())
        if held + sum(each.given.need.bytes for each in entries) > state.devices[PROCESSOR].bytes_max:
            return
        for model in models:
            await self.placer.use(model, deadline_s=self._clock.monotonic_s() + _LOAD_WITHIN_S)
            self.placer.leave(model)

    def current(self, engines: Mapping[str, Engine]) -> None:
        """Which engines are in force, for who asks by a deployment's name.

        Those that were before are pinned no longer: who waits for what replaced them waits only until they are done.
        """
        placed = {name: each for name, each in engines.items() if isinstance(each, PlacedEngine)}
        self._models = {name: each.model for name, each in placed.items()}
        in_force = [each.share for each in placed.values()]
        for model, shared in self._shared.items():
            for share in shared.shares:
                share.pinned = share.pinned and share in in_force
            self._tell_shares([model])

    def admission(self, slots: Admission) -> PlacedAdmission:
        """Slots that come with their models."""
        return PlacedAdmission(slots, self.placer, models=lambda: self._models, clock=self._clock)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run as long as the gateway does."""
        return (self.placer.keep_measured(),)

    def _placed(self, engine: LlamaEngine | OnnxEngine, plan: DeploymentPlan, fresh: dict[str, Wanted]) -> PlacedEngine:
        deployment = engine.deployment
        share = Share(deployment.name, plan.pinned)
        model = self._same_load(engine)
        named = None
        if model is None:
            try:
                need, spare_bytes, file_bytes = need_of(engine, self._machine)
            except OSError as error:
                reason = f"{error.filename} cannot be read ({error.strerror})"
                raise EngineStartFailed(source=deployment.name, deployment=deployment.name, reason=reason) from error
            model = self._new_id(deployment.name)
            self._shared[model] = Shared(deployment=deployment, shares=[share])
            self._loader.measures[model] = Measure(engine=engine, file_bytes=file_bytes)
            fresh[model] = Wanted(
                id=model,
                deployments=(deployment.name,),
                model=deployment.model.name,
                need=need,
                spare_bytes=spare_bytes,
            )
        else:
            named = deployment
            shares = self._shared[model].shares
            shares.append(share)
            log.info("%s shares what %s loads: their weights are the same", deployment.name, shares[0].name)
        inner = self._loader.measures[model].engine
        kind = FingerprintedEngine if isinstance(inner, Fingerprinted) else PlacedEngine

        async def closes() -> None:
            await self._give_up(model, share)

        return kind(inner, deployment=named, placer=self.placer, model=model, share=share, closes=closes)

    def _new_id(self, name: str) -> str:
        """An id that no model ever had: one that is still on its way out must not be taken for another."""
        model = name
        while model in self._ids:
            self._made += 1
            model = f"{name}#{self._made}"
        self._ids.add(model)
        return model

    def _tell_shares(self, models: Iterable[str]) -> None:
        for model in models:
            shared = self._shared[model]
            self.placer.shared(model, shared.names, pinned=any(each.pinned for each in shared.shares))

    def _same_load(self, engine: LlamaEngine | OnnxEngine) -> str | None:
        """The model that is loaded for another deployment and does for this one: same weights, run in the same way.

        What was decided counts, not what was asked for: draft, adapters and their scales, types of caches.
        """
        deployment = engine.deployment
        for model, shared in self._shared.items():
            other = shared.deployment
            mine, their = deployment.model, other.model
            if (
                mine.digest
                and mine.digest == their.digest
                and deployment.engine == other.engine
                and _is_run_alike(engine, self._loader.measures[model].engine)
                and (mine.embeds, mine.infill, mine.reranks) == (their.embeds, their.infill, their.reranks)
                and deployment.slots <= other.slots
                and mine.context_tokens <= their.context_tokens
            ):
                return model
        return None

    def _drop(self, model: str, share: object) -> Unloads | None:
        """Take a share from a model; its engine where nobody has one any more."""
        shared = self._shared.get(model)
        if shared is None or share not in shared.shares:
            return None
        shared.shares[:] = [each for each in shared.shares if each is not share]
        if shared.shares:
            return None
        del self._shared[model]
        return self._loader.measures[model].engine

    async def _give_up(self, model: str, share: object) -> None:
        engine = self._drop(model, share)
        if engine is not None:
            await self.placer.forget(model)
            del self._loader.measures[model]
            await engine.close()
        elif model in self._shared:
            self._tell_shares([model])


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaNeed:
    """What a model of llama.cpp takes, and the parts of that.

    Attributes:
        need: What is set aside for it.
        report: The parts by the formula; its overhead holds ``spare_bytes``.
        beside_bytes: What is loaded with the model: the one that guesses, and adapters.
        spare_bytes: What comes with time only: prompts that are kept.
    """

    need: Need
    report: FitReport
    beside_bytes: int
    spare_bytes: int


def need_of(engine: LlamaEngine | OnnxEngine, machine: HardwareProfile) -> tuple[Need, int, int]:
    """What an engine takes, what of it comes with time only, and the size of its file, in bytes."""
    path = Path(engine.settings.model_path)
    file_bytes = path.stat().st_size
    if isinstance(engine, OnnxEngine):
        return Need(bytes=_ONNX_FACTOR * file_bytes + ENGINE_OVERHEAD_BYTES), 0, file_bytes
    found = llama_need(engine.settings, engine.deployment, machine)
    return found.need, found.spare_bytes, file_bytes


def llama_need(settings: LlamaSettings, deployment: Deployment, machine: HardwareProfile) -> LlamaNeed:
    """What a model of llama.cpp takes, as it is set aside when it is loaded: what is shown is what is reserved.

    Raises:
        OSError: A file cannot be read.
    """
    shape, embeds = read_header(Path(settings.model_path)).shape, deployment.model.embeds
    on_cards = settings.gpu_layers != 0 and bool(machine.gpus)
    spare_bytes = 0 if settings.program or embeds else settings.memory_mib * _MIB
    asked = Asked(
        context_tokens=deployment.model.context_tokens,
        slots=deployment.slots,
        batch_tokens=settings.batch_tokens,
        embeds=embeds,
        cache_type=settings.cache_type.value,
        prompt_cache_bytes=spare_bytes,
    )
    report = fit(shape, launch_of(asked, on_card=on_cards), machine)
    beside_bytes = sum(map(_size_bytes, _beside(settings)))
    need = Need(bytes=report.needs_bytes + beside_bytes)
    if on_cards:
        model_bytes = report.needs_bytes - report.overhead_bytes + beside_bytes
        share = 1.0 if settings.gpu_layers < 0 else min(1.0, settings.gpu_layers / max(1, shape.layers))
        card_bytes = round(share * model_bytes)
        need = Need(
            bytes=model_bytes - card_bytes + report.overhead_bytes,
            card_bytes=card_bytes,
            each_card_bytes=GPU_OVERHEAD_BYTES,
        )
    return LlamaNeed(need=need, report=report, beside_bytes=beside_bytes, spare_bytes=spare_bytes)


def _is_run_alike(one: LlamaEngine | OnnxEngine, other: Unloads) -> bool:
    """Whether two engines of the same weights run them in the same way; those may be in two files."""
    if not isinstance(other, LlamaEngine | OnnxEngine):
        return False
    path = other.settings.model_path
    return replace(one.settings, model_path=path) == other.settings


def _beside(settings: LlamaSettings) -> tuple[str, ...]:
    """What is loaded with the model: the one that guesses, and adapters."""
    draft = (settings.draft_path,) if settings.draft_path else ()
    return (*draft, *(path for path, _ in settings.adapters))


def _size_bytes(path: str) -> int:
    return Path(path).stat().st_size


def for_models_bytes(machine: HardwareProfile, plan: MemoryPlan) -> int:
    """What models may have of the processor's memory together, where a server starts now."""
    free_bytes = machine.memory_free_bytes or machine.memory_bytes or 1 << 62
    return plan.cap_bytes or max(0, free_bytes - _RESERVE_BYTES)


def _devices(machine: HardwareProfile, plan: MemoryPlan) -> dict[str, int]:
    found = {PROCESSOR: for_models_bytes(machine, plan)}
    return found | {f"gpu{number}": card.free_bytes for number, card in enumerate(machine.gpus)}
