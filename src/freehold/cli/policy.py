"""``freehold policy``: the rules checked, tested, explained and tried on what was asked. Nothing is sent or changed."""

from __future__ import annotations

from cyclopts import App

from freehold.app.rules import rulebook_of
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.policy_cases import test
from freehold.cli.policy_replay import replay
from freehold.cli.policy_site import site_of
from freehold.domain.errors.policy import PolicyError, RulesInvalid
from freehold.hostinfo.clock import SystemClock
from freehold.policy.explain import explain as explained_by
from freehold.policy.site import UnknownNameError

app = App(
    name="policy", help="Where a text with a label may go, and the rules that say so: check, test, explain, replay."
)


@app.default
@app.command
def explain(
    label: str = "",
    /,
    *,
    route: str = "",
    tenant: str = "",
    file: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show where a text may go and what forbids the rest. Nothing is sent.

    Args:
        label: What a client would send as freehold-label, for example "confidential;zones=lan".
        route: Only this route's deployments, with what the route itself demands.
        tenant: Whose text; the first tenant's of the configuration if not given.
        file: The text itself, to be looked through for markings, personal data and credentials; "-" reads standard input.
    """
    compiled = compiled_or_default(config)
    site = site_of(compiled)
    sources, complete, why = (), True, ""
    if file:
        from freehold.cli.policy_text import said_by  # lazy: loads the detectors

        sources, complete, why = said_by(file, compiled)
    try:
        whose = site.tenant(tenant)
        explained = explained_by(
            (*site.sources(label=label, route=route, tenant=whose), *sources),
            site.ways(route=route),
            policy=site.policy,
            tenant=whose,
            unix_ms=SystemClock().unix_ms(),
            audit_ready=True,
            scan_complete=complete,
        )
    except UnknownNameError as error:
        raise output.UsageError(f"{str(error).capitalize()}.") from error
    if as_json:
        output.print_json(explained.to_json())
    else:
        output.say("\n".join(explained.lines()))
        if why:
            output.note(f"It was not looked through to the end: {why}.")
    return output.OK


@app.command
def check(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Check the rules: that they hold by the schema, and that no stricter label opens a way. Ends with 1 where not.

    Every state that the rules can tell apart is looked at: levels, kinds, zones, readers, flags, tenants, deployments.
    """
    compiled = compiled_or_default(config)
    try:
        policy = rulebook_of(compiled)
    except PolicyError as error:
        mistakes = error.mistakes if isinstance(error, RulesInvalid) else (error.message,)
        if as_json:
            output.print_json({"valid": False, "code": error.code, "mistakes": list(mistakes)})
        else:
            output.say("\n".join(mistakes))
            output.note(f"{error.code}: {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}.")
        return output.FAILED
    own = [rule.id for rule in policy.rules if rule.is_own]
    if as_json:
        document = {
            "valid": True,
            "path": compiled.rules_path or None,
            "digest": policy.digest,
            "rules": [
                {"id": rule.id, "permits": rule.permits, "own": rule.is_own, "line": rule.line} for rule in policy.rules
            ],
            "states": policy.checked.states,
            "mistakes": [],
        }
        output.print_json(document)
    else:
        where = f"{len(own)} of {compiled.rules_path}" if compiled.rules_path else "none of this site's own"
        output.say(
            f"The rules hold: {len(policy.rules) - len(own)} shipped, {where}, {policy.digest[:19]}.\n"
            f"{policy.checked.states:,} states were looked at; no stricter label opens a way."
        )
    return output.OK


app.command(test)
app.command(replay)
