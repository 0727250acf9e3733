"""Engines from configuration: which class serves a deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from freehold.app.llama_engines import llama_engine
from freehold.config.compile import DeploymentPlan
from freehold.domain.deployment import EngineKind, Upstream
from freehold.domain.hardware import HardwareProfile
from freehold.domain.ports import Clock, Engine, IdSource
from freehold.engines.anthropic import AnthropicEngine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.onnx.engine import OnnxEngine
from freehold.engines.onnx.settings import OnnxSettings
from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.net.broker import Broker
from freehold.serving.registry import ModelRegistry


class EngineParts(Protocol):
    """What engines are built from: the stores of a gateway, or what a command has of them."""

    @property
    def models(self) -> ModelRegistry:
        """The models of this machine."""
        ...

    @property
    def broker(self) -> Broker:
        """The way out."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def ids(self) -> IdSource:
        """Where new ids come from."""
        ...


def build_engine(plan: DeploymentPlan, stores: EngineParts, machine: HardwareProfile) -> Engine:
    """The engine of one deployment; nothing is started or called yet. May read a whole model file: blocks.

    Raises:
        ModelError: Its model is not here, or its file is not what it should be.
    """
    deployment, settings = plan.deployment, plan.settings
    if deployment.engine is EngineKind.ONNX:
        return _onnx(plan, stores, machine)
    if deployment.engine in {EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER}:
        return _llama(plan, stores, machine)
    remote = AnthropicEngine if deployment.engine is EngineKind.ANTHROPIC else OpenAICompatibleEngine
    upstream = Upstream(
        base_url=settings.base_url,
        credential=settings.credential,
        ca_file=settings.ca_file,
        prompt_cache=settings.prompt_cache,
    )
    return remote(deployment=deployment, upstream=upstream, broker=stores.broker, clock=stores.clock)


def _llama(plan: DeploymentPlan, stores: EngineParts, machine: HardwareProfile) -> LlamaEngine:
    return llama_engine(
        plan, models=stores.models, broker=stores.broker, clock=stores.clock, ids=stores.ids, machine=machine
    )


def _onnx(plan: DeploymentPlan, stores: EngineParts, machine: HardwareProfile) -> OnnxEngine:
    deployment = plan.deployment
    verified = stores.models.load_onnx(deployment.model.name)
    card = verified.card
    model = replace(card, context_tokens=min(deployment.model.context_tokens, card.context_tokens))
    return OnnxEngine(
        deployment=replace(deployment, model=model),
        settings=OnnxSettings(
            model_path=str(verified.model.path),
            tokenizer_path=str(verified.tokenizer),
            pooling=verified.pooling,
            threads=plan.settings.threads,
        ),
        clock=stores.clock,
        cores=machine.cores,
        files=stores.models.checked_files(verified.model, of=deployment.name),
    )
