"""``freehold fit``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from freehold.cli import output
from freehold.cli.fit_model import Asked, asked_of
from freehold.cli.fit_oracle import ENGINE, engines_own
from freehold.cli.machine_speed import this_machine
from freehold.cli.options import Json
from freehold.config.load import data_folder
from freehold.domain.hardware import DeviceNeed, Gpu, HardwareProfile
from freehold.planner import wording
from freehold.planner.choose import launch_for
from freehold.planner.fit import fit
from freehold.planner.memory import CARD_BATCH_TOKENS, Launch
from freehold.planner.placement import MEMORY, Machine, SpreadReport, score
from freehold.planner.remedies import Remedy, Setting, remedies

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_CARDS_MAX = 64
_NOT_COUNTED = (
    "Not counted: the 256 MiB that a server sets aside besides for kept prompts, a draft and adapters, and [memory] cap;"
    ' of a model that is here "freehold models explain NAME" counts them.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What is said: how it would be started, what that takes, and what to change."""

    launch: Launch
    report: SpreadReport
    tok_per_s: tuple[float, float]
    changes: tuple[Remedy, ...]


def fit_model(
    model: str,
    /,
    *,
    ctx: int = 0,
    users: int = 0,
    gpu: str = "",
    gpu_layers: int = -1,
    cpu_moe: int = 0,
    cache: Literal["f16", "q8_0", "q4_0"] = "f16",
    as_json: Json = False,
) -> int:
    """Say what a model needs, what is free, and what to change where it does not fit. Nothing is loaded.

    A model of a hub is named hf:OWNER/REPO/FILE.gguf, or hf:OWNER/REPO for its safetensors: the beginnings of its files
    are read, nothing is fetched.

    Args:
        model: A name of the catalogue, an installed model, the path of a GGUF or safetensors file or of a folder with
            these, or a file of a hub. A projector (mmproj….gguf) beside it is counted.
        ctx: Tokens of one request, prompt and answer together. What suits this machine if not given.
        users: Requests at once. What suits this machine if not given.
        gpu: Memory of the cards it would run on, for example 24G or 24G,8G; those of this machine for "auto". The
            processor's memory if not given.
        gpu_layers: Layers on the cards, from the last one on; all of them if not given.
        cpu_moe: Of the first so many layers the experts stay in the processor's memory.
        cache: How the key-value cache is kept.
    """
    if ctx < 0 or users < 0:
        raise output.UsageError("--ctx and --users are 0, for what suits, or more.")
    asked = asked_of(model)
    profile, told = this_machine(data_folder())
    machine = Machine(profile=profile, cards=_cards(gpu, profile), projector_bytes=asked.projector_bytes)
    launch = launch_for(asked.shape, profile)
    launch = replace(launch, context_tokens=ctx or launch.context_tokens, slots=users or launch.slots, cache_type=cache)
    if machine.cards:
        launch = replace(launch, batch_tokens=CARD_BATCH_TOKENS)
    _check_layers(asked, machine, gpu_layers=gpu_layers, cpu_moe=cpu_moe)
    setting = Setting(
        shape=asked.shape, launch=launch, host_expert_layers=cpu_moe, layers=None if gpu_layers < 0 else gpu_layers
    )
    answer = _answer(asked, setting, machine)
    if as_json:
        output.print_json({**_json(model, answer), "speed_source": told})
    else:
        output.say(_text(answer))
        if not machine.cards:
            output.say(f"  {told}")
        output.say(_NOT_COUNTED)
    return output.OK if answer.report.fits else output.FAILED


def _check_layers(asked: Asked, machine: Machine, *, gpu_layers: int, cpu_moe: int) -> None:
    layers = asked.shape.layers
    if not -1 <= gpu_layers <= layers or not 0 <= cpu_moe <= layers:
        raise output.UsageError(f"--gpu-layers and --cpu-moe are 0 to {layers}, the layers of this model.")
    if not machine.cards and (gpu_layers > 0 or cpu_moe):
        raise output.UsageError("--gpu-layers and --cpu-moe are about cards; say which with --gpu.")
    if cpu_moe and not any(asked.shape.expert_bytes):
        raise output.UsageError(
            "--cpu-moe: nothing says how large the experts of this model are, if it has any: name its file, or"
            " hf:OWNER/REPO/FILE.gguf, whose header says it."
        )


def _answer(asked: Asked, setting: Setting, machine: Machine) -> _Answer:
    report = score(
        setting.shape,
        setting.launch,
        machine,
        host_expert_layers=setting.host_expert_layers,
        layers=setting.layers,
    )
    told = engines_own(asked.path, setting.launch) if asked.path is not None and not machine.cards else None
    if told is not None:
        # Cache and buffers as the engine says; so what is not known of the layers is no matter any more.
        (host,) = report.needs
        told_host = replace(host, kv_bytes=told[0], compute_bytes=told[1])
        report = replace(report, needs=(told_host,), source=ENGINE, unknown="")
    speeds = (0.0, 0.0)
    if not machine.cards:
        timed = fit(setting.shape, setting.launch, machine.profile)
        speeds = (timed.tok_per_s_low, timed.tok_per_s_high)
    known = replace(setting, shape=replace(setting.shape, unknown=report.unknown))
    changes = () if report.margin_bytes >= 0 else remedies(known, machine, parameters=asked.parameters)
    return _Answer(launch=setting.launch, report=report, tok_per_s=speeds, changes=changes)


