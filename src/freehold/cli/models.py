"""``freehold models``: what is here, what can be had, what fits, and what the running server serves."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.pulling import model_json, model_lines, registry_of
from freehold.config.load import data_folder
from freehold.domain.errors.server import NotRunning
from freehold.domain.hardware import FitReport, HardwareProfile, ModelShape
from freehold.hostinfo.probe import probe
from freehold.planner import wording
from freehold.planner.choose import launch_for
from freehold.planner.fit import Launch, fit
from freehold.serving.catalogue import CatalogueEntry, HubOrigin
from freehold.serving.gguf import read_header
from freehold.serving.registry import InstalledModel, ModelRegistry

app = App(name="models", help="What is installed, what can be had, and what fits this machine.")


@app.default
def models(
    name: str = "",
    /,
    *,
    catalogue: bool = False,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Show the installed models and what the running server serves; or one model with the memory it needs.

    Args:
        name: One model: installed, of the catalogue, or the path of a GGUF file.
        catalogue: Show what can be pulled, and whether it fits this machine.
    """
    registry = registry_of(data_folder())
    if name:
        return _one(registry, name, as_json=as_json)
    if catalogue:
        return _catalogue(registry, as_json=as_json)
    served = _served(url=url, key_file=key_file)
    installed = registry.installed()
    if as_json:
        output.print_json({"installed": [model_json(each) for each in installed], "served": served})
        return output.OK
    if installed:
        rows = [
            (each.name, wording.size(each.size_bytes), each.license or "not stated", each.origin) for each in installed
        ]
        output.say(output.table(rows, head=("installed", "size", "licence", "origin")))
    else:
        output.say(
            'No model is installed. "freehold up" chooses one, "freehold models --catalogue" lists what can be had.'
        )
    output.say()
    output.say(_served_text(served))
    return output.OK


@app.command
def remove(name: str, /, *, as_json: Json = False) -> int:
    """Remove an installed model; its file goes with its last name.

    Args:
        name: Its name.
    """
    registry = registry_of(data_folder())
    found = registry.find(name)
    freed = registry.remove(name)
    if as_json:
        output.print_json({"removed": name, "freed_bytes": freed})
    else:
        is_kept = not freed and found is not None and found.path.exists()
        told = "another name keeps its file" if is_kept else f"{wording.size(freed)} freed"
        output.say(f"{name} is removed, {told}.")
    return output.OK


for _target, _name, _help in (
    (
        "freehold.cli.model_versions:list_models",
        "list",
        "List every name with its versions: what serves, waits, and served before.",
    ),
    (
        "freehold.cli.model_versions:pull_newer",
        "pull",
        "Fetch the newer version of a model beside the one that serves.",
    ),
    (
        "freehold.cli.model_versions:verify",
        "verify",
        "Read the files of models whole, and hold them against their digests.",
    ),
    (
        "freehold.cli.models_explain:explain",
        "explain",
        "Show how a model is run on this machine: each option and why, and what memory a server sets aside.",
    ),
    ("freehold.cli.model_versions:pin", "pin", "Keep a name from being switched."),
    ("freehold.cli.model_versions:updates", "updates", "Ask whether there is a newer version, and show its notes."),
    ("freehold.cli.model_canary:canary", "canary", "Ask a new version and the one that serves the same questions."),
    (
        "freehold.cli.model_canary:switch",
        "switch",
        "Let another version serve, once it was compared with the one that does.",
    ),
    ("freehold.cli.model_versions:rollback", "rollback", "Let the version before serve again."),
    ("freehold.cli.model_versions:gc", "gc", "Show, or remove, files that no name needs."),
    ("freehold.cli.model_signing:key", "key", "Make a key that signs models and bundles."),
    ("freehold.cli.model_signing:sign", "sign", "Sign a version of a model."),
):
    app.command(_target, name=_name, help=_help)


def _one(registry: ModelRegistry, name: str, *, as_json: bool) -> int:
    installed = registry.find(name)
    entry = registry.catalogue.entries.get(name)
    if installed is None and entry is None:
        installed = registry.resolve(name)
    is_gguf = installed is not None and installed.tokenizer is None and not installed.packed
    header = read_header(installed.path) if installed is not None and is_gguf else None
    shape = header.shape if header is not None else _shape(entry)
    writes = not header.pooling if header is not None else entry is not None and entry.chat
    profile = probe(measure=True)
    launch = launch_for(shape, profile)
    report = fit(shape, launch, profile)
    if as_json:
        output.print_json({"name": name, **_about(installed, entry), "fit": fit_json(launch, report)})
        return output.OK
    output.say(model_lines(installed) if installed is not None else _entry_text(entry))
    text = fit_text(launch, report)
    # A model that embeds or ranks decodes nothing: the formula's speed is not its own.
    output.say(text if writes else text.rpartition(";")[0])
    return output.OK


def _shape(entry: CatalogueEntry | None) -> ModelShape:
    if entry is None:
        raise AssertionError("a name that is neither installed nor known was resolved or refused before")
    return entry.model_shape


