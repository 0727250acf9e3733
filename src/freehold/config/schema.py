"""Every setting there is. Field descriptions are the documentation: reference page and example file are held to them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from freehold.config.label_sections import Labels, SourceSection
from freehold.config.schema_audit import AUDIT_DAYS_LEAST, Audit
from freehold.config.schema_detect import Detect
from freehold.config.schema_egress import Egress
from freehold.config.schema_files import Batches, Files
from freehold.config.schema_memory import MemorySection
from freehold.config.schema_models import Models
from freehold.config.schema_route import Price, RouteSection
from freehold.config.schema_untrusted import Output, ToolName, ToolSection
from freehold.config.schema_vault import VaultName, VaultSection
from freehold.config.section import Name, SecretReference, Section

LevelWord = Literal["public", "internal", "confidential", "restricted"]
AdapterFile = Annotated[str, Field(pattern=r"^[^@]+\.gguf(@-?\d{1,2}(\.\d{1,3})?)?$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Server(Section):
    """The listening side."""

    host: str = Field(default="127.0.0.1", description="Address to listen on. Anything but loopback needs TLS.")
    port: int = Field(default=8484, ge=0, le=65_535, description="Port; 0 lets the system choose one.")
    hosts: list[str] = Field(
        default=[], description="Further names that the Host header may carry, without port. Loopback names always may."
    )
    body_limit_bytes: int = Field(
        default=16_777_216, ge=1_024, le=1_073_741_824, description="Largest request body in bytes."
    )
    tls_certificate: str = Field(default="", description="Path of a PEM certificate chain; empty for plain HTTP.")
    tls_key: str = Field(default="", description="Path of the certificate's private key.")
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that serve; 0 is one for each core. With more than one, every deployment must be a server"
        " that runs by itself.",
    )
    drain_s: int = Field(default=30, ge=0, le=600, description="Seconds that running streams may go on after SIGTERM.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="One line of text or one JSON object for each event."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )


class Site(Section):
    """Where this machine stands."""

    region: Name = Field(default="home", description="Name of the region that this machine and its network are in.")
    regions: list[Name] = Field(
        default=[], description="Names of other regions that deployments are in, for example us or eu."
    )


class Evidence(Section):
    """Where an upstream's terms were read, and how long that is believed."""

    url: str = Field(default="", description="Where the terms were read.")
    checked: date | None = Field(default=None, description="Date on which they were read.")
    expires: date | None = Field(
        default=None, description="From this date on the deployment is cleared for public texts only."
    )


class TypedPrice(Section):
    """A list price typed in, per million tokens, in the ledger's currency."""

    input_per_mtok: Price = Field(description="Price of a million input tokens.")
    output_per_mtok: Price = Field(description="Price of a million output tokens.")
    cached_input_per_mtok: Price | None = Field(
        default=None, description="Price of a million cached input tokens; the input price if not said."
    )


class DeploymentPriceSection(TypedPrice):
    """What a deployment costs."""

    since: date | None = Field(default=None, description="From which day on it holds; receipts say so.")


class ModelPriceSection(TypedPrice):
    """What a model costs from a day on, where the list that comes with Freehold does not know it, or not yet."""

    model: str = Field(description="PROVIDER/MODEL, as price_model and compare_with name it.")
    since: date = Field(description="From which day on, in UTC; before it an earlier one holds, else the list.")


