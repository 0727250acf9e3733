"""``freehold models``: versions of what is installed. Which there are, whether they are whole, and what may go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.hub import Hub, hub_of
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import (
    model_json,
    model_lines,
    pull_beside,
    pull_model,
    registry_of,
    trusted_registry,
    update_of,
)
from freehold.config.load import data_folder
from freehold.domain.errors.base import FreeholdError
from freehold.hostinfo.clock import SystemClock
from freehold.planner.wording import size
from freehold.serving.canary_records import read_record
from freehold.serving.gguf import read_header
from freehold.serving.installed import InstalledModel
from freehold.serving.registry import ModelRegistry
from freehold.serving.updates import Offer, Outlook
from freehold.serving.versions import Collected, collect, version, versions
from freehold.serving.versions import pin as pinned
from freehold.serving.versions import rollback as rolled_back

_SHORT = 12
_NOTES_LINES = 40


def list_models(*, as_json: Json = False) -> int:
    """List every name with its versions: what serves, what waits, and what one command goes back to."""
    registry = registry_of(data_folder())
    states = registry.states()
    if as_json:
        output.print_json(
            [
                {
                    "name": each.name,
                    "digest": f"sha256:{each.sha256}",
                    "waiting": f"sha256:{each.waiting}" if each.waiting else None,
                    "earlier": [f"sha256:{digest}" for digest in each.earlier],
                    "pinned": each.pinned,
                    "changed_unix_ms": each.changed_unix_ms,
                }
                for each in states
            ]
        )
        return output.OK
    if not states:
        output.say('No model is installed. "freehold models --catalogue" lists what can be had.')
        return output.OK
    rows: list[tuple[str, ...]] = []
    for each in states:
        found = registry.find(each.name)
        bytes_shown = size(found.size_bytes) if found is not None else "not here"
        before = each.earlier[0][:_SHORT] if each.earlier else ""
        serves = f"{each.sha256[:_SHORT]}{' pinned' if each.pinned else ''}"
        rows.append((each.name, serves, bytes_shown, _date(each.changed_unix_ms), each.waiting[:_SHORT], before))
    output.say(output.table(rows, head=("name", "serves", "size", "since", "waits", "before")))
    return output.OK


def pull_newer(name: str, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Fetch the newer version of an installed model beside the one that serves, or a model that is not installed yet.

    Nothing is switched: "freehold models switch" does that. Of versions that wait the newest does.

    Args:
        name: A name of "freehold models list", of the catalogue, or a hub's file.
    """
    hub = hub_of(config)
    registry = registry_of(data_folder())
    if registry.find(name) is None:
        model = pull_model(name, quiet=as_json, hub=hub)
        output.print_json(model_json(model)) if as_json else output.say(model_lines(model))
        return output.OK
    found = update_of(name, hub=hub)
    if found.offer is None:
        output.print_json({"name": name, "offer": None, "told": found.told}) if as_json else output.say(
            f"{name}: {found.told}."
        )
        return output.OK
    replaced = _makes_way(registry, name, found)
    if replaced and not as_json:
        passed = read_record(registry.folder, old_sha256=found.model.sha256, new_sha256=replaced)
        told = ", which passed its canary," if passed is not None and passed.passes else ""
        output.note(
            f"{name}: sha256:{replaced[:_SHORT]}{told} waits, and makes way for the newer one once that is here"
        )
    model = pull_beside(found.offer, quiet=as_json, hub=hub)
    if as_json:
        output.print_json({**model_json(model), "replaced": f"sha256:{replaced}" if replaced else None})
    else:
        output.say(model_lines(model))
        output.say(f"It waits; {found.model.digest[:19]} goes on serving. Next: freehold models canary {name}")
        if replaced:
            output.say(
                f'sha256:{replaced[:_SHORT]} waits no longer. Until "freehold models gc --remove" it can be had back:'
            )
            output.say(f"  freehold models switch {name} --to {replaced}")
    return output.OK


def _makes_way(registry: ModelRegistry, name: str, found: Outlook) -> str:
    """Digest of the version that waits, where another one is about to wait in its place; empty where none does."""
    state = registry.state(name)
    if state is None or found.offer is None or state.waiting == found.offer.sha256:
        return ""
    return state.waiting


