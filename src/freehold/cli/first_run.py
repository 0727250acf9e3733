"""The first start: what to propose, what an answer means, and the configuration that follows. No I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.hardware import HardwareProfile
from freehold.planner import wording
from freehold.planner.choose import Choice, ModelOption, choose
from freehold.serving.catalogue import Catalogue

DEPLOYMENT = "small"
ROUTE = "auto"
ALIASES = ("gpt-4o-mini", "gpt-4o")
COMPARE_WITH = "openai/gpt-6-luna"
"""A cheap cloud model: the comparison is not to flatter the machine at home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the first start would run.

    Attributes:
        choice: The model and how it would be started.
        is_installed: Whether nothing needs to be fetched.
        others: Every other model of the catalogue that fits, best first.
    """

    choice: Choice
    is_installed: bool
    others: tuple[Choice, ...]


class Reply(StrEnum):
    """What the user wants."""

    YES = "yes"
    NO = "no"
    OTHER = "other"


def choices(catalogue: Catalogue, profile: HardwareProfile) -> tuple[Choice, ...]:
    """The catalogue's models that answer questions, best for this machine first."""
    options = [
        ModelOption(name=entry.name, parameters=entry.parameters, shape=entry.model_shape)
        for entry in catalogue.entries.values()
        if entry.chat
    ]
    return choose(options, profile)


def propose(ranked: Sequence[Choice], *, installed: Collection[str]) -> Proposal:
    """What to offer: the best model that is here already, else the best that could be fetched.

    A model that its owner fetched before the first start was fetched to be used; nothing larger is offered unasked.
    """
    here = [each for each in ranked if each.option.name in installed and each.report.fits]
    best = here[0] if here else ranked[0]
    others = tuple(each for each in ranked if each is not best and each.report.fits)
    return Proposal(choice=best, is_installed=bool(here), others=others)


def without_hub(catalogue: Catalogue, ranked: Sequence[Choice]) -> Choice | None:
    """The best model that fits and may be taken from the package index where no hub can be reached."""
    for each in ranked:
        packages = catalogue.entries[each.option.name].packages
        if packages is not None and not packages.demo_only and each.report.fits:
            return each
    return None


def read_reply(text: str) -> Reply | str:
    """What was typed: yes (also by an empty line), no, other, or the name of a model."""
    word = text.strip()
    match word.lower():
        case "" | "y" | "yes":
            return Reply.YES
        case "n" | "no" | "q" | "quit":
            return Reply.NO
        case "o" | "other":
            return Reply.OTHER
        case _:
            return word


def proposal_line(proposal: Proposal) -> str:
    """For example ``Best fit: NAME, 1.1 GB, about 18 tok/s (estimate: 12 to 26).``."""
    choice = proposal.choice
    size = wording.size(choice.option.shape.file_bytes)
    first = "Installed" if proposal.is_installed else "Best fit"
    return f"{first}: {choice.option.name}, {size}, {wording.speed(choice.report)}."


def choice_line(choice: Choice) -> str:
    """One line of the list of other models."""
    size = wording.size(choice.option.shape.file_bytes)
    return f"  {choice.option.name:24} {size:>8}  {wording.needs(choice.report)}, {wording.speed(choice.report)}"


def config_text(*, model: str, slots: int, context_tokens: int) -> str:
    """The configuration that the first start writes; TOML's basic strings are written as JSON's."""
    aliases = "\n".join(f"{name} = {json.dumps(ROUTE)}" for name in ALIASES)
    return f"""\
# Written by the first "freehold up". Edit freely: the running server takes changes over, and keeps what it has where
# they hold a mistake. "freehold config show" lists every setting, "freehold config explain KEY" explains one.

[deployments.{DEPLOYMENT}]
engine = "embedded"
model = {json.dumps(model)}
context_tokens = {context_tokens}
slots = {slots}

[routes.{ROUTE}]
deployments = [{json.dumps(DEPLOYMENT)}]

# Names that existing programs send.
[aliases]
{aliases}

# What an answer would have cost in the cloud, for comparison only. Say what this machine costs, and answers at home
# have a price too: "freehold config explain ledger.purchase_price".
[ledger]
compare_with = {json.dumps(COMPARE_WITH)}
"""
