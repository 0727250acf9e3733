"""From what is written to what the rooms work with: domain values, secrets resolved, defaults filled in fail-closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from freehold.config.checks import AUTO, zone_tree
from freehold.config.compile_vault import VaultPlan, compile_vaults
from freehold.config.label_sections import Labels
from freehold.config.load import LoadedConfig
from freehold.config.schema import (
    Config,
    DeploymentPriceSection,
    DeploymentSection,
    Learning,
    Ledger,
    ModelPriceSection,
    RouteSection,
    TypedPrice,
)
from freehold.config.schema_detect import Detect
from freehold.config.schema_files import Batches, Files
from freehold.config.schema_memory import size_bytes
from freehold.config.secrets import read_secret
from freehold.domain.deployment import (
    DatedPrice,
    Declassify,
    Deployment,
    Doubt,
    EngineKind,
    Instead,
    ModelCard,
    Prerouter,
    PromptCache,
    Route,
    StreamMode,
    Terms,
    TokenPrice,
    Uncalibrated,
)
from freehold.domain.engine_options import NO_OPTIONS, Adapter, CacheType, EngineOptions, Speculation
from freehold.domain.labels import Level
from freehold.domain.money import Money
from freehold.domain.trust import Effect, Sanitise, ToolRule, TrustRules
from freehold.domain.zones import DEVICE, LAN, Zone, ZoneTree

DEFAULT_TENANT = "default"
DEFAULT_TENANT_LABEL = "internal"
_FOR_EVER_DAYS = 36_500
_SHOWN = ("slots", "context_tokens", "gpu_layers")
"""Settings of which "freehold models explain" says whether they are at their default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How a deployment's engine is reached or run; what these mean is in ``schema.DeploymentSection``."""

    base_url: str
    credential: str = field(repr=False)
    ca_file: str
    program: str
    threads: int
    batch_tokens: int
    gpu_layers: int
    prompt_cache: PromptCache
    options: EngineOptions = NO_OPTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """A deployment with its engine's settings.

    ``said`` names the capabilities that the configuration states; the others are read from the model file where the
    engine is ours.
    """

    deployment: Deployment
    settings: EngineSettings
    said: frozenset[str]
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How models share memory.

    Attributes:
        cap_bytes: Most that they may have of the processor's together; 0 for what is free at the start.
        keep_s: A model that was not used for so long is unloaded; 0 for never.
        patience_s: How long those who wait for one let others be used.
    """

    cap_bytes: int = 0
    keep_s: float = 0.0
    patience_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrustPlan:
    """Whose signatures on models count.

    Attributes:
        keys: Public keys, as text.
        unsigned: Whether models that none of them signed are used.
        says_unsigned: Whether somebody wrote that, so that it holds for bundles, too.
    """

    keys: tuple[str, ...] = ()
    unsigned: bool = True
    says_unsigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A configuration in domain values. Labels are still text: reading them is policy's business.

    Attributes:
        tree: The site's zones.
        deployments: In the file's order.
        routes: By name.
        route_labels: Label text by route, where there is one.
        aliases: Name → route or deployment.
        tenants: Label text by tenant, at least one.
        weights: Each tenant's share of a busy deployment.
        learns: Whether outcomes are kept, by tenant.
        spends: What is to be spent in a month, by tenant, where something is.
        labels: What texts say of themselves, and texts that are known again.
        sources: Pattern and label text by the name of a rule for sources.
        learning: What is learnt from judged answers.
        ledger: What owned hardware costs.
        prices: List prices of one's own.
        files: Bounds of files.
        batches: Bounds of batches.
        body_limit_bytes: Longest request, also in a batch.
        total_s: A request in all.
        queue_s: Waiting for a slot.
        digest: Of the configuration.
        rules: Text of the site's own rules; reading them is policy's business too.
        rules_path: Of their file, absolute; empty for none.
        trust: What tools do, and where answers may link.
        detect: When texts are looked through.
        broker: Unix socket of the process through which everything leaves; empty to connect from here.
        vaults: By name; ``archive`` is always among them.
        memory: How models share memory.
        models: Whose signatures on models count.
    """

    tree: ZoneTree
    deployments: tuple[DeploymentPlan, ...]
    routes: Mapping[str, Route]
    route_labels: Mapping[str, str]
    aliases: Mapping[str, str]
    tenants: Mapping[str, str]
    weights: Mapping[str, int]
    learns: Mapping[str, bool]
    spends: Mapping[str, Money]
    labels: Labels
    sources: Mapping[str, tuple[str, str]]
    learning: Learning
    ledger: Ledger
    prices: tuple[DatedPrice, ...]
    files: Files
    batches: Batches
    body_limit_bytes: int
    total_s: float
    queue_s: float
    digest: str
    trust: TrustRules
    detect: Detect
    rules: str = ""
    rules_path: str = ""
    broker: str = ""
    vaults: Mapping[str, VaultPlan] = field(default_factory=dict[str, VaultPlan])
    memory: MemoryPlan = field(default_factory=MemoryPlan)
    models: ModelTrustPlan = ModelTrustPlan()


