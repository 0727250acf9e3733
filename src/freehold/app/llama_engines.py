"""Engines that run llama.cpp: options decided for this machine, model, draft and adapters checked, then the engine."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.config.compile import DeploymentPlan
from freehold.domain.deployment import Deployment, EngineKind, ModelCard
from freehold.domain.engine_options import Adapter, EngineOptions, Speculation
from freehold.domain.errors.model_versions import AdapterUnsigned, SignatureMissing
from freehold.domain.hardware import HardwareProfile
from freehold.domain.ports import Clock, IdSource
from freehold.domain.speculation import SpeculationKey
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
from freehold.net.broker import Broker
from freehold.planner.options import Decided, Wanted, decide
from freehold.serving.adapters import VerifiedAdapter, verify_adapter
from freehold.serving.checked_files import CheckedFiles
from freehold.serving.drafts import check_draft
from freehold.serving.registry import ModelRegistry, VerifiedModel
from freehold.serving.verdicts import read_verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A deployment whose files were checked and whose options were decided.

    Attributes:
        deployment: As the files describe it.
        verified: Its model.
        draft: The model that may guess; ``None`` where none is set.
        adapters: Its adapters.
        decided: How it is run, and why.
    """

    deployment: Deployment
    verified: VerifiedModel
    draft: VerifiedModel | None
    adapters: tuple[VerifiedAdapter, ...]
    decided: Decided


def llama_engine(
    plan: DeploymentPlan,
    *,
    models: ModelRegistry,
    broker: Broker,
    clock: Clock,
    ids: IdSource,
    machine: HardwareProfile,
) -> LlamaEngine:
    """The engine of a deployment; nothing is started or called yet. May read whole files: blocks.

    Raises:
        ModelError: Its model is not here, or its file is not what it should be.
        EngineStartFailed: Its draft or an adapter is not for this model.
    """
    settings, files = plan.settings, None
    if settings.base_url:
        own, deployment = (
            LlamaSettings(
                base_url=settings.base_url,
                credential=settings.credential,
                ca_file=settings.ca_file,
                prompt_cache=settings.prompt_cache,
            ),
            plan.deployment,
        )
    else:
        prepared = prepare_llama(plan, models=models, machine=machine)
        own, deployment = settings_of(plan, prepared), prepared.deployment
        files = CheckedFiles(
            _files(prepared),
            digests=models.shelf.digests,
            deployment=deployment.name,
            vouched=lambda: _check_signed(plan, prepared, models),
        )
    return LlamaEngine(
        deployment=deployment,
        settings=own,
        broker=broker,
        clock=clock,
        ids=ids,
        cores=machine.cores,
        cpu_flags=machine.cpu_flags,
        files=files,
    )


def prepare_llama(plan: DeploymentPlan, *, models: ModelRegistry, machine: HardwareProfile) -> Prepared:
    """Check a deployment's files, and decide how it is run. Raises as ``llama_engine``."""
    name, options = plan.deployment.name, plan.settings.options
    verified = models.load(plan.deployment.model.name)
    draft = models.load(options.draft_model) if options.draft_model else None
    if draft is not None:
        check_draft(
            draft.model.path,
            verified.model.path,
            draft_name=options.draft_model,
            model_name=plan.deployment.model.name,
            deployment=name,
        )
    adapters = tuple(
        verify_adapter(
            each,
            model_path=verified.model.path,
            model_name=plan.deployment.model.name,
            deployment=name,
            digests=models.shelf.digests,
        )
        for each in options.adapters
    )
    _check_vouched(options.adapters, adapters, models)
    deployment = _described_by_file(plan, verified.card, adapters)
    wanted = _wanted(plan, deployment, verified, draft, machine)
    decided = decide(wanted, machine, read_verdicts(models.folder.parent))
    return Prepared(deployment=deployment, verified=verified, draft=draft, adapters=adapters, decided=decided)


def _check_vouched(asked: Sequence[Adapter], found: Sequence[VerifiedAdapter], models: ModelRegistry) -> None:
    """Where signatures are asked for an adapter, which can have none, needs a digest in the configuration.

    Raises:
        AdapterUnsigned: One has none.
    """
    for adapter, verified in zip(asked, found, strict=True):
        if adapter.sha256:
            continue
        try:
            models.trust.check("", "", name=adapter.name)
        except SignatureMissing as error:
            raise AdapterUnsigned(path=adapter.path, found=verified.adapter.sha256) from error


def _check_signed(plan: DeploymentPlan, prepared: Prepared, models: ModelRegistry) -> None:
    """Ask for the signatures of what is loaded, by who is trusted now.

    Raises:
        ModelError: One is wrong, or missing.
    """
    for each in _models(prepared):
        models.check_signed(each.model)
    _check_vouched(plan.settings.options.adapters, prepared.adapters, models)