class DeploymentSection(Section):
    """A model on an engine in a zone."""

    engine: Literal["embedded", "llama-server", "onnx", "openai", "anthropic"] = Field(
        description="embedded (llama.cpp in a child of ours), llama-server (a program that we run, or one that runs at"
        " base_url), onnx (a small model in a child of ours that embeds or reranks; needs the extra embed), openai (any server that speaks OpenAI's protocol), anthropic (the Messages API)."
    )
    model: str = Field(
        min_length=1,
        description="For engines of ours a name of the catalogue, hf:OWNER/REPO/FILE.gguf or the path of a GGUF file"
        " (for onnx a name of the catalogue); for others the model's name at its server.",
    )
    zone: Name | None = Field(
        default=None,
        description="Where it runs: device, lan, a region of this site, or world. device if not said for an engine of"
        " ours; must be said for every server.",
    )
    base_url: str = Field(
        default="", description="Address of the server, with its /v1 where it has one; unix:///PATH for a socket."
    )
    api_key: SecretReference | None = Field(
        default=None, description="Credential for the server by reference: env:NAME or file:PATH."
    )
    ca_file: str = Field(
        default="", description="PEM file of the certificate authority to trust instead of the system's."
    )
    clearance: LevelWord | None = Field(
        default=None,
        description="Highest level of text that it may see. If not said: restricted on this device, else public.",
    )
    kinds: list[Name] | None = Field(
        default=None,
        description="Kinds of text that it is cleared for (pii, phi, pci…). If not said: all on this device, else none.",
    )
    retention_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days that it keeps texts. If not said: 0 on this device and its network, else for ever.",
    )
    trains: bool | None = Field(
        default=None,
        description="Whether it may train on texts. If not said: no on this device and its network, else yes.",
    )
    contracts: list[Name] = Field(default=[], description="Contracts with who runs it: dpa, baa, scc, zdr.")
    evidence: Evidence = Field(default=Evidence(), description="Where its terms were read.")
    context_tokens: int = Field(
        default=4_096, ge=256, le=4_194_304, description="Prompt and answer together, for each request."
    )
    slots: int = Field(default=2, ge=1, le=1_024, description="Requests that it runs at once.")
    queue_max: int = Field(
        default=64, ge=0, le=65_536, description="Requests that may wait for a slot; more are refused at once."
    )
    threads: int = Field(
        default=0, ge=0, le=1_024, description="Threads of an engine of ours; 0 leaves one core to the rest."
    )
    batch_tokens: int = Field(
        default=0,
        ge=0,
        le=8_192,
        description="Prompt tokens that an engine of ours reads in one go. Larger reads prompts faster, and goes on"
        " longer for a client that left; 0 chooses for this machine and model.",
    )
    gpu_layers: int = Field(
        default=0,
        ge=-1,
        le=10_000,
        description="Layers that an engine of ours puts on an accelerator, where its build has one; -1 is all.",
    )
    pinned: bool = Field(
        default=False, description="Whether a model of an engine of ours, once loaded, makes way for no other."
    )
    tensor_split: list[float] = Field(
        default=[],
        description="Shares of the model for each accelerator, in any unit, for example [3, 1]; empty for an even split.",
    )
    kv_cache: Literal["f16", "q8_0", "q4_0"] | None = Field(
        default=None,
        description="How a llama.cpp of ours keeps its key-value cache: q8_0 takes about half of f16, q4_0 about a quarter,"
        " and changes answers more. If not said: f16 where that fits.",
    )
    flash_attention: bool | None = Field(
        default=None,
        description="Whether a llama.cpp of ours computes attention without its whole score matrix. If not said: where it can.",
    )
    speculation: Literal["auto", "off", "draft", "lookup"] = Field(
        default="auto",
        description="Whether the embedded engine guesses tokens and checks several at once: draft by draft_model, lookup by"
        " what stands in the prompt. auto only where freehold bench measured on this machine that it pays.",
    )
    draft_model: str = Field(
        default="",
        description="A smaller model with the same tokenizer that guesses, as model is given.",
    )
    draft_tokens: int = Field(default=0, ge=0, le=64, description="Most tokens guessed at once; 0 for what suits.")
    adapters: list[AdapterFile] = Field(
        default=[],
        description="LoRA adapters of a llama.cpp of ours, applied together: paths of GGUF files, each with @ and its strength"
        " where that is not 1. A route of its own needs a deployment of its own.",
    )
    adapter_digests: list[Sha256] = Field(
        default=[], description="SHA-256 that these files must have, in hex and in the same order; empty for any."
    )
    program: str = Field(
        default="", description="Path of a llama-server program to run, with engine llama-server and no base_url."
    )
    tools: bool | None = Field(
        default=None, description="Whether it can call tools. If not said: read from the model file, else yes."
    )
    vision: bool = Field(default=False, description="Whether it takes images.")
    embeds: bool | None = Field(
        default=None,
        description="Whether it serves embeddings instead of answers. If not said: read from the model file, else no.",
    )
    reranks: bool = Field(
        default=False,
        description="Whether a server of engine openai reranks: base_url/rerank is asked, as vLLM, llama.cpp, LocalAI,"
        " Jina and Cohere serve it. Of a model of engine onnx it is known.",
    )
    infill: bool | None = Field(
        default=None, description="Whether it fills in the middle. If not said: read from the model file, else no."
    )
    prompt_cache: Literal["shared", "salted", "unused"] | None = Field(
        default=None,
        description="What is done about a server's cache of prompts, by which one tenant could learn what another sent:"
        " salted sends a cache_salt for each tenant and label (vLLM from 0.9, SGLang), unused tells llama.cpp to read each"
        " prompt anew, shared does nothing. If not said: unused for a llama-server at base_url where there are several"
        " tenants, else shared. Engines of ours keep theirs apart.",
    )
    price: DeploymentPriceSection | None = Field(
        default=None, description="List price, where the one that price_model finds is not yours."
    )
    price_model: str = Field(
        default="", description="PROVIDER/MODEL to look the list price up with, for example openai/gpt-4o-mini."
    )