def compile_config(loaded: LoadedConfig, *, environment: Mapping[str, str], as_broker: bool = False) -> Compiled:
    """Compile a configuration that holds.

    Args:
        loaded: It.
        environment: Where secrets may be.
        as_broker: Whether this is the broker's process. Where there is one, it alone reads the credentials of what is
            beyond this device.

    Raises:
        SecretUnreadable: A secret is not there.
    """
    config = loaded.config
    reads_far = as_broker or not config.egress.broker
    tenants = {name: each.label for name, each in config.tenants.items()}
    return Compiled(
        tree=zone_tree(config),
        deployments=tuple(
            _deployment(name, section, config, environment if reads_far or _is_near(section) else None)
            for name, section in config.deployments.items()
        ),
        routes=_routes(config),
        route_labels={name: section.label for name, section in config.routes.items() if section.label},
        aliases=dict(config.aliases),
        tenants=tenants or {DEFAULT_TENANT: DEFAULT_TENANT_LABEL},
        weights={name: each.weight for name, each in config.tenants.items()} or {DEFAULT_TENANT: 1},
        learns={name: each.learn for name, each in config.tenants.items()} or {DEFAULT_TENANT: True},
        spends={
            name: Money.of(each.spend_per_month, config.ledger.currency)
            for name, each in config.tenants.items()
            if each.spend_per_month is not None
        },
        labels=config.labels,
        sources={name: (each.match, each.label) for name, each in config.sources.items()},
        learning=config.learning,
        ledger=config.ledger,
        prices=dated_prices(config),
        files=config.files,
        batches=config.batches,
        body_limit_bytes=config.server.body_limit_bytes,
        total_s=float(config.deadlines.total_s),
        queue_s=float(config.deadlines.queue_s),
        digest=loaded.digest,
        rules=loaded.rules,
        rules_path=config.policy.rules,
        broker="" if as_broker else config.egress.broker,
        trust=TrustRules(
            tools={
                name: ToolRule(effect=Effect(each.effect), trusted=each.trusted) for name, each in config.tools.items()
            },
            link_hosts=tuple(config.output.link_hosts),
        ),
        detect=config.detect,
        models=compile_models(config),
        vaults=compile_vaults(
            config,
            first_tenant=next(iter(tenants), DEFAULT_TENANT),
            environment=None if as_broker else environment,
        ),
        memory=MemoryPlan(
            cap_bytes=size_bytes(config.memory.cap),
            keep_s=float(config.memory.keep_alive_s),
            patience_s=float(config.memory.patience_s),
        ),
    )


def compile_models(config: Config) -> ModelTrustPlan:
    """Whose signatures count; where nobody said what becomes of the unsigned, keys mean that they are refused."""
    section = config.models
    unsigned = section.unsigned == "allow" if section.unsigned is not None else not section.trusted_keys
    return ModelTrustPlan(
        keys=tuple(section.trusted_keys), unsigned=unsigned, says_unsigned=section.unsigned == "allow"
    )


def _routes(config: Config) -> dict[str, Route]:
    """The routes; ``auto`` means every deployment in the file's order where nobody gave it another meaning."""
    routes = {name: _route(name, section, config.ledger.currency) for name, section in config.routes.items()}
    taken = {*config.routes, *config.deployments, *config.aliases}
    if config.deployments and AUTO not in taken:
        routes[AUTO] = Route(name=AUTO, deployments=tuple(config.deployments))
    return routes


def _is_near(section: DeploymentSection) -> bool:
    return (section.zone or DEVICE) == DEVICE


def _deployment(
    name: str, section: DeploymentSection, config: Config, environment: Mapping[str, str] | None
) -> DeploymentPlan:
    """The plan of one deployment; without an environment its credential is somebody else's to read."""
    zone = Zone(section.zone or DEVICE)
    capabilities = {"tools": section.tools, "embeds": section.embeds, "infill": section.infill}
    said = frozenset(key for key, value in capabilities.items() if value is not None)
    credential = ""
    if section.api_key is not None and environment is not None:
        key = f"deployments.{name}.api_key"
        credential = read_secret(section.api_key, key=key, environment=environment)
    return DeploymentPlan(
        deployment=Deployment(
            name=name,
            engine=EngineKind(section.engine),
            model=ModelCard(
                name=section.model,
                context_tokens=section.context_tokens,
                vision=section.vision,
                tools=section.tools is not False,
                embeds=section.embeds is True,
                reranks=section.reranks,
                infill=section.infill is True,
            ),
            zone=zone,
            terms=_terms(section, zone),
            slots=section.slots,
            queue_max=section.queue_max,
            price=_deployment_price(section.price, config.ledger.currency),
            price_model=section.price_model,
        ),
        settings=EngineSettings(
            base_url=section.base_url,
            credential=credential,
            ca_file=section.ca_file,
            program=section.program,
            threads=section.threads,
            batch_tokens=section.batch_tokens,
            gpu_layers=section.gpu_layers,
            prompt_cache=_prompt_cache(section, config),
            options=_options(section),
        ),
        said=said,
        pinned=section.pinned,
    )


