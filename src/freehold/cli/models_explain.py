"""``freehold models explain``."""

from __future__ import annotations

from freehold.app.benched import plain_plan
from freehold.app.llama_engines import prepare_llama
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import trusted_registry
from freehold.config.compile import DeploymentPlan
from freehold.domain.deployment import EngineKind
from freehold.hostinfo.probe import probe
from freehold.planner import wording

_CONTEXT_TOKENS = 4_096


def explain(name: str, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show how a model is run on this machine: each option, who chose it, and why. Nothing is started.

    Args:
        name: A deployment of the configuration, an installed model, or the path of a GGUF file.
    """
    plan = _plan(name, config)
    found = prepare_llama(plan, models=trusted_registry(config), machine=probe(measure=True))
    reasons, report = found.decided.reasons, found.decided.report
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
                "needs_bytes": report.needs_bytes,
                "free_bytes": report.free_bytes,
            }
        )
        return output.OK
    rows = [(each.name, each.value, "set" if each.is_set else "chosen", each.reason) for each in reasons]
    verdict = "fits" if report.fits else "does not fit"
    output.say(f"{name} runs {found.deployment.model.name}, {found.deployment.model.digest}")
    output.say(output.table(rows, head=("option", "value", "by", "why")))
    output.say(
        f"It needs {wording.size(report.needs_bytes)} of {wording.size(report.free_bytes)} free: it {verdict};"
        f" {wording.speed(report)}."
    )
    return output.OK


def _plan(name: str, config: str) -> DeploymentPlan:
    """That of a deployment, else of a model as it would be run by default."""
    for plan in compiled_or_default(config).deployments:
        if plan.deployment.name == name:
            if plan.deployment.engine not in {EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER} or plan.settings.base_url:
                raise output.UsageError(f"{name} is not run by a llama.cpp of ours; its options are its own.")
            return plan
    return plain_plan(name, context_tokens=_CONTEXT_TOKENS, guesses=True)