class TenantSection(Section):
    """A customer or department."""

    label: str = Field(default="internal", description="Label that every request of the tenant has at least.")
    weight: int = Field(
        default=1,
        ge=1,
        le=1_000,
        description="Its share of a busy deployment against other tenants': while both wait, one of weight 3 gets three"
        " times the tokens of one of weight 1.",
    )
    spend_per_month: Price | None = Field(
        default=None,
        description="What its requests are to cost in a month by UTC, in the ledger's currency: answers are escalated for"
        " doubt only as far as that lasts to the month's end. A limit of money refuses requests; this does not.",
    )
    learn: bool = Field(
        default=True,
        description="Whether outcomes of its answers are kept, without texts, and shadows asked about them.",
    )
    audit_days: int = Field(
        default=AUDIT_DAYS_LEAST,
        ge=AUDIT_DAYS_LEAST,
        le=36_500,
        description="Days that what its audit entries say is kept at least; freehold audit prune leaves younger ones.",
    )


class Policy(Section):
    """Rules of this site's own, beside the shipped ones."""

    rules: str = Field(
        default="",
        description="Path of a file of rules in Cedar, which may forbid more than the shipped rules, and say by permits what"
        " a tenant may use. It can allow nothing that those forbid.",
    )


class Learning(Section):
    """What is learnt from judged answers: their outcomes, shadows, and how long certificates hold."""

    outcomes_max: int = Field(
        default=20_000,
        ge=0,
        le=1_000_000,
        description="Newest outcomes kept of each tenant and workload, without any text; 0 keeps none, and asks no shadows.",
    )
    not_from_keys: list[str] = Field(default=[], description="Ids of keys from whose requests nothing is learnt.")
    shadows_at_once: int = Field(default=2, ge=1, le=64, description="Shadows that run at the same time.")
    shadow_money_per_month: Price | None = Field(
        default=None,
        description="Most that shadows may cost in a month by UTC, in the ledger's currency; limits of tenants and keys"
        " hold besides. If not said, only those do.",
    )
    alarm_run_length: int = Field(
        default=1_000,
        ge=20,
        le=1_000_000,
        description="Labels of accepted answers until a false alarm, at least, in the mean.",
    )
    certify_again: Literal["automatic", "by-command"] = Field(
        default="automatic",
        description="What to do after an alarm once 120 fresh labels are there: certify anew on those, or wait for freehold"
        " certify.",
    )
    certificate_days: int = Field(default=90, ge=1, le=3_650, description="Days after which a certificate is void.")


class Ledger(Section):
    """What this machine costs. Where its price is not said, local answers are unpriced, never free."""

    currency: Currency = Field(default="USD", description="ISO 4217 code of every amount in this file.")
    purchase_price: Price | None = Field(
        default=None, description="Paid for this machine. If not said, its answers are unpriced."
    )
    residual_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of that price it still brings at the end of its life."
    )
    life_months: int = Field(default=48, ge=1, le=600, description="Months of its life.")
    busy_share: float = Field(default=0.2, ge=0.001, le=1, description="Share of its life in which it works.")
    idle_watts: int = Field(default=20, ge=0, le=1_000_000, description="Power at the wall while it waits.")
    busy_watts: int = Field(default=60, ge=0, le=1_000_000, description="Power at the wall while it works.")
    power_price_per_kwh: Price = Field(default=Decimal("0.25"), description="Price of a kilowatt-hour.")
    pue: float = Field(default=1.0, ge=1, le=10, description="Power usage effectiveness of its room; 1 for a desk.")
    compare_with: str = Field(
        default="", description="PROVIDER/MODEL whose list price local answers are compared with; empty for none."
    )