def fit_text(launch: Launch, report: FitReport) -> str:
    """The memory sum of one model as it would be started here."""
    parts = (
        ("weights", report.weights_bytes),
        (f"key-value cache ({launch.slots} x {launch.context_tokens} tokens)", report.kv_bytes),
        ("compute buffers", report.compute_bytes),
        ("engine", report.overhead_bytes),
        ("together", report.needs_bytes),
        ("free now", report.free_bytes),
    )
    width = max(len(name) for name, _ in parts)
    lines = [f"  {name:{width}}  {wording.size(size):>9}" for name, size in parts]
    verdict = "fits" if report.fits else f"does not fit: {wording.size(-report.margin_bytes)} too little"
    if report.unknown and report.margin_bytes >= 0:
        verdict = f"cannot be told: {report.unknown}"
    return "\n".join([*lines, f"{verdict}; {wording.speed(report)}"])


def fit_json(launch: Launch, report: FitReport) -> dict[str, object]:
    """The same as JSON-ready values."""
    return {
        "fits": report.fits,
        "slots": launch.slots,
        "context_tokens": launch.context_tokens,
        "weights_bytes": report.weights_bytes,
        "kv_bytes": report.kv_bytes,
        "compute_bytes": report.compute_bytes,
        "overhead_bytes": report.overhead_bytes,
        "needs_bytes": report.needs_bytes,
        "free_bytes": report.free_bytes,
        "tok_per_s_low": round(report.tok_per_s_low, 1) or None,
        "tok_per_s_high": round(report.tok_per_s_high, 1) or None,
    }


def _about(installed: InstalledModel | None, entry: CatalogueEntry | None) -> dict[str, object]:
    return {
        "installed": None if installed is None else model_json(installed),
        "catalogue": None
        if entry is None
        else {
            "title": entry.title,
            "license": entry.license,
            "size_bytes": entry.size_bytes,
            "digest": f"sha256:{entry.sha256}" if entry.sha256 else None,
            "quantisation": entry.quantisation,
            "context_tokens": entry.context_tokens,
            "tools": entry.tools,
            "infill": entry.infill,
            "embeds": entry.embeds,
            "reranks": entry.reranks,
            "hub": None if entry.hub is None else f"{_hub_file(entry.hub)}@{entry.hub.revision}",
        },
    }


def _entry_text(entry: CatalogueEntry | None) -> str:
    if entry is None:
        return ""
    return "\n".join(
        [
            f"{entry.title} ({entry.name}), not installed",
            f"  size     {wording.size(entry.size_bytes)}, {entry.quantisation}",
            f"  licence  {entry.license}",
            f"  origin   {_origin(entry)}",
        ]
    )


def _origin(entry: CatalogueEntry) -> str:
    if entry.hub is not None:
        return _hub_file(entry.hub)
    return f"packages {entry.packages.parts[0].requirement}" if entry.packages is not None else ""


def _hub_file(hub: HubOrigin) -> str:
    return f"hf:{hub.repo}/{hub.filename}"


def _catalogue(registry: ModelRegistry, *, as_json: bool) -> int:
    profile = probe(measure=True)
    entries = registry.catalogue.entries.values()
    fits = {entry.name: _fit(entry, profile) for entry in entries}
    if as_json:
        output.print_json(
            [{"name": e.name, **_about(registry.find(e.name), e), "fit": fit_json(*fits[e.name])} for e in entries]
        )
        return output.OK
    rows: list[tuple[str, ...]] = []
    for entry in entries:
        report = fits[entry.name][1]
        here = "installed" if registry.find(entry.name) else wording.size(entry.size_bytes)
        verdict = "yes" if report.fits else f"no, {wording.size(-report.margin_bytes)} too little"
        speed = wording.speed(report) if entry.chat else ""
        rows.append((entry.name, here, entry.license, _does(entry), verdict, speed))
    output.say(f"This machine: {wording.machine(profile)}.")
    output.say(output.table(rows, head=("model", "size", "licence", "does", "fits here", "speed")))
    return output.OK


def _does(entry: CatalogueEntry) -> str:
    """What a model is for, in a cell of a table."""
    if entry.chat:
        return ", ".join(["writes", *(["tools"] if entry.tools else []), *(["fills gaps"] if entry.infill else [])])
    return "embeds" if entry.embeds else "ranks" if entry.reranks else "marks names"


def _fit(entry: CatalogueEntry, profile: HardwareProfile) -> tuple[Launch, FitReport]:
    launch = launch_for(entry.model_shape, profile)
    return launch, fit(entry.model_shape, launch, profile)


def _served(*, url: str, key_file: str) -> dict[str, Any] | None:
    """What the running server serves; ``None`` where none answers and none was asked for."""
    from freehold.cli.server_call import find_server, get  # lazy: only this view of models calls the server

    try:
        return get(find_server(url=url, key_file=key_file), "/v1/models")
    except NotRunning:
        if url:
            raise
        return None


def _served_text(served: dict[str, Any] | None) -> str:
    if served is None:
        return "No server is running."
    rows: dict[str, tuple[str, str, str, str, str]] = {}
    names: dict[str, list[str]] = {}
    for model in served["data"]:
        for each in model["freehold"]["deployments"]:
            state = "ready" if each["ready"] else each["detail"] or "not ready"
            rows[each["name"]] = (
                each["name"],
                each["model"],
                each["zone"],
                f"{each['slots']} x {each['context_tokens']}",
                state,
            )
            names.setdefault(each["name"], []).append(model["id"])
    shown = [(*row, ", ".join(names[name])) for name, row in rows.items()]
    return output.table(shown, head=("deployment", "model", "zone", "slots x tokens", "state", "asked for as"))
