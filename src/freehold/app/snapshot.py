"""The snapshot that requests decide from, made from a compiled configuration and running engines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal

from freehold.app.known import Known
from freehold.app.rules import rulebook_of
from freehold.app.tenants import tenants_of
from freehold.app.worth import PriceOf, Worth
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.config.schema import Ledger
from freehold.domain.deployment import EngineFingerprint
from freehold.domain.findings import DetectRules
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.money import Money
from freehold.domain.ports import Engine
from freehold.gateway.runtime import Deadlines, Runtime
from freehold.ledger.machine import OwnedHardware
from freehold.policy.flow import FlowRules
from freehold.policy.markings import Markings
from freehold.policy.sources import in_force
from freehold.policy.text import parse_label
from freehold.routing.calibration import Calibration, applies

__all__ = ["CalibrationLookup", "owned_hardware", "snapshot", "tenants_of"]

_PERMILLE = 1000


def snapshot(
    compiled: Compiled,
    engines: Mapping[str, Engine],
    known: Known,
    price_of: PriceOf,
    *,
    cache_key: bytes,
    detect: DetectRules | None = None,
) -> Runtime:
    """What requests see until the next reload.

    Args:
        compiled: The configuration.
        engines: By deployment.
        known: What judging knows from files.
        price_of: A deployment's list price.
        detect: When texts are looked through; ``None`` for never.
        cache_key: By which scopes of caches are made.

    Raises:
        LabelUnreadable: A route's label cannot be read.
        PolicyError: The site's own rules do not hold.
    """
    hardware = owned_hardware(compiled.ledger)
    worth = Worth(tables=known.outcomes, calibrations=known.calibrations, hardware=hardware, price_of=price_of)
    return Runtime(
        tree=compiled.tree,
        engines=dict(engines),
        routes=worth.routes(compiled.routes, {name: engine.deployment for name, engine in engines.items()}),
        route_labels={
            name: parse_label(label, compiled.tree, param=f"routes.{name}.label")
            for name, label in compiled.route_labels.items()
        },
        aliases=compiled.aliases,
        calibrations=CalibrationLookup(engines, known.calibrations),
        hardware=hardware,
        compare_with=compiled.ledger.compare_with,
        deadlines=Deadlines(total_s=compiled.total_s, queue_s=compiled.queue_s),
        config_digest=compiled.digest,
        certificates=known.certificates,
        places={plan.deployment.name: _place(plan) for plan in compiled.deployments},
        flow=flow_rules(compiled),
        policy=rulebook_of(compiled),
        trust=compiled.trust,
        detect=detect,
        trusted_vaults=frozenset(name for name, plan in compiled.vaults.items() if plan.trusted),
        cache_key=cache_key,
    )


def flow_rules(compiled: Compiled) -> FlowRules:
    """What texts add to their labels.

    Raises:
        LabelUnreadable: A label cannot be read.
    """
    section, tree = compiled.labels, compiled.tree
    return FlowRules(
        markings=Markings(
            tree,
            mip={guid: parse_label(text, tree, param=f"labels.mip.{guid}") for guid, text in section.mip.items()},
            unknown_mip=parse_label(section.unknown_mip, tree, param="labels.unknown_mip"),
        ),
        sources=in_force(
            {
                name: (match, parse_label(text, tree, param=f"sources.{name}.label"))
                for name, (match, text) in compiled.sources.items()
            }
        ),
        unread=parse_label(section.unread, tree, param="labels.unread"),
    )


def _place(plan: DeploymentPlan) -> str:
    """Digest of what decides where a text goes and what becomes of it there."""
    deployment, settings = plan.deployment, plan.settings
    told = (deployment.engine.value, deployment.zone, deployment.model.name, settings.base_url, settings.ca_file)
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


class CalibrationLookup:
    """Finds the calibrations that hold for what runs now; one for another model or engine never does.

    What runs there is known once its engine was ready, or a server has answered, and may change at any time: so it is
    compared whenever somebody asks.
    """

    def __init__(self, engines: Mapping[str, Engine], calibrations: Sequence[Calibration]) -> None:
        self._engines = {name: engine for name, engine in engines.items() if isinstance(engine, Fingerprinted)}
        self._cards = {name: engine.deployment.model for name, engine in engines.items()}
        self._calibrations = tuple(calibrations)
        self._found: dict[tuple[str, str], tuple[EngineFingerprint, tuple[Calibration, ...]]] = {}

    def __call__(self, deployment: str, workload: str) -> tuple[Calibration, ...]:
        """The calibrations of a deployment for a workload, in their order: later ones win."""
        engine = self._engines.get(deployment)
        if engine is None:
            return ()
        fingerprint, key = engine.fingerprint(), (deployment, workload)
        known = self._found.get(key)
        if known is not None and known[0] is fingerprint:
            return known[1]
        found = tuple(
            each
            for each in self._calibrations
            if applies(
                each,
                model_digest=fingerprint.model_digest(self._cards[deployment]),
                engine=fingerprint.engine,
                engine_version=fingerprint.version,
                template_digest=fingerprint.template_sha256,
                workload=workload,
                scope=each.scope,
            )
        )
        self._found[key] = fingerprint, found
        return found


def owned_hardware(ledger: Ledger) -> OwnedHardware | None:
    """What this machine costs; ``None`` where its owner has not said."""
    if ledger.purchase_price is None:
        return None
    return OwnedHardware(
        purchase_price=Money.of(ledger.purchase_price, ledger.currency),
        residual_permille=round(ledger.residual_share * _PERMILLE),
        life_months=ledger.life_months,
        busy_share_permille=max(1, round(ledger.busy_share * _PERMILLE)),
        idle_watts=ledger.idle_watts,
        busy_watts=ledger.busy_watts,
        power_price_micros_per_kwh=Money.of(Decimal(ledger.power_price_per_kwh), ledger.currency).micros,
        pue_permille=round(ledger.pue * _PERMILLE),
    )
