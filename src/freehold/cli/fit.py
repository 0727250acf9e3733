"""``freehold fit``."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from freehold.cli import output
from freehold.cli.jailed_child import asked_in_jail
from freehold.cli.machine_speed import this_machine
from freehold.cli.models import fit_json
from freehold.cli.options import Json
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.domain.hardware import FitReport, Gpu, HardwareProfile, ModelShape
from freehold.planner import wording
from freehold.planner.choose import launch_for
from freehold.planner.fit import Launch, fit
from freehold.planner.remedies import remedies
from freehold.serving.gguf import read_header

_TIMEOUT_S = 30.0
_MIB = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_ENGINE = "llama.cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked about: the numbers of its header, and its file where it is here."""

    shape: ModelShape
    path: Path | None


def fit_model(
    model: str,
    /,
    *,
    ctx: int = 0,
    users: int = 0,
    gpu: str = "",
    cache: Literal["f16", "q8_0"] = "f16",
    as_json: Json = False,
) -> int:
    """Say what a model needs, what is free, and what to change where it does not fit. Nothing is loaded.

    Args:
        model: A name of the catalogue, an installed model, or the path of a GGUF file.
        ctx: Tokens of one request, prompt and answer together. What suits this machine if not given.
        users: Requests at once. What suits this machine if not given.
        gpu: Memory of the card it would run on, for example 24G; the first card of this machine for "auto". The
            processor's memory if not given.
        cache: How the key-value cache is kept.
    """
    if ctx < 0 or users < 0:
        raise output.UsageError("--ctx and --users are above 0.")
    asked = _asked(model)
    profile, told = this_machine(data_folder())
    launch = launch_for(asked.shape, profile)
    launch = replace(launch, context_tokens=ctx or launch.context_tokens, slots=users or launch.slots, cache_type=cache)
    card = _card(gpu, profile)
    report = _report(asked, launch, profile, card)
    changes = () if report.fits else remedies(asked.shape, launch, profile, gpu=card)
    if as_json:
        output.print_json(
            {
                "model": model,
                **fit_json(launch, report),
                "margin_bytes": report.margin_bytes,
                "source": report.source,
                "speed_source": told,
                "changes": [{"text": each.text, **fit_json(each.launch, each.report)} for each in changes],
            }
        )
        return output.OK if report.fits else output.FAILED
    output.say(_text(launch, report))
    if card is None:
        output.say(f"  {told}")
    if not report.fits:
        output.say("To make it fit:" if changes else "Nothing but a smaller model, or a stronger quantisation, helps.")
        for each in changes:
            output.say(f"  {each.text}: {wording.needs(each.report)}")
    return output.OK if report.fits else output.FAILED


def _asked(model: str) -> _Asked:
    registry = registry_of(data_folder())
    if model.endswith(".gguf") and not model.startswith("hf:"):
        return _Asked(shape=read_header(model).shape, path=Path(model).resolve())
    installed = registry.find(model)
    entry = registry.catalogue.entries.get(model)
    if installed is None and entry is None:
        installed = registry.resolve(model)
    if installed is not None and installed.tokenizer is None:
        return _Asked(shape=read_header(installed.path).shape, path=installed.path)
    if entry is None or entry.onnx is not None:
        raise output.UsageError(f"{model} is no model that writes; what embeds or ranks needs what its file has.")
    return _Asked(shape=entry.model_shape, path=None)


def _card(gpu: str, profile: HardwareProfile) -> Gpu | None:
    if not gpu:
        return None
    if gpu == "auto":
        if not profile.gpus:
            raise output.UsageError("--gpu auto: no card was found on this machine; say how much one has: --gpu 24G.")
        return profile.gpus[0]
    number, unit = (gpu[:-1], gpu[-1:].upper()) if gpu[-1:].isalpha() else (gpu, "G")
    try:
        size_bytes = round(float(number) * _UNITS[unit])
    except (ValueError, KeyError):
        raise output.UsageError(f"--gpu is {gpu!r}; it is a size such as 24G, or auto.") from None
    if size_bytes <= 0:
        raise output.UsageError(f"--gpu is {gpu!r}; a card has some memory.")
    return Gpu(name=f"a card with {wording.size(size_bytes)}", vram_bytes=size_bytes, free_bytes=size_bytes)


def _report(asked: _Asked, launch: Launch, profile: HardwareProfile, card: Gpu | None) -> FitReport:
    """By the engine's own answer where its file is here and the processor runs it, by the closed form else."""
    report = fit(asked.shape, launch, profile, gpu=card)
    told = _engines_own(asked.path, launch) if asked.path is not None and card is None else None
    if told is None:
        return report
    return replace(report, kv_bytes=told[0], compute_bytes=told[1], source=_ENGINE)


def _engines_own(path: Path, launch: Launch) -> tuple[int, int] | None:
    """Cache and buffers in bytes, as llama.cpp says without allocating them; ``None`` where it does not say.

    Weights are taken from the header: those that it packs anew for the processor it does not count.
    """
    ask = {
        "tokens": launch.context_tokens * launch.slots,
        "slots": launch.slots,
        "batch_tokens": launch.batch_tokens,
        "cache_type": launch.cache_type,
        "flash_attention": launch.flash_attention,
    }
    try:
        lines = asked_in_jail(
            "freehold.engines.llama.size_worker",
            timeout_s=_TIMEOUT_S,
            readable=[str(path), str(path.parent)],
            path=str(path),
            asks=[ask],
        )
        (rows,) = json.loads(lines[1])
        sums = [sum(row[name] for row in rows) * _MIB for name in ("context_mib", "compute_mib")]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError, TypeError):
        return None
    return (sums[0], sums[1]) if rows else None


def _text(launch: Launch, report: FitReport) -> str:
    parts = (
        ("weights", report.weights_bytes),
        (f"key-value cache ({launch.slots} x {launch.context_tokens} tokens, {launch.cache_type})", report.kv_bytes),
        ("compute buffers", report.compute_bytes),
        ("engine", report.overhead_bytes),
        ("needs", report.needs_bytes),
        ("free", report.free_bytes),
        ("margin", report.margin_bytes),
    )
    width = max(len(name) for name, _ in parts)
    lines = [f"  {name:{width}}  {wording.size(size):>9}" for name, size in parts]
    asked = (
        "cache and buffers as llama.cpp says, which allocated nothing"
        if report.source == _ENGINE
        else "by the closed form"
    )
    verdict = "It fits" if report.fits else "It does not fit"
    return "\n".join([f"{verdict} ({asked}); {wording.speed(report)}.", *lines])