def _adapter(written: str, sha256: str) -> Adapter:
    path, _, scale = written.partition("@")
    name = path.rpartition("/")[2].removesuffix(".gguf")
    return Adapter(name=name, path=path, scale=float(scale or 1), sha256=sha256)


def _options(section: DeploymentSection) -> EngineOptions:
    digests = section.adapter_digests or [""] * len(section.adapters)
    return EngineOptions(
        cache_type=None if section.kv_cache is None else CacheType(section.kv_cache),
        flash_attention=section.flash_attention,
        speculation=Speculation(section.speculation),
        draft_model=section.draft_model,
        draft_tokens=section.draft_tokens,
        adapters=tuple(map(_adapter, section.adapters, digests)),
        tensor_split=tuple(section.tensor_split),
        said=frozenset(key for key in _SHOWN if getattr(section, key) != DeploymentSection.model_fields[key].default),
    )


def _prompt_cache(section: DeploymentSection, config: Config) -> PromptCache:
    """What is not said is what is safe, of a server that is known to understand it; one tenant has nothing of its own to hide."""
    if section.prompt_cache is not None:
        return PromptCache(section.prompt_cache)
    if not section.base_url:
        return PromptCache.UNUSED  # an engine of ours, which keeps its cache apart by itself
    is_shared = section.engine in {"openai", "anthropic"} or len(config.tenants) <= 1
    return PromptCache.SHARED if is_shared else PromptCache.UNUSED


def _terms(section: DeploymentSection, zone: Zone) -> Terms:
    """What is not said is the owner's own on this device, unread elsewhere at home, and the worst further out."""
    is_device, is_home = zone == DEVICE, zone in {DEVICE, LAN}
    clearance = section.clearance or (Level.RESTRICTED if is_device else Level.PUBLIC).word
    kinds = None if section.kinds is None else frozenset(section.kinds)
    retention_days = section.retention_days
    expires = section.evidence.expires
    return Terms(
        clearance=Level[clearance.upper()],
        kinds=frozenset() if kinds is None and not is_device else kinds,
        retention_days=retention_days if retention_days is not None else 0 if is_home else _FOR_EVER_DAYS,
        trains=section.trains if section.trains is not None else not is_home,
        contracts=frozenset(section.contracts),
        expires_unix_ms=None if expires is None else _begins_unix_ms(expires),
    )


def _price(price: TypedPrice, currency: str, *, since: date | None, version: str = "") -> TokenPrice:
    cached = price.cached_input_per_mtok
    return TokenPrice(
        input_micros_per_mtok=Money.of(price.input_per_mtok, currency).micros,
        output_micros_per_mtok=Money.of(price.output_per_mtok, currency).micros,
        cached_input_micros_per_mtok=None if cached is None else Money.of(cached, currency).micros,
        currency=currency,
        source="config",
        price_version=version,
        effective="" if since is None else since.isoformat(),
    )


def _deployment_price(section: DeploymentPriceSection | None, currency: str) -> TokenPrice | None:
    return None if section is None else _price(section, currency, since=section.since)


def dated_prices(config: Config) -> tuple[DatedPrice, ...]:
    """List prices of one's own, which need no secret to be read."""
    return tuple(_dated(name, each, config.ledger.currency) for name, each in config.prices.items())


def _dated(name: str, section: ModelPriceSection, currency: str) -> DatedPrice:
    price = _price(section, currency, since=section.since, version=f"prices.{name}")
    return DatedPrice(model=section.model, from_unix_ms=_begins_unix_ms(section.since), price=price)


def _begins_unix_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)


def _route(name: str, section: RouteSection, currency: str) -> Route:
    return Route(
        name=name,
        deployments=tuple(section.deployments),
        workload=section.workload,
        accept_at=section.accept_at,
        risk_max=section.risk_max,
        uncalibrated=Uncalibrated(section.uncalibrated),
        stream=StreamMode(section.stream),
        prefix_tokens=section.prefix_tokens,
        signals=section.signals,
        attempts_max=section.attempts_max,
        when_busy=tuple(Instead(word) for word in section.when_busy),
        when_down=tuple(Instead(word) for word in section.when_down),
        shadow_share=section.shadow_share,
        canary=section.canary,
        canary_share=section.canary_share,
        doubt=Doubt(
            second_opinion=section.second_opinion or "",
            samples=section.samples,
            self_check=section.self_check or "",
            grey_zone=section.grey_zone,
            beyond_device=section.ask_beyond_device,
        ),
        prerouter=Prerouter(section.prerouter),
        embedder=section.embedder,
        workloads=tuple(section.workloads),
        sanitise=Sanitise(section.sanitise),
        declassify=Declassify(section.declassify),
        redact_answers=section.redact_answers,
        vault=section.vault,
        only_what_may_leave=section.when_vault_forbids == "leave_out",
        worth_micros=None if section.worth is None else Money.of(section.worth, currency).micros,
    )
