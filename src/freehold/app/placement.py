"""Which engines share this machine's memory: what each needs, and the loader that starts and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from freehold.app.placed_engine import FingerprintedEngine, PlacedEngine, Unloads
from freehold.config.compile import DeploymentPlan, EngineSettings, MemoryPlan
from freehold.domain.deployment import Deployment
from freehold.domain.hardware import HardwareProfile
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.placement import PROCESSOR, Held, Need
from freehold.domain.ports import Admission, Clock, Engine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
from freehold.engines.onnx.engine import OnnxEngine
from freehold.hostinfo.graphics import cards
from freehold.hostinfo.memory import process_memory
from freehold.hostinfo.probe import free_memory
from freehold.planner.fit import ENGINE_OVERHEAD_BYTES, GPU_OVERHEAD_BYTES, Launch, fit
from freehold.serving.gguf import read_header
from freehold.serving.placed import Wanted
from freehold.serving.placed_admission import PlacedAdmission
from freehold.serving.placement import RULES
from freehold.serving.placing import Placer

log = logging.getLogger("freehold.app")

_MIB: Final = 1 << 20
_BATCH_TOKENS: Final = 128
_BATCH_TOKENS_ON_CARD: Final = 512
_EMBEDDING_TOKENS_MAX: Final = 2_048
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


class EngineLoader:
    """Implements ``placed.Loader`` by starting and ending engines."""

    def __init__(self, *, has_cards: bool) -> None:
        self._has_cards = has_cards
        self.measures: dict[str, Measure] = {}

    async def load(self, model: str, held: Held) -> None:
        """Start the engine where ``held`` says; it has generated a token when this returns."""
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
        self, *, machine: HardwareProfile, plan: MemoryPlan, clock: Clock, queued: Callable[[str], int]
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._loader = EngineLoader(has_cards=bool(machine.gpus))
        self._shared: dict[str, tuple[Deployment, EngineSettings, list[str]]] = {}
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
        """The engines, those of ours in the hands of the placer: none of them starts by itself any more."""
        wanted: list[Wanted] = []
        taken: dict[str, Engine] = {}
        for name, engine in engines.items():
            plan = plans[name]
            if isinstance(engine, LlamaEngine | OnnxEngine) and not plan.settings.base_url:
                taken[name] = self._placed(engine, plan, wanted)
            else:
                taken[name] = engine
        self.placer.know(wanted)
        return taken

    async def load(self, engines: Collection[Engine]) -> None:
        """Load these now, where all fit beside what is there: nobody leaves for them, and they stay as others do.

        Raises:
            EngineError: One does not load.
        """
        models = {each.model for each in engines if isinstance(each, PlacedEngine)}
        entries = [self.placer.entry(model) for model in models]
        state = self.placer.state()
        held = sum(each.held.get(PROCESSOR, 0) for each in state.residents.values())
        if held + sum(each.given.need.bytes for each in entries) > state.devices[PROCESSOR].bytes_max:
            return
        for model in models:
            await self.placer.use(model, deadline_s=self._clock.monotonic_s() + _LOAD_WITHIN_S)
            self.placer.leave(model)

    def current(self, engines: Mapping[str, Engine]) -> None:
        """Which engines are in force, for who asks by a deployment's name."""
        self._models = {name: each.model for name, each in engines.items() if isinstance(each, PlacedEngine)}

    def admission(self, slots: Admission) -> PlacedAdmission:
        """Slots that come with their models."""
        return PlacedAdmission(slots, self.placer, models=lambda: self._models, clock=self._clock)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run as long as the gateway does."""
        return (self.placer.keep_measured(),)

    def _placed(self, engine: LlamaEngine | OnnxEngine, plan: DeploymentPlan, wanted: list[Wanted]) -> PlacedEngine:
        deployment = engine.deployment
        model = self._same_load(deployment, plan.settings)
        named = None
        if model is None:
            self._made += 1
            model = deployment.name if deployment.name not in self._shared else f"{deployment.name}#{self._made}"
            need, spare_bytes, file_bytes = need_of(engine, self._machine)
            self._shared[model] = (deployment, plan.settings, [deployment.name])
            self._loader.measures[model] = Measure(engine=engine, file_bytes=file_bytes)
            wanted.append(
                Wanted(
                    id=model,
                    deployments=(deployment.name,),
                    model=deployment.model.name,
                    need=need,
                    spare_bytes=spare_bytes,
                    pinned=plan.pinned,
                )
            )
        else:
            named = deployment
            sharing = self._shared[model][2]
            sharing.append(deployment.name)
            known = [each for each in wanted if each.id == model]
            for each in known:
                shared = replace(each, deployments=tuple(sharing), pinned=each.pinned or plan.pinned)
                wanted[wanted.index(each)] = shared
            if not known:
                self.placer.shared(model, tuple(sharing), pinned=plan.pinned)
            log.info("%s shares what %s loads: their weights are the same", deployment.name, sharing[0])
        inner = self._loader.measures[model].engine
        kind = FingerprintedEngine if isinstance(inner, Fingerprinted) else PlacedEngine

        async def closes() -> None:
            await self._give_up(model, deployment.name)

        return kind(inner, deployment=named, placer=self.placer, model=model, closes=closes)

    def _same_load(self, deployment: Deployment, settings: EngineSettings) -> str | None:
        """The model that is loaded for another deployment and does for this one: same weights, run in the same way."""
        for model, (other, theirs, _) in self._shared.items():
            mine, their = deployment.model, other.model
            if (
                mine.digest
                and mine.digest == their.digest
                and theirs == settings
                and (mine.embeds, mine.infill, mine.reranks) == (their.embeds, their.infill, their.reranks)
                and deployment.slots <= other.slots
                and mine.context_tokens <= their.context_tokens
            ):
                return model
        return None

    async def _give_up(self, model: str, name: str) -> None:
        shared = self._shared.get(model)
        if shared is None or name not in shared[2]:
            return
        shared[2].remove(name)
        if shared[2]:
            return
        del self._shared[model]
        await self.placer.forget(model)
        await self._loader.measures.pop(model).engine.close()


def need_of(engine: LlamaEngine | OnnxEngine, machine: HardwareProfile) -> tuple[Need, int, int]:
    """What an engine takes, what of it comes with time only, and the size of its file, in bytes."""
    path = Path(engine.settings.model_path)
    file_bytes = path.stat().st_size
    if isinstance(engine, OnnxEngine):
        return Need(bytes=_ONNX_FACTOR * file_bytes + ENGINE_OVERHEAD_BYTES), 0, file_bytes
    settings, deployment = engine.settings, engine.deployment
    shape, embeds = read_header(path).shape, deployment.model.embeds
    on_cards = settings.gpu_layers != 0 and bool(machine.gpus)
    batch = settings.batch_tokens or (_BATCH_TOKENS_ON_CARD if on_cards else _BATCH_TOKENS)
    spare_bytes = 0 if settings.program or embeds else settings.memory_mib * _MIB
    launch = Launch(
        context_tokens=deployment.model.context_tokens,
        slots=deployment.slots,
        batch_tokens=min(deployment.model.context_tokens, _EMBEDDING_TOKENS_MAX) if embeds else batch,
        prompt_cache_bytes=spare_bytes,
        cache_type=settings.cache_type.value,
    )
    report = fit(shape, launch, machine)
    report = replace(report, weights_bytes=report.weights_bytes + sum(map(_size_bytes, _beside(settings))))
    if not on_cards:
        return Need(bytes=report.needs_bytes), spare_bytes, file_bytes
    model_bytes = report.weights_bytes + report.kv_bytes + report.compute_bytes
    share = 1.0 if settings.gpu_layers < 0 else min(1.0, settings.gpu_layers / max(1, shape.layers))
    card_bytes = round(share * model_bytes)
    need = Need(
        bytes=model_bytes - card_bytes + report.overhead_bytes,
        card_bytes=card_bytes,
        each_card_bytes=GPU_OVERHEAD_BYTES,
    )
    return need, spare_bytes, file_bytes


def _beside(settings: LlamaSettings) -> tuple[str, ...]:
    """What is loaded with the model: the one that guesses, and adapters."""
    draft = (settings.draft_path,) if settings.draft_path else ()
    return (*draft, *(path for path, _ in settings.adapters))


def _size_bytes(path: str) -> int:
    return Path(path).stat().st_size


def _devices(machine: HardwareProfile, plan: MemoryPlan) -> dict[str, int]:
    free_bytes = machine.memory_free_bytes or machine.memory_bytes or 1 << 62
    found = {PROCESSOR: plan.cap_bytes or max(0, free_bytes - _RESERVE_BYTES)}
    return found | {f"gpu{number}": card.free_bytes for number, card in enumerate(machine.gpus)}
