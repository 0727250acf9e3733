"""Option sets of ``freehold bench``, started as real engines beside each other, and the verdict that they allow."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from freehold.app.llama_engines import llama_engine, prepare_llama, speculation_keys
from freehold.config.compile import DeploymentPlan, EngineSettings
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, PromptCache, Terms
from freehold.domain.engine_options import Adapter, CacheType, EngineOptions, Speculation
from freehold.domain.errors.model import ModelDoesNotFit
from freehold.domain.hardware import HardwareProfile
from freehold.domain.speculation import SpeculationVerdict
from freehold.domain.zones import DEVICE
from freehold.engines.llama.engine import LlamaEngine
from freehold.evals.side_by_side import Contestant, Row
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.hostinfo.processes import ProcessUsage, usage_of
from freehold.net.broker import Broker
from freehold.planner import wording
from freehold.serving.registry import ModelRegistry

PLAIN: Final = "plain"
_NUMBERS: Final = ("threads", "context", "batch", "gpu_layers", "draft_tokens")
_Word = TypeVar("_Word", CacheType, Speculation)
_KNOWN: Final = ("model", "kv", "flash", "draft", "speculation", "adapter", *_NUMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One set of options.

    Attributes:
        name: As it was written.
        plan: How it is run.
    """

    name: str
    plan: DeploymentPlan


@dataclass(slots=True, kw_only=True)
class Running:
    """Variants that run.

    Attributes:
        variants: Which, in order.
        contestants: Their engines, in the same order.
    """

    variants: tuple[Variant, ...]
    contestants: list[Contestant] = field(default_factory=list[Contestant])


def plain_plan(model: str, *, context_tokens: int, guesses: bool = False) -> DeploymentPlan:
    """A deployment of a model that no configuration names, as it would be by default.

    Args:
        model: Its reference.
        context_tokens: Of one request.
        guesses: Whether it may guess tokens where that was measured to pay.
    """
    return DeploymentPlan(
        deployment=Deployment(
            name=PLAIN,
            engine=EngineKind.EMBEDDED,
            model=ModelCard(name=model, context_tokens=context_tokens),
            zone=DEVICE,
            terms=Terms(),
            slots=1,
        ),
        settings=EngineSettings(
            base_url="",
            credential="",
            ca_file="",
            program="",
            threads=0,
            batch_tokens=0,
            gpu_layers=0,
            prompt_cache=PromptCache.UNUSED,
            options=EngineOptions(speculation=Speculation.AUTO if guesses else Speculation.OFF),
        ),
        said=frozenset(),
    )


def varied(base: DeploymentPlan, text: str) -> Variant:
    """``base`` with options as they are written after ``--with``: ``kv=q8_0,flash=on``.

    Raises:
        ValueError: An option or a value is none; the message says which and what there is.
    """
    changed = dict(_pair(part) for part in text.split(","))
    numbers = {name: _number(name, value) for name, value in changed.items() if name in _NUMBERS}
    settings, model = base.settings, base.deployment.model
    settings = replace(
        settings,
        threads=numbers.get("threads", settings.threads),
        batch_tokens=numbers.get("batch", settings.batch_tokens),
        gpu_layers=numbers.get("gpu_layers", settings.gpu_layers),
        options=_options(settings.options, changed, numbers),
    )
    model = replace(
        model,
        name=changed.get("model", model.name),
        context_tokens=numbers.get("context", model.context_tokens),
    )
    deployment = replace(base.deployment, name=text, model=model)
    return Variant(name=text, plan=replace(base, deployment=deployment, settings=settings))


def _options(options: EngineOptions, changed: Mapping[str, str], numbers: Mapping[str, int]) -> EngineOptions:
    for name, value in changed.items():
        match name:
            case "kv":
                options = replace(options, cache_type=_word(CacheType, name, value))
            case "flash":
                options = replace(options, flash_attention=_flag(name, value))
            case "draft":
                options = replace(options, draft_model=value, speculation=Speculation.DRAFT)
            case "speculation":
                options = replace(options, speculation=_word(Speculation, name, value))
            case "adapter":
                options = replace(options, adapters=(Adapter(name=Path(value).stem, path=str(Path(value).absolute())),))
            case _:
                pass
    if options.speculation is Speculation.DRAFT and not options.draft_model:
        raise ValueError("speculation=draft needs a draft=MODEL")
    return replace(options, draft_tokens=numbers.get("draft_tokens", options.draft_tokens))


