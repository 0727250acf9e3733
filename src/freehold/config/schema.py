"""Every setting there is. Field descriptions are the documentation: reference page and example file are held to them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LevelWord = Literal["public", "internal", "confidential", "restricted"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
SecretReference = Annotated[str, Field(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
    """The listening side."""

    host: str = Field(default="127.0.0.1", description="Address to listen on. Anything but loopback needs TLS.")
    port: int = Field(default=8484, ge=0, le=65_535, description="Port; 0 lets the system choose one.")
    hosts: list[str] = Field(default=[], description="Further names that the Host header may carry, without port.")
    body_limit_bytes: int = Field(default=16_777_216, ge=1_024, le=1_073_741_824, description="Largest request body.")
    tls_certificate: str = Field(default="", description="Path of a PEM certificate chain; empty for plain HTTP.")
    tls_key: str = Field(default="", description="Path of the certificate's private key.")
    drain_s: int = Field(default=30, ge=0, le=600, description="How long running streams may go on after SIGTERM.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="One line of text or one JSON object an event."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity logged."
    )


class Site(_Section):
    """Where this machine stands."""

    region: Name = Field(default="home", description="Name of the region that this machine and its network are in.")
    regions: list[Name] = Field(default=[], description="Other regions that deployments are in, for example us or eu.")


class Evidence(_Section):
    """Where an upstream's terms were read, and how long that is believed."""

    url: str = Field(default="", description="Where the terms were read.")
    checked: date | None = Field(default=None, description="When they were read.")
    expires: date | None = Field(
        default=None, description="From this day on the deployment is cleared for public texts only."
    )


class TypedPrice(_Section):
    """A list price typed in, per million tokens."""

    input_per_mtok: Price = Field(description="Price of a million input tokens, in the ledger's currency.")
    output_per_mtok: Price = Field(description="Price of a million output tokens.")
    cached_input_per_mtok: Price | None = Field(default=None, description="Price of a million cached input tokens.")


class DeploymentSection(_Section):
    """A model on an engine in a zone."""

    engine: Literal["embedded", "llama-server", "openai", "anthropic"] = Field(
        description="embedded (llama.cpp in a child of ours), llama-server (a child, or one that runs at base_url),"
        " openai (any server that speaks OpenAI's protocol), anthropic (the Messages API)."
    )
    model: str = Field(description="Name, hf: reference or path of the model file, or the model's name at its server.")
    zone: Name | None = Field(
        default=None,
        description="device, lan, a region, or world. device for embedded engines; to be said for all others.",
    )
    base_url: str = Field(
        default="", description="Address of the server, with its /v1 where it has one; also unix:///PATH."
    )
    api_key: SecretReference | None = Field(default=None, description="Credential for it, as env:NAME or file:PATH.")
    ca_file: str = Field(
        default="", description="PEM file of the certificate authority to trust instead of the system's."
    )
    clearance: LevelWord | None = Field(
        default=None, description="Highest level it may see. restricted on this device, public elsewhere, if not said."
    )
    kinds: list[Name] | None = Field(
        default=None, description="Kinds it is cleared for. All on this device, none elsewhere."
    )
    retention_days: int | None = Field(
        default=None, ge=0, description="How long it keeps texts; the worst if not said."
    )
    trains: bool | None = Field(default=None, description="Whether it may train on texts; true if not said.")
    contracts: list[Name] = Field(default=[], description="Contracts with it: dpa, baa, scc, zdr.")
    evidence: Evidence = Field(default=Evidence(), description="Where its terms were read.")
    context_tokens: int = Field(
        default=4_096, ge=256, le=4_194_304, description="Prompt and answer together, per request."
    )
    slots: int = Field(default=2, ge=1, le=1_024, description="Requests it runs at once.")
    threads: int = Field(default=0, ge=0, le=1_024, description="Threads of an engine of ours; 0 leaves one core free.")
    batch_tokens: int = Field(
        default=128,
        ge=32,
        le=8_192,
        description="Prompt tokens read in one go; bounds how long a prompt is read for nobody.",
    )
    program: str = Field(default="", description="Path of a llama-server binary to run instead of the embedded engine.")
    tools: bool | None = Field(
        default=None, description="Whether it can call tools; known from the file for local models."
    )
    vision: bool = Field(default=False, description="Whether it takes images.")
    embeds: bool | None = Field(default=None, description="Whether it serves embeddings instead of answers.")
    infill: bool | None = Field(default=None, description="Whether it fills in the middle.")
    price: TypedPrice | None = Field(default=None, description="List price, where the price book's is not yours.")
    price_model: str = Field(default="", description="provider/model to look the list price up with.")


