"""Where a broker's process may connect: what its own copy of the configuration names, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from freehold.app.collector import TELEMETRY, TELEMETRY_LABEL, traces_path
from freehold.app.witnesses import WITNESS_LABEL, add_checkpoint_path, witness_name
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.config.load import LoadedConfig
from freehold.config.secrets import read_secret
from freehold.domain.deployment import Deployment
from freehold.domain.zones import DEVICE, Zone
from freehold.engines.outward import asked_paths, fixed_headers
from freehold.net.brokered.reads import HUB_LABEL, HubPart, hub_place_name
from freehold.net.origin import Origin

_HUB_CONNECTIONS_MAX = 8
_ALL_CORES = 64
"""Workers, where the server has one for each core of a machine that may not be this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One destination beyond this device.

    Attributes:
        name: The deployment's, or what the house calls its own.
        base_url: Its address.
        zone: Where it is.
        paths: What is asked there.
        headers: Fields of every request, the credential among them.
        secret: The credential; empty for none.
        ca_file: The only authority to trust; empty for the system's.
        connections_max: Most at once.
        deployment: What it is for the rules; ``None`` for what the house sends itself.
        label: For what the house sends itself, the strictest label that it may have.
        hub_part: What it is of a model hub, which is read from and sent nothing; ``None`` for any other place.
    """

    name: str
    base_url: str
    zone: Zone
    paths: frozenset[str]
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secret: str = field(default="", repr=False)
    ca_file: str = ""
    connections_max: int = 1
    deployment: Deployment | None = None
    label: str = ""
    hub_part: HubPart | None = None

    @property
    def origin(self) -> str:
        """``scheme://host:port``."""
        return Origin.parse(self.base_url).text


def places_of(loaded: LoadedConfig, compiled: Compiled, environment: Mapping[str, str]) -> Iterator[Place]:
    """Every destination beyond this device: deployments first.

    Raises:
        SecretUnreadable: A credential is not there.
        BaseUrlInvalid: An address cannot be read.
    """
    workers = loaded.config.server.workers or _ALL_CORES
    for plan in compiled.deployments:
        if not plan.deployment.is_on_device:
            yield _deployment(plan, workers)
    telemetry = loaded.config.telemetry
    if telemetry.otlp_endpoint and telemetry.otlp_zone != DEVICE:
        secret = ""
        if telemetry.otlp_authorization is not None:
            key = "telemetry.otlp_authorization"
            secret = read_secret(telemetry.otlp_authorization, key=key, environment=environment)
        yield Place(
            name=TELEMETRY,
            base_url=telemetry.otlp_endpoint,
            zone=Zone(telemetry.otlp_zone),
            paths=frozenset({traces_path(telemetry.otlp_endpoint)}),
            headers=(("authorization", secret),) if secret else (),
            secret=secret,
            ca_file=telemetry.otlp_ca_file,
            connections_max=workers,
            label=TELEMETRY_LABEL,
        )
    for name, witness in loaded.config.audit.witnesses.items():
        if witness.zone != DEVICE:
            yield Place(
                name=witness_name(name),
                base_url=witness.url,
                zone=Zone(witness.zone),
                paths=frozenset({add_checkpoint_path(witness.url)}),
                ca_file=witness.ca_file,
                connections_max=workers,
                label=WITNESS_LABEL,
            )
    for number, address in enumerate(loaded.config.egress.hub):
        yield Place(
            name=hub_place_name(number),
            base_url=address,
            zone=Zone(loaded.config.egress.hub_zone),
            paths=frozenset(),
            connections_max=_HUB_CONNECTIONS_MAX,
            label=HUB_LABEL,
            hub_part=HubPart.STORAGE if number else HubPart.HUB,
        )


def _deployment(plan: DeploymentPlan, workers: int) -> Place:
    deployment, settings = plan.deployment, plan.settings
    return Place(
        name=deployment.name,
        base_url=settings.base_url,
        zone=deployment.zone,
        paths=asked_paths(deployment.engine, settings.base_url),
        headers=fixed_headers(deployment.engine, settings.credential),
        secret=settings.credential,
        ca_file=settings.ca_file,
        connections_max=max(deployment.slots, 1) * workers,
        deployment=deployment,
    )
