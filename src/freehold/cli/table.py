"""The commands on one screen. Root help comes from here alone, so that asking for help loads no command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, where it is, and its line in the root help."""

    name: str
    target: str
    help: str


COMMANDS = (
    Command("up", "freehold.cli.up:up", "Start the server; at the first start, choose and fetch a model."),
    Command("ask", "freehold.cli.ask:ask", "Ask the running server a question; shows where the answer came from."),
    Command("add", "freehold.cli.add:add", "Add files and folders to a vault of private documents."),
    Command("vault", "freehold.cli.vault:app", "Private documents: list, search, show, remove, watch, test, tune."),
    Command("pull", "freehold.cli.pull:pull", "Fetch a model: resumable, checked against its digest."),
    Command("models", "freehold.cli.models:app", "What is installed, what can be had, and what fits this machine."),
    Command("bench", "freehold.cli.bench:bench", "Compare engine options side by side on your own prompts."),
    Command("bundle", "freehold.cli.bundle:app", "Carry models and programs to a machine without a network."),
    Command("calibrate", "freehold.cli.calibrate:calibrate", "Measure how far a model's confidence can be trusted."),
    Command("replay", "freehold.cli.replay:replay", "What routing would have done on recorded outcomes, with plots."),
    Command("classify", "freehold.cli.classify:app", "Sort texts by labels; train a classifier from examples."),
    Command("certify", "freehold.cli.certify:certify", "Prove how often an accepted answer is wrong, at most."),
    Command("standings", "freehold.cli.standings:standings", "Certificates, alarms, and how soon a breach is noticed."),
    Command("feedback", "freehold.cli.feedback:feedback", "Say whether an answer was right."),
    Command("gold", "freehold.cli.gold:app", "Questions with known answers: add, list, remove, and ask them."),
    Command("outcomes", "freehold.cli.outcomes:app", "What became of judged answers: list, export and erase."),
    Command("receipts", "freehold.cli.receipts:receipts", "What was asked, where it went and what it cost."),
    Command("batches", "freehold.cli.batches:app", "List, show and cancel batches of requests."),
    Command("queue", "freehold.cli.queue:queue", "What runs and waits at each deployment, and whose turn is next."),
    Command("ps", "freehold.cli.memory:ps", "Which models are in memory, and which one leaves next."),
    Command("load", "freehold.cli.memory:load", "Load a model now."),
    Command("unload", "freehold.cli.memory:unload", "Unload a model that nobody uses."),
    Command("scan", "freehold.cli.scan:scan", "Look for personal data and secrets in files, for pipelines too."),
    Command(
        "redact", "freehold.cli.redact:redact", "Take personal data and secrets out of a text, for good or for now."
    ),
    Command("restore", "freehold.cli.redact:restore", "Put back into an answer what redact took out of the question."),
    Command(
        "policy", "freehold.cli.policy:app", "Where a text may go and why: check, test, explain and replay the rules."
    ),
    Command("release", "freehold.cli.release:app", "Let one exact text go where its label forbids it, on record."),
    Command("mcp", "freehold.cli.mcp:mcp", "Serve private documents to an agent on this machine, as its key may read."),
    Command("doctor", "freehold.cli.doctor:doctor", "Check this installation, one line a check."),
    Command("broker", "freehold.cli.broker:broker", "Run the one process that connects beyond this device."),
    Command("config", "freehold.cli.config:app", "Check and explain the configuration."),
    Command("keys", "freehold.cli.keys:app", "Make, list, rotate and revoke API keys."),
    Command("approvals", "freehold.cli.approvals:app", "Calls of tools that are held back until a human decides."),
    Command("limits", "freehold.cli.limits:app", "What tenants and keys may use: requests, tokens, money."),
    Command("tenants", "freehold.cli.tenants:app", "Tenants with their keys, limits and this month's use."),
    Command("usage", "freehold.cli.usage:usage", "What each key, tenant, deployment or day used; as CSV too."),
    Command(
        "hardware", "freehold.cli.hardware:hardware", "What this machine has for models: memory, cards, power, heat."
    ),
    Command(
        "fit", "freehold.cli.fit:fit_model", "What a model needs, what is free, and what to change to make it fit."
    ),
    Command(
        "plan", "freehold.cli.plan:plan_hardware", "Which model on which hardware serves a workload, and how fast."
    ),
    Command("money", "freehold.cli.money:money", "Local against cloud: spent, saved, escalated, month by month."),
    Command(
        "repatriate", "freehold.cli.repatriate:repatriate", "Whether to bring a workload home, or to stay in the cloud."
    ),
    Command("audit", "freehold.cli.audit:app", "Verify, prove, export and keep the audit log."),
    Command("explain", "freehold.cli.explain:explain", "What an error code means and what to do about it."),
    Command("version", "freehold.cli.version:version", "Show the versions of Freehold and its engine."),
)

_ABOUT = "Answers on hardware you own first, escalates on measured doubt, and hands back a receipt."


def root_help() -> str:
    """What ``freehold --help`` prints."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:{width}}  {command.help}" for command in COMMANDS]
    return "\n".join(
        [
            "Usage: freehold COMMAND [OPTIONS]",
            "",
            _ABOUT,
            "",
            "Commands:",
            *lines,
            "",
            '"freehold COMMAND --help" shows the options of one. Every command takes --json.',
            'Begin with "freehold up".',
        ]
    )


def build_app() -> App:
    """The command line's parser. Commands are loaded when they are called."""
    # Lazy: these take longer to load than root help takes to print.
    from cyclopts import App, Parameter
    from rich.console import Console

    from freehold.cli.help_text import HelpFormatter

    app = App(
        name="freehold",
        help=_ABOUT,
        console=Console(),  # a fresh one: the shared one keeps the width of whoever used it first
        help_formatter=HelpFormatter(),
        help_format="plaintext",
        version_flags=[],
        default_parameter=Parameter(negative=(), show_default=False),
        suppress_keyboard_interrupt=False,
    )
    for command in COMMANDS:
        # No help here: root help is ours, and the help of a command is its own docstring.
        app.command(command.target, name=command.name)
    return app
