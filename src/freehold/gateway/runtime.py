"""What one request sees of the configuration: a snapshot that a reload replaces whole."""

from __future__ import annotations

import difflib
import functools
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from freehold.domain.certificates import Certificate
from freehold.domain.deployment import Deployment, Route, StreamMode
from freehold.domain.errors.request import UnknownModel
from freehold.domain.findings import Detector, DetectRules, NothingSeen
from freehold.domain.identity import Principal
from freehold.domain.judging_ports import Learner, NothingCertified, NothingLearnt, Standings
from freehold.domain.labels import Label
from freehold.domain.limits import Bound
from freehold.domain.memory import FileLabels, Memory, NoFiles, NothingRemembered
from freehold.domain.ports import (
    Admission,
    AuditLog,
    Authenticator,
    Clock,
    EgressJournal,
    Engine,
    PriceBook,
    Quotas,
    ReceiptStore,
    Reservation,
)
from freehold.domain.receipt import Receipt
from freehold.domain.releases import NoReleases, Releases
from freehold.domain.trust import NOTHING_SAID, Approvals, NothingApproved, TrustRules
from freehold.domain.vault_ports import NoVault, Vault
from freehold.domain.zones import ZoneTree
from freehold.gateway.load import DeviceLoad
from freehold.hostinfo.clock import any_share
from freehold.ledger.machine import OwnedHardware
from freehold.policy.flow import FlowRules
from freehold.policy.rulebook import Rulebook
from freehold.routing.calibration import Calibration
from freehold.routing.retries import RetryBudgets

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds a request may take in all, and may wait for a slot."""

    total_s: float = 600.0
    queue_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that is decided from, as of one reload.

    Attributes:
        tree: The site's zones.
        engines: By deployment name.
        routes: By name.
        route_labels: Label that a route adds to what goes through it.
        aliases: Name that a client sends → route or deployment.
        calibrations: Of a deployment's name and a workload; only those that apply to what runs there now.
        hardware: What owned hardware costs; ``None`` where its owner has not said.
        compare_with: ``provider/model`` that local answers are priced against; empty for none.
        deadlines: Time limits.
        config_digest: Digest of the configuration.
        certificates: Of files: whatever they were made for, and whenever.
        places: Digest of what each deployment is: another one by the same name has another.
        flow: What a request's text adds to its label; ``None`` for what holds where nobody said anything.
        policy: The rules in force.
        trust: What tools do, and where answers may link.
        detect: When texts are looked through for what raises their label; ``None`` for never.
        trusted_vaults: Vaults whose documents are as good as their owner's own words.
        cache_key: By which scopes of caches are made; a fresh one keeps them apart as well, but nobody else knows them.
        epoch: How many snapshots were in force before: two of one configuration may run other engines.
    """

    tree: ZoneTree
    engines: Mapping[str, Engine]
    routes: Mapping[str, Route]
    route_labels: Mapping[str, Label]
    aliases: Mapping[str, str]
    calibrations: Callable[[str, str], Sequence[Calibration]]
    hardware: OwnedHardware | None
    compare_with: str
    deadlines: Deadlines
    config_digest: str
    policy: Rulebook
    certificates: tuple[Certificate, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    flow: FlowRules | None = None
    trust: TrustRules = NOTHING_SAID
    detect: DetectRules | None = None
    trusted_vaults: frozenset[str] = frozenset()
    cache_key: bytes = field(default_factory=partial(os.urandom, 32), repr=False)
    epoch: int = 0

    def route_for(self, model: str) -> Route:
        """The route that a client means by ``model``: a route, a deployment on its own, or an alias of either.

        Raises:
            UnknownModel: None of these.
        """
        name = model if model in self.routes or model in self.engines else self.aliases.get(model, model)
        if route := self.routes.get(name):
            return route
        if name in self.engines:
            return Route(name=name, deployments=(name,), stream=StreamMode.COMMIT, attempts_max=1)
        raise UnknownModel(param="model", model=model, suggestion=self._suggestion(model))

    def deployments_of(self, route: Route) -> tuple[Deployment, ...]:
        """The route's deployments in order."""
        return tuple(self.engines[name].deployment for name in route.deployments)

    def names(self) -> tuple[str, ...]:
        """Every name a client may send."""
        return (*self.routes, *self.engines, *self.aliases)

    def _suggestion(self, model: str) -> str:
        near = difflib.get_close_matches(model[:80], self.names(), n=1)
        return f" (did you mean {near[0]!r}?)" if near else ""


class NoQuotas:
    """Holds nobody to anything."""

    limited: frozenset[str] = frozenset()

    def reserve(self, principal: Principal, bound: Bound) -> Reservation | None:  # noqa: ARG002 - a port's
        """Nothing."""
        return None


@functools.cache
def any_key(tenant: str) -> bytes:  # noqa: ARG001 - one for each
    """A key for a tenant's pseudonyms that lives as long as this process."""
    return secrets.token_bytes(_KEY_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What outlives a reload: the ports through which the pipeline acts, and the name of the log that ``audit`` is."""

    clock: Clock
    authenticator: Authenticator
    admission: Admission
    audit: AuditLog
    journal: EgressJournal
    receipts: ReceiptStore
    prices: PriceBook
    observe: Callable[[Receipt], None]
    quotas: Quotas = field(default_factory=NoQuotas)
    load: DeviceLoad = field(default_factory=DeviceLoad)
    retries: RetryBudgets = field(default_factory=RetryBudgets)
    jitter: Callable[[], float] = any_share
    standings: Standings = field(default_factory=NothingCertified)
    audit_log: str = ""
    learn: Learner = field(default_factory=NothingLearnt)
    releases: Releases = field(default_factory=NoReleases)
    memory: Memory = field(default_factory=NothingRemembered)
    files: FileLabels = field(default_factory=NoFiles)
    approvals: Approvals = field(default_factory=NothingApproved)
    detector: Detector = field(default_factory=NothingSeen)
    vault: Vault = field(default_factory=NoVault)
    pseudonym_key: Callable[[str], bytes] = any_key