class DeadlineSection(Section):
    """How long things may take."""

    total_s: int = Field(default=600, ge=1, le=86_400, description="Seconds for a request in all.")
    queue_s: int = Field(default=60, ge=1, le=3_600, description="Seconds that a request waits for a slot.")


class Calibration(Section):
    """Calibrations of one's own."""

    folder: str = Field(
        default="", description="Folder of further calibration files; the data folder's own one if empty."
    )


class Hub(Section):
    """Where models are pulled from."""

    endpoint: str = Field(
        default="", description="Address of a model hub; the default of the hub's own client library if empty."
    )


class Telemetry(Section):
    """Where spans are sent. Nothing is sent to anybody unless an endpoint is set; prompts and answers never are."""

    otlp_endpoint: str = Field(
        default="",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, for example"
        " http://127.0.0.1:4318; empty for none.",
    )
    otlp_zone: Name = Field(
        default="device",
        description="Where the collector runs. Outside of device each batch is recorded in the audit log before it goes.",
    )
    otlp_authorization: SecretReference | None = Field(
        default=None, description="Value of the Authorization header by reference: env:NAME or file:PATH."
    )
    otlp_ca_file: str = Field(
        default="", description="PEM file of the certificate authority to trust instead of the system's."
    )
    service_name: Name = Field(default="freehold", description="Name that spans carry as service.name.")
    sample_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the requests whose spans are sent. A request that is part of a client's trace is sent if"
        " that trace is sampled.",
    )


class Config(Section):
    """A whole configuration."""

    server: Server = Field(default=Server(), description="The listening side.")
    site: Site = Field(default=Site(), description="Where this machine stands.")
    deployments: dict[Name, DeploymentSection] = Field(default={}, description="Models on engines in zones, by name.")
    memory: MemorySection = Field(default=MemorySection(), description="The memory that models share.")
    routes: dict[Name, RouteSection] = Field(default={}, description="What clients ask for, by name.")
    aliases: dict[Name, Name] = Field(
        default={}, description="Names that existing programs send, each with the route or deployment that it means."
    )
    tenants: dict[Name, TenantSection] = Field(
        default={}, description="Customers or departments by name; one called default where none is given."
    )
    labels: Labels = Field(
        default=Labels(), description="What texts say of themselves, and texts that are known again."
    )
    sources: dict[Name, SourceSection] = Field(
        default={}, description="Where texts come from, and what they are labelled for that; default is for all others."
    )
    detect: Detect = Field(
        default=Detect(), description="Looking through texts for personal data and credentials before they leave."
    )
    policy: Policy = Field(default=Policy(), description="Rules of this site's own, beside the shipped ones.")
    learning: Learning = Field(default=Learning(), description="What is learnt from judged answers.")
    ledger: Ledger = Field(default=Ledger(), description="What this machine costs.")
    prices: dict[Name, ModelPriceSection] = Field(
        default={}, description="List prices of one's own, each from a day on; of one model the latest holds."
    )
    tools: dict[ToolName, ToolSection] = Field(default={}, description="What tools do, by name; '*' for all others.")
    output: Output = Field(default=Output(), description="What answers in an untrusted context may hold.")
    deadlines: DeadlineSection = Field(default=DeadlineSection(), description="How long things may take.")
    audit: Audit = Field(default=Audit(), description="The audit log.")
    egress: Egress = Field(default=Egress(), description="Who connects beyond this device.")
    files: Files = Field(default=Files(), description="Files that clients send, and results of batches.")
    batches: Batches = Field(default=Batches(), description="Requests in a file, answered at the lowest priority.")
    vaults: dict[VaultName, VaultSection] = Field(
        default={},
        description="Private documents that are searched, by name; one called archive is there without being named.",
    )
    calibration: Calibration = Field(default=Calibration(), description="Calibrations of one's own.")
    models: Models = Field(default=Models(), description="Whose signatures on models count.")
    hub: Hub = Field(default=Hub(), description="Where models are pulled from.")
    telemetry: Telemetry = Field(default=Telemetry(), description="Where spans are sent.")