class RouteSection(_Section):
    """What a client asks for."""

    deployments: list[Name] = Field(min_length=1, description="Deployments, first choice first.")
    workload: Name = Field(default="general", description="Kind of task; chooses the calibration.")
    accept_at: float = Field(default=0.7, ge=0, le=1, description="Least calibrated probability that is good enough.")
    uncalibrated: Literal["accept", "escalate"] = Field(
        default="accept", description="What to do where no calibration holds."
    )
    stream: Literal["hold", "commit"] = Field(
        default="hold", description="Judge a stream before it is sent, or send it live."
    )
    signals: bool = Field(default=True, description="Whether answers are measured (about 4 % of decode speed).")
    attempts_max: int = Field(default=2, ge=1, le=8, description="Most deployments tried for one request.")
    label: str = Field(default="", description="Label that this route adds to everything sent through it.")


class TenantSection(_Section):
    """A customer or department."""

    label: str = Field(default="internal", description="Floor of every request's label.")


class Ledger(_Section):
    """What owned hardware costs. Left out, local answers are unpriced, never free."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(default="USD", description="ISO 4217 code.")
    purchase_price: Price | None = Field(default=None, description="Paid for this machine; unset leaves it unpriced.")
    residual_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of the price left at the end of its life."
    )
    life_months: int = Field(default=48, ge=1, le=600, description="Months of its life.")
    busy_share: float = Field(default=0.2, gt=0, le=1, description="Share of its life in which it works.")
    idle_watts: int = Field(default=20, ge=0, le=1_000_000, description="Power at the wall, waiting.")
    busy_watts: int = Field(default=60, ge=0, le=1_000_000, description="Power at the wall, working.")
    power_price_per_kwh: Price = Field(default=Decimal("0.25"), description="Price of a kilowatt-hour.")
    pue: float = Field(default=1.0, ge=1, le=10, description="Power usage effectiveness of its room.")
    compare_with: str = Field(default="", description="provider/model that local answers are priced against.")


class DeadlineSection(_Section):
    """How long things may take."""

    total_s: int = Field(default=600, ge=1, le=86_400, description="A request in all.")
    queue_s: int = Field(default=60, ge=1, le=3_600, description="Waiting for a slot.")


class Audit(_Section):
    """The audit log."""

    origin: Annotated[str, Field(pattern=r"^[^\s+]{1,128}$")] = Field(
        default="freehold.local/audit", description="The log's name in its checkpoints. It cannot be changed later."
    )


class Calibration(_Section):
    """Where calibrations are."""

    folder: str = Field(default="", description="Folder of further calibration files; the data folder's if empty.")


class Hub(_Section):
    """Where models are pulled from."""

    endpoint: str = Field(default="", description="Address of a model hub; the hub library's own default if empty.")


class Config(_Section):
    """A whole configuration."""

    server: Server = Field(default=Server(), description="The listening side.")
    site: Site = Field(default=Site(), description="Where this machine stands.")
    deployments: dict[Name, DeploymentSection] = Field(default={}, description="Models on engines in zones, by name.")
    routes: dict[Name, RouteSection] = Field(default={}, description="What clients ask for, by name.")
    aliases: dict[Name, Name] = Field(
        default={}, description="Names that existing programs send, and what they mean here."
    )
    tenants: dict[Name, TenantSection] = Field(
        default={}, description="Customers or departments; one named default if none."
    )
    ledger: Ledger = Field(default=Ledger(), description="What owned hardware costs.")
    deadlines: DeadlineSection = Field(default=DeadlineSection(), description="How long things may take.")
    audit: Audit = Field(default=Audit(), description="The audit log.")
    calibration: Calibration = Field(default=Calibration(), description="Where calibrations are.")
    hub: Hub = Field(default=Hub(), description="Where models are pulled from.")