def _number(name: str, value: str) -> int:
    if not value.removeprefix("-").isdigit():
        raise ValueError(f"{name} is {value!r}; it is a number")
    return int(value)


def _pair(part: str) -> tuple[str, str]:
    name, sign, value = part.strip().partition("=")
    if not sign or not value or name not in _KNOWN:
        raise ValueError(f"{part.strip()!r} is no option; write one of {', '.join(f'{each}=…' for each in _KNOWN)}")
    return name, value


def _word(kind: type[_Word], name: str, value: str) -> _Word:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join(each.value for each in kind)}") from None


def _flag(name: str, value: str) -> bool:
    if value not in {"on", "off"}:
        raise ValueError(f"{name} is {value!r}; it is on or off")
    return value == "on"


@contextlib.asynccontextmanager
async def running(
    variants: Sequence[Variant],
    *,
    models: ModelRegistry,
    machine: HardwareProfile,
    clock: SystemClock,
    starting: Callable[[str], None] = lambda _name: None,
) -> AsyncGenerator[Running]:
    """Start every variant beside the others; end them with the context.

    Raises:
        ModelError: A model is not here, or all of them together do not fit.
        EngineStartFailed: One did not start.
    """
    needs_bytes = 0
    for each in variants:
        needs_bytes += prepare_llama(each.plan, models=models, machine=machine).decided.report.needs_bytes
    if machine.memory_free_bytes and needs_bytes > machine.memory_free_bytes:
        needs, free = wording.size(needs_bytes), wording.size(machine.memory_free_bytes)
        raise ModelDoesNotFit(name=f"{len(variants)} at once", needs=needs, free=free)
    broker = Broker(clock=clock, permit_key=secrets.token_bytes(32))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        found = Running(variants=tuple(variants))
        for each in variants:
            starting(each.name)
            engine = llama_engine(
                each.plan, models=models, broker=broker, clock=clock, ids=SystemIds(clock), machine=machine
            )
            stack.push_async_callback(engine.close)
            await engine.start()
            found.contestants.append(Contestant(name=each.name, engine=engine, usage=_usage(engine)))
        yield found


def _usage(engine: LlamaEngine) -> Callable[[], ProcessUsage | None]:
    def usage() -> ProcessUsage | None:
        pid = engine.process_id
        return None if pid is None else usage_of(pid)

    return usage


def verdicts_of(
    variants: Sequence[Variant],
    rows: Sequence[Row],
    *,
    models: ModelRegistry,
    machine: HardwareProfile,
    unix_ms: int,
) -> tuple[SpeculationVerdict, ...]:
    """What the rows say of guessing: of each variant that differs from the first one in nothing else."""
    first, found = variants[0], list[SpeculationVerdict]()
    if first.plan.settings.options.speculation is not Speculation.OFF:
        return ()
    for variant, row in zip(variants[1:], rows[1:], strict=True):
        options = variant.plan.settings.options
        kind = options.speculation
        if kind not in {Speculation.DRAFT, Speculation.LOOKUP} or not _only_guesses(first.plan, variant.plan):
            continue
        prepared = prepare_llama(variant.plan, models=models, machine=machine)
        keys = speculation_keys(prepared.verified, prepared.draft, machine, options=options)
        found.append(
            SpeculationVerdict(
                key=next(key for key in keys if key.kind is kind),
                tokens_per_cpu_s=row.tok_per_cpu_s,
                plain_tokens_per_cpu_s=rows[0].tok_per_cpu_s,
                same_answers=row.same == row.answers,
                prompts=row.answers,
                measured_unix_ms=unix_ms,
            )
        )
    return tuple(found)


def _only_guesses(first: DeploymentPlan, other: DeploymentPlan) -> bool:
    """Whether two differ in nothing but who guesses tokens."""
    plain, changed = (
        replace(each.settings.options, speculation=Speculation.OFF, draft_model="", draft_tokens=0)
        for each in (first, other)
    )
    return (
        replace(other.settings, options=changed) == replace(first.settings, options=plain)
        and first.deployment.model == other.deployment.model
    )
