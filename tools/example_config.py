"""``freehold.example.toml``: every option with what it means and its default, written from the schema."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from freehold.config.settings import ANY_NAME, Setting, Table, tables

WIDTH = 120

HEAD = """\
# Freehold's configuration: every option there is, each with its default.
#
# Copy it to ./freehold.toml or into the data folder, or let "freehold up" write a short one. A line that begins with "#"
# and a name is an option: remove the "#" to set it. What is set here is a ladder with one rung, which works as it is.
#
# - An option also comes from the environment: FREEHOLD_SERVER__PORT=9000 is port in [server]. Flags go before both.
# - Paths are relative to this file. Secrets are never written here: env:NAME or file:PATH says where they are.
# - "freehold config check" reports every mistake with its line; "freehold config explain server.port" says what holds.
# - A running server takes changes over, and keeps what it has where they hold a mistake. [server], [audit],
#   [files], [batches], [learning], [calibration] and [telemetry] are read at the start only.
"""

LADDER = """\
# --- a ladder ------------------------------------------------------------------------------------
#
# A deployment is a model on an engine in a zone. A route is what clients ask for: deployments in order, and how to judge
# between them. Add larger models below the small one and name them in the route.

[deployments.small]
engine = "embedded"
model = "smollm2-135m"

[routes.auto]
deployments = ["small"]

[aliases]
"gpt-4o-mini" = "auto"
"""

OPTIONS = """\
# --- every option --------------------------------------------------------------------------------
"""

NAMES = {
    "deployments": "cloud",
    "routes": "private",
    "tenants": "finance",
    "audit": "abroad",
    "sources": "legal",
    "tools": "look_up",
    "vaults": "archive",
    "folders": "contracts",
    "prices": "gpt-4o-mini",
}
"""Names of the examples that stand for the user's own."""

LEAVES = {"labels.mip.NAME": "2096f6a2-d2f7-48be-b329-b73aaa526e5d"}
"""The same, of settings that have no fixed name."""

EXAMPLES = {
    "learning.shadow_money_per_month": "5.00",
    "memory.cap": '"6 GiB"',
    "models.unsigned": '"refuse"',
    "deployments.NAME.engine": '"openai"',
    "deployments.NAME.model": '"gpt-4o-mini"',
    "deployments.NAME.zone": '"world"',
    "deployments.NAME.base_url": '"https://api.openai.com/v1"',
    "deployments.NAME.api_key": '"env:OPENAI_API_KEY"',
    "deployments.NAME.clearance": '"internal"',
    "deployments.NAME.kinds": '["pii"]',
    "deployments.NAME.retention_days": "30",
    "deployments.NAME.trains": "false",
    "deployments.NAME.contracts": '["dpa"]',
    "deployments.NAME.tools": "true",
    "deployments.NAME.embeds": "false",
    "deployments.NAME.infill": "false",
    "deployments.NAME.kv_cache": '"f16"',
    "deployments.NAME.flash_attention": "true",
    "deployments.NAME.prompt_cache": '"salted"',
    "deployments.NAME.price_model": '"openai/gpt-4o-mini"',
    "deployments.NAME.evidence.url": '"https://example.com/terms"',
    "deployments.NAME.evidence.checked": "2026-11-01",
    "deployments.NAME.evidence.expires": "2027-11-01",
    "deployments.NAME.price.input_per_mtok": "0.15",
    "deployments.NAME.price.output_per_mtok": "0.60",
    "deployments.NAME.price.cached_input_per_mtok": "0.075",
    "deployments.NAME.price.since": "2026-11-01",
    "prices.NAME.model": '"openai/gpt-4o-mini"',
    "prices.NAME.since": "2026-11-01",
    "prices.NAME.input_per_mtok": "0.15",
    "prices.NAME.output_per_mtok": "0.60",
    "prices.NAME.cached_input_per_mtok": "0.075",
    "routes.NAME.deployments": '["small"]',
    "routes.NAME.risk_max": "0.1",
    "routes.NAME.worth": "0.01",
    "routes.NAME.second_opinion": '"cloud"',
    "routes.NAME.self_check": '"cloud"',
    "routes.NAME.self_check_any_size": "true",
    "routes.NAME.ask_beyond_device": "true",
    "routes.NAME.label": '"restricted"',
    "labels.mip.NAME": '"restricted;kinds=phi"',
    "sources.NAME.match": '"file:/legal/**"',
    "sources.NAME.label": '"confidential;zones=lan"',
    "tenants.NAME.label": '"confidential"',
    "tools.NAME.effect": '"read"',
    "tenants.NAME.spend_per_month": "50.00",
    "audit.witnesses.NAME.url": '"https://witness.example"',
    "audit.witnesses.NAME.vkey": '"witness.example/w1+8d66cf3f+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"',
    "telemetry.otlp_endpoint": '"http://127.0.0.1:4318"',
    "telemetry.otlp_authorization": '"env:OTLP_AUTHORIZATION"',
    "vaults.NAME.key": '"env:FREEHOLD_ARCHIVE_KEY"',
    "vaults.NAME.folders.NAME.path": '"/home/ana/contracts"',
    "vaults.NAME.folders.NAME.tenant": '"finance"',
    "vaults.NAME.folders.NAME.label": '"restricted"',
    "vaults.NAME.folders.NAME.readers": '["user:ana", "group:legal"]',
    "ledger.purchase_price": "1200",
    "ledger.compare_with": '"openai/gpt-4o-mini"',
}
"""Values of options that are not set unless somebody sets them, and of the examples."""

_IS_SET_ABOVE = "aliases"


def example() -> str:
    """The whole file."""
    return "\n".join([HEAD, LADDER, OPTIONS, *(_table(table) for table in tables() if table.path[0] != _IS_SET_ABOVE)])


def uncommented(text: str) -> str:
    """The file with every option set."""
    lines = (line[1:] if line.startswith("#") and line[1:2] not in {" ", ""} else line for line in text.splitlines())
    return "\n".join(lines) + "\n"


def _table(table: Table) -> str:
    path = ".".join(_named(table.path))
    # A table of the user's own naming is an example as a whole: it must not spring into being half-set.
    head = f"#[{path}]" if ANY_NAME in table.path else f"[{path}]"
    return (
        "\n".join([head, *_prose(table.description), *(line for each in table.settings for line in _option(each))])
        + "\n"
    )


def _named(path: tuple[str, ...]) -> Iterator[str]:
    for place, piece in enumerate(path):
        yield (NAMES.get(path[place - 1]) or NAMES[path[0]]) if piece == ANY_NAME else piece


def _option(setting: Setting) -> Iterator[str]:
    key = ".".join(setting.path)
    value = EXAMPLES.get(key, setting.default)
    if not value:
        raise ValueError(f"{key} has no default: give it an example")
    yield ""
    yield from _prose(setting.description)
    note = _note(setting, value)
    yield f"#{LEAVES.get(key, setting.path[-1])} = {value}{f'  # {note}' if note else ''}"


def _note(setting: Setting, value: str) -> str:
    if setting.required:
        return "must be set"
    if not setting.default:
        return "an example; not set by default"
    return "" if value == setting.default else f"an example; the default is {setting.default}"


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, width=WIDTH, initial_indent="# ", subsequent_indent="# ")