def verify(
    names: Annotated[tuple[str, ...], Parameter(name="NAME", negative=())] = (), /, *, as_json: Json = False
) -> int:
    """Read the files of models whole, and hold them against their digests.

    Args:
        names: Which; all versions of all names if none is given.
    """
    registry = registry_of(data_folder())
    asked = names or tuple(each.name for each in registry.states())
    rows = [_verified(registry, each.model) for name in asked for each in versions(registry, name)]
    if as_json:
        output.print_json([{"name": name, "whole": not wrong, "told": wrong or None} for name, wrong in rows])
    else:
        for name, wrong in rows:
            output.say(f"{_shortened(name)}: {wrong or 'whole'}")
        for path in registry.damaged():
            output.say(f"{path}: cannot be read")
        if not rows and not registry.damaged():
            output.say("No model is installed.")
    is_wrong = any(wrong for _, wrong in rows) or bool(registry.damaged())
    return output.FAILED if is_wrong else output.OK


def pin(name: str, /, *, off: bool = False, as_json: Json = False) -> int:
    """Keep a name from being switched: it serves the file with the digest that it serves now.

    Args:
        name: Which.
        off: Let it be switched again.
    """
    state = pinned(registry_of(data_folder()), name, on=not off)
    if as_json:
        output.print_json({"name": name, "digest": f"sha256:{state.sha256}", "pinned": state.pinned})
    else:
        told = "is pinned to" if state.pinned else "may be switched again; it serves"
        output.say(f"{name} {told} sha256:{state.sha256}.")
    return output.OK


