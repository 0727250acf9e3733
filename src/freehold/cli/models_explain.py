"""``freehold models explain``."""

from __future__ import annotations

from freehold.app.benched import plain_plan
from freehold.app.llama_engines import Prepared, prepare_llama, settings_of
from freehold.app.placement import LlamaNeed, for_models_bytes, llama_need
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import trusted_registry
from freehold.config.compile import Compiled, DeploymentPlan, MemoryPlan
from freehold.domain.deployment import EngineKind
from freehold.domain.hardware import HardwareProfile
from freehold.hostinfo.probe import probe
from freehold.planner import wording

_CONTEXT_TOKENS = 4_096


def explain(name: str, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show how a model is run on this machine: each option and why, and what memory a server sets aside.

    Nothing is started.

    Args:
        name: A deployment of the configuration, an installed model, or the path of a GGUF file.
    """
    compiled = compiled_or_default(config)
    plan, machine = _plan(name, compiled), probe(measure=True)
    found = prepare_llama(plan, models=trusted_registry(config), machine=machine)
    reasons = found.decided.reasons
    needed = llama_need(settings_of(plan, found), found.deployment, machine)
    room_bytes = for_models_bytes(machine, compiled.memory)
    if as_json:
        output.print_json(
            {
                "name": name,
                "model": found.deployment.model.name,
                "digest": found.deployment.model.digest,
                "options": [
                    {"name": each.name, "value": each.value, "set": each.is_set, "reason": each.reason}
                    for each in reasons
                ],
                "parts": dict(_parts(needed)),
                "needs_bytes": needed.need.bytes,
                "card_bytes": needed.need.card_bytes,
                "for_models_bytes": room_bytes,
                "free_bytes": machine.memory_free_bytes,
                "fits": not _lacking(needed, room_bytes, machine),
            }
        )
        return output.OK
    rows = [(each.name, each.value, "set" if each.is_set else "chosen", each.reason) for each in reasons]
    output.say(f"{name} runs {found.deployment.model.name}, {found.deployment.model.digest}")
    output.say(output.table(rows, head=("option", "value", "by", "why")))
    output.say(_memory_text(found, needed, machine, compiled.memory))
    return output.OK


def _plan(name: str, compiled: Compiled) -> DeploymentPlan:
    """That of a deployment, else of a model as it would be run by default."""
    for plan in compiled.deployments:
        if plan.deployment.name == name:
            if plan.deployment.engine not in {EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER} or plan.settings.base_url:
                raise output.UsageError(f"{name} is not run by a llama.cpp of ours; its options are its own.")
            return plan
    return plain_plan(name, context_tokens=_CONTEXT_TOKENS, guesses=True)


def _parts(needed: LlamaNeed) -> list[tuple[str, int]]:
    """What is added up, by name; parts of no size are left out."""
    report = needed.report
    parts = [
        ("weights", report.weights_bytes),
        ("draft and adapters", needed.beside_bytes),
        ("key-value cache", report.kv_bytes),
        ("compute buffers", report.compute_bytes),
        ("engine", report.overhead_bytes - needed.spare_bytes),
        ("kept prompts", needed.spare_bytes),
    ]
    return [(name, size_bytes) for name, size_bytes in parts if size_bytes]


def _memory_text(found: Prepared, needed: LlamaNeed, machine: HardwareProfile, plan: MemoryPlan) -> str:
    need, room_bytes = needed.need, for_models_bytes(machine, plan)
    parts = " + ".join(f"{name} {wording.size(size_bytes)}" for name, size_bytes in _parts(needed))
    where = f", and {wording.size(need.card_bytes)} on cards" if need.card_bytes else ""
    whose = "[memory] cap" if plan.cap_bytes else "what is free now, less what is left to the rest of the machine"
    lacking = _lacking(needed, room_bytes, machine)
    return "\n".join(
        [
            f"A server sets {wording.size(need.bytes)} of memory aside for it{where}: {parts}.",
            (
                f"Models may have {wording.size(room_bytes)} together ({whose}), {wording.size(machine.memory_free_bytes)}"
                f" is free: it {f'does not fit, {lacking}' if lacking else 'fits'}; {wording.speed(found.decided.report)}."
            ),
        ]
    )


def _lacking(needed: LlamaNeed, room_bytes: int, machine: HardwareProfile) -> str:
    """Why it cannot be loaded even alone; empty where it can. What its cards hold is known when it is loaded."""
    over_bytes = needed.need.bytes - room_bytes
    if over_bytes > 0:
        return f"{wording.size(over_bytes)} more than models may have"
    over_bytes = needed.need.bytes - machine.memory_free_bytes
    if machine.memory_free_bytes and over_bytes > 0:
        return f"{wording.size(over_bytes)} more than is free"
    return needed.report.unknown
