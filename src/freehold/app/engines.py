"""Engines from configuration: which class serves a deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from freehold.config.compile import DeploymentPlan
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Upstream
from freehold.domain.hardware import HardwareProfile
from freehold.domain.ports import Clock, Engine, IdSource
from freehold.engines.anthropic import AnthropicEngine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
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
        """Ids."""
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
    settings, deployment, model_path = plan.settings, plan.deployment, ""
    if not settings.base_url:
        verified = stores.models.load(deployment.model.name)
        deployment, model_path = _described_by_file(plan, verified.card), str(verified.model.path)
    return LlamaEngine(
        deployment=deployment,
        settings=LlamaSettings(
            model_path=model_path,
            program=settings.program,
            base_url=settings.base_url,
            credential=settings.credential,
            ca_file=settings.ca_file,
            threads=settings.threads,
            batch_tokens=settings.batch_tokens,
            gpu_layers=settings.gpu_layers,
            prompt_cache=settings.prompt_cache,
        ),
        broker=stores.broker,
        clock=stores.clock,
        ids=stores.ids,
        cores=machine.cores,
        cpu_flags=machine.cpu_flags,
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
    )


def _described_by_file(plan: DeploymentPlan, card: ModelCard) -> Deployment:
    """What the file says of the model, except for what the configuration states; never more context than it has."""
    said = plan.deployment.model
    model = replace(
        card,
        name=said.name,
        context_tokens=min(said.context_tokens, card.context_tokens),
        vision=False,
        **{name: getattr(said, name) for name in plan.said},
    )
    return replace(plan.deployment, model=model)