def _cards(gpu: str, profile: HardwareProfile) -> tuple[Gpu, ...]:
    if not gpu:
        return ()
    if gpu == "auto":
        if not profile.gpus:
            raise output.UsageError("--gpu auto: no card was found on this machine; say how much one has: --gpu 24G.")
        return profile.gpus
    sizes = gpu.split(",")
    if len(sizes) > _CARDS_MAX:
        raise output.UsageError(f"--gpu names {len(sizes)} cards, at most {_CARDS_MAX} are taken.")
    return tuple(_card(each.strip(), number if len(sizes) > 1 else 0) for number, each in enumerate(sizes, 1))


def _card(text: str, number: int) -> Gpu:
    size, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "G")
    try:
        size_bytes = round(float(size) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise output.UsageError(f"--gpu is {text!r}; it is a size such as 24G, several as 24G,8G, or auto.") from None
    if size_bytes <= 0:
        raise output.UsageError(f"--gpu is {text!r}; a card has some memory.")
    # As it was typed: 24G is what makers print on a card, which is 25.8 GB as bytes are counted here.
    typed = f"{size} {unit}iB" if unit else f"{size_bytes:,} bytes"
    name = f"card {number} with {typed}" if number else f"a card with {typed}"
    return Gpu(name=name, vram_bytes=size_bytes, free_bytes=size_bytes)


def _tightest(report: SpreadReport) -> DeviceNeed:
    return min(report.needs, key=lambda each: each.margin_bytes)


def _json(model: str, answer: _Answer) -> dict[str, object]:
    low, high = answer.tok_per_s
    return {
        "model": model,
        **_report_json(answer.launch, answer.report),
        "tok_per_s_low": round(low, 1) or None,
        "tok_per_s_high": round(high, 1) or None,
        "changes": [{"text": each.text, **_report_json(each.launch, each.report)} for each in answer.changes],
    }


def _report_json(launch: Launch, report: SpreadReport) -> dict[str, object]:
    """The numbers of the device that has the least left, and those of each."""
    tightest = _tightest(report)
    return {
        "fits": report.fits,
        "source": report.source,
        "unknown": report.unknown or None,
        "slots": launch.slots,
        "context_tokens": launch.context_tokens,
        **_device_json(tightest),
        "host_expert_layers": report.placement.host_expert_layers,
        "devices": [_device_json(each) for each in report.needs],
    }


def _device_json(need: DeviceNeed) -> dict[str, object]:
    return {
        "device": need.device,
        "layers": need.layers,
        "weights_bytes": need.weights_bytes,
        "kv_bytes": need.kv_bytes,
        "compute_bytes": need.compute_bytes,
        "projector_bytes": need.projector_bytes,
        "overhead_bytes": need.overhead_bytes,
        "needs_bytes": need.needs_bytes,
        "free_bytes": need.free_bytes,
        "margin_bytes": need.margin_bytes,
    }


def _text(answer: _Answer) -> str:
    launch, report = answer.launch, answer.report
    lines = [f"{_verdict(report)} ({_source(report)}); {wording.speed_of(*answer.tok_per_s)}."]
    for need in report.needs:
        if need.device == MEMORY and report.placement.layers_on_cards and not need.weights_bytes:
            continue
        if len(report.needs) > 1:
            name = "this machine's memory" if need.device == MEMORY else need.device
            lines.append(f"{name}, {need.layers} layers:")
        lines += _parts(launch, need)
    if report.placement.layers_on_cards and len(report.needs) > 2:
        split = ", ".join(map(str, report.placement.card_layers))
        lines.append(f"Layers over the cards: tensor_split = [{split}]")
    if report.margin_bytes < 0:
        nothing = "Nothing but a smaller model helps." if not report.unknown else f"And {report.unknown}."
        lines.append("To make it fit:" if answer.changes else nothing)
        lines += [f"  {each.text}: {_needs(each.report)}" for each in answer.changes]
    return "\n".join(lines)


def _verdict(report: SpreadReport) -> str:
    if report.margin_bytes < 0:
        return "It does not fit"
    return f"Whether it fits cannot be told: {report.unknown}" if report.unknown else "It fits"


def _source(report: SpreadReport) -> str:
    if report.source == ENGINE:
        return "cache and buffers as llama.cpp says, which allocated nothing"
    return "by the closed form"


def _needs(report: SpreadReport) -> str:
    """What each device that matters then needs."""
    tightest = _tightest(report)
    text = f"needs {wording.size(tightest.needs_bytes)}, {wording.size(tightest.free_bytes)} is free"
    return text if len(report.needs) == 1 else f"{text} in {tightest.device}"


def _parts(launch: Launch, need: DeviceNeed) -> list[str]:
    parts = (
        ("weights", need.weights_bytes),
        (f"key-value cache ({launch.slots} x {launch.context_tokens} tokens, {launch.cache_type})", need.kv_bytes),
        ("compute buffers", need.compute_bytes),
        *((("projector", need.projector_bytes),) if need.projector_bytes else ()),
        ("engine" if need.device == MEMORY else "its runtime", need.overhead_bytes),
        ("needs", need.needs_bytes),
        ("free", need.free_bytes),
        ("margin", need.margin_bytes),
    )
    width = max(len(name) for name, _ in parts)
    return [f"  {name:{width}}  {wording.size(size):>9}" for name, size in parts]