def digest_with(model_digest: str, adapters: Sequence[Adapter]) -> str:
    """The digest of a model with its adapters: SHA-256 of its own one and a line ``sha256:HEX@SCALE`` for each.

    Its beginning differs from the model's, since people and names go by that. Without adapters it is the model's.
    """
    if not adapters:
        return model_digest
    lines = [model_digest, *(f"sha256:{each.sha256}@{each.told_scale}" for each in adapters)]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def speculation_keys(
    verified: VerifiedModel, draft: VerifiedModel | None, machine: HardwareProfile, *, options: EngineOptions
) -> tuple[SpeculationKey, ...]:
    """What a verdict of guessing has to be for to hold here: by the draft where there is one, and by lookup."""
    plain = SpeculationKey(
        processor=f"{machine.cpu_name}, {machine.cores} cores",
        engine="xllamacpp " + importlib.metadata.version("xllamacpp"),
        model_sha256=verified.model.sha256,
        kind=Speculation.LOOKUP,
        draft_tokens=options.draft_tokens,
    )
    if draft is None:
        return (plain,)
    return (replace(plain, kind=Speculation.DRAFT, draft_sha256=draft.model.sha256), plain)


def _wanted(
    plan: DeploymentPlan,
    deployment: Deployment,
    verified: VerifiedModel,
    draft: VerifiedModel | None,
    machine: HardwareProfile,
) -> Wanted:
    settings = plan.settings
    is_embedded = deployment.engine is EngineKind.EMBEDDED
    return Wanted(
        shape=verified.header.shape,
        quantisation=verified.header.quantisation,
        context_tokens=deployment.model.context_tokens,
        slots=deployment.slots,
        threads=settings.threads,
        batch_tokens=settings.batch_tokens,
        gpu_layers=settings.gpu_layers,
        embeds=deployment.model.embeds,
        is_embedded=is_embedded,
        options=settings.options,
        keys=speculation_keys(verified, draft, machine, options=settings.options) if is_embedded else (),
        draft_bytes=0 if draft is None else draft.model.size_bytes,
    )


def settings_of(plan: DeploymentPlan, prepared: Prepared) -> LlamaSettings:
    """How the engine of a prepared deployment is run."""
    settings, decided = plan.settings, prepared.decided
    draft = prepared.draft.model if decided.speculation is Speculation.DRAFT and prepared.draft is not None else None
    return LlamaSettings(
        model_path=str(prepared.verified.model.path),
        program=settings.program,
        threads=settings.threads,
        batch_tokens=settings.batch_tokens,
        gpu_layers=settings.gpu_layers,
        tensor_split=settings.options.tensor_split,
        cache_type=decided.cache_type,
        flash_attention=decided.flash_attention,
        speculation=decided.speculation,
        draft_path="" if draft is None else str(draft.path),
        draft_digest="" if draft is None else draft.digest,
        draft_tokens=settings.options.draft_tokens,
        adapters=tuple((each.adapter.path, each.adapter.scale) for each in prepared.adapters),
        prompt_cache=settings.prompt_cache,
    )


def _models(prepared: Prepared) -> list[VerifiedModel]:
    """The models that the engine is loaded from; the draft only where it guesses."""
    if prepared.decided.speculation is Speculation.DRAFT and prepared.draft is not None:
        return [prepared.verified, prepared.draft]
    return [prepared.verified]


def _files(prepared: Prepared) -> dict[Path, str]:
    """What the engine is loaded from, with the digests that were right."""
    adapters = {Path(each.adapter.path): each.adapter.sha256 for each in prepared.adapters}
    return {each.model.path: each.model.sha256 for each in _models(prepared)} | adapters


def _described_by_file(plan: DeploymentPlan, card: ModelCard, adapters: tuple[VerifiedAdapter, ...]) -> Deployment:
    """What the file says of the model, except for what the configuration states; never more context than it has.

    Adapters are part of the name and of the digest: receipts tell them, and nothing that was calibrated without them holds.
    """
    said = plan.deployment.model
    names = [said.name, *(f"{each.adapter.name}@{each.adapter.told_scale}" for each in adapters)]
    model = replace(
        card,
        name="+".join(names),
        digest=digest_with(card.digest, [each.adapter for each in adapters]),
        weights_digest=card.digest if adapters else "",
        context_tokens=min(said.context_tokens, card.context_tokens),
        vision=False,
        **{name: getattr(said, name) for name in plan.said},
    )
    return replace(plan.deployment, model=model)