def updates(
    names: Annotated[tuple[str, ...], Parameter(name="NAME", negative=())] = (),
    /,
    *,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Ask where models came from whether there is a newer version, and show its notes. Nothing of it is fetched.

    Args:
        names: Which; all if none is given.
    """
    hub = hub_of(config)
    registry = registry_of(data_folder())
    if len(names) == 1:
        found: dict[str, Outlook | FreeholdError] = {names[0]: update_of(names[0], hub=hub)}
    else:
        found = {each: _asked(each, hub) for each in names or [state.name for state in registry.states()]}
    if as_json:
        output.print_json([_outlook_json(name, each) for name, each in found.items()])
    elif not found:
        output.say("No model is installed.")
    else:
        for name, each in found.items():
            output.say(_outlook_text(each) if isinstance(each, Outlook) else f"{name}: {each.code}: {each.message}")
    return output.FAILED if any(isinstance(each, FreeholdError) for each in found.values()) else output.OK


def rollback(name: str, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Let the version before serve again. A running server takes it over within seconds.

    Args:
        name: Which.
    """
    state = rolled_back(trusted_registry(config), name, unix_ms=SystemClock().unix_ms())
    if as_json:
        output.print_json({"name": name, "digest": f"sha256:{state.sha256}", "waiting": f"sha256:{state.waiting}"})
    else:
        output.say(f"{name} serves sha256:{state.sha256[:_SHORT]} again; {state.waiting[:_SHORT]} waits.")
        output.say("\n".join(["A running server takes it over within seconds.", *guesses_told(name, config)]))
    return output.OK


def guesses_told(name: str, config: str) -> list[str]:
    """What is to be known of a switch of a model that guesses for others: a line, or none."""
    from freehold.cli.configured import loaded_or_default  # lazy: few commands read it

    deployments = loaded_or_default(config).config.deployments
    who = [each for each, section in deployments.items() if section.draft_model == name]
    if not who:
        return []
    told = f"It may guess for {', '.join(who)}. What was measured of guessing holds for one version:"
    return [f'{told} "freehold models explain {who[0]}" shows whether this one does.']


def gc(*, remove: bool = False, rollbacks: bool = False, as_json: Json = False) -> int:
    """Show which files no name needs, and how much they hold. What a running server uses stays in any case.

    Args:
        remove: Remove them. Without it nothing is.
        rollbacks: Count the versions before, and those that wait, among them: there is no way back then.
    """
    found = collect(registry_of(data_folder()), remove=remove, rollbacks=rollbacks)
    if as_json:
        output.print_json(
            {
                "removed": remove,
                "freed_bytes": found.size_bytes,
                "files": [
                    {"path": str(each.path), "size_bytes": each.size_bytes, "why": each.why} for each in found.unneeded
                ],
                "in_use": [str(each) for each in found.in_use],
            }
        )
    else:
        output.say(_collected_text(found, remove=remove))
    return output.OK


def _collected_text(found: Collected, *, remove: bool) -> str:
    lines = [f"  {each.path.name[:26]}…  {size(each.size_bytes):>9}  {each.why}" for each in found.unneeded]
    lines += [f"  {each.name[:26]}…  in use by a running server; it stays" for each in found.in_use]
    if not found.unneeded:
        return "\n".join([*lines, "Every file is needed."])
    told = "freed" if remove else 'would be freed; "freehold models gc --remove" does it'
    return "\n".join([*lines, f"{size(found.size_bytes)} {told}."])


def _verified(registry: ModelRegistry, model: InstalledModel) -> tuple[str, str]:
    """The name of a version, and what is wrong with it."""
    try:
        registry.verify(model, fresh=True)
        if model.tokenizer is None and not model.packed:
            read_header(model.path)
    except FreeholdError as error:
        return model.name, error.message
    return model.name, ""


def _asked(name: str, hub: Hub) -> Outlook | FreeholdError:
    """What is known of newer versions, or why nothing is: one that cannot be asked about keeps nobody from the others."""
    try:
        return update_of(name, hub=hub)
    except FreeholdError as error:
        return error


def _outlook_text(found: Outlook) -> str:
    offer = found.offer
    if offer is None:
        return f"{found.model.name}: {found.told}."
    here = "here already, it waits" if offer.is_here else f'fetch it with "freehold models pull {offer.name}"'
    before = size(found.model.size_bytes)
    lines = [
        f"{offer.name}: a newer version, {here}",
        f"  digest   sha256:{offer.sha256}",
        f"  size     {size(offer.size_bytes)} (the one that serves: {before})",
        f"  licence  {offer.license or 'not stated'} (the one that serves: {found.model.license or 'not stated'})",
        f"  commit   {offer.revision}",
    ]
    if offer.changes:
        lines += ["  changes since the version that serves:", *(f"    {each}" for each in offer.changes)]
    notes = offer.notes.strip().splitlines()
    if notes:
        lines += [
            "  what its makers say (their words, unchecked):",
            *(f"    | {each}" for each in notes[:_NOTES_LINES]),
        ]
        if len(notes) > _NOTES_LINES:
            lines.append(f"    … {len(notes) - _NOTES_LINES} more lines; --json shows all")
    return "\n".join(lines)


def _outlook_json(name: str, found: Outlook | FreeholdError) -> dict[str, object]:
    if isinstance(found, FreeholdError):
        return {"name": name, **output.envelope_of(found)}
    return {
        "name": found.model.name,
        "digest": found.model.digest,
        "told": found.told or None,
        "offer": None if found.offer is None else _offer_json(found.offer),
    }


def _offer_json(offer: Offer) -> dict[str, object]:
    return {
        "digest": f"sha256:{offer.sha256}",
        "size_bytes": offer.size_bytes,
        "license": offer.license or None,
        "commit": offer.revision or None,
        "changes": list(offer.changes),
        "notes": offer.notes,
        "is_here": offer.is_here,
    }


def _shortened(name: str) -> str:
    """A version's reference with a digest that fits on a line."""
    base, mark, digest = name.partition("@sha256:")
    return f"{base}{mark}{digest[:_SHORT]}"


def _date(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d}" if unix_ms else ""


def chosen(registry: ModelRegistry, name: str, digest: str) -> tuple[InstalledModel, InstalledModel]:
    """What serves, and the version that is meant: the one that waits, or the one of a digest.

    Raises:
        ModelError: There is no such name, or no such version.
    """
    return versions(registry, name)[0].model, version(registry, name, digest)
