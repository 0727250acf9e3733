"""The snapshot that requests decide from, made from a compiled configuration and running engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from freehold.app.tenants import tenants_of
from freehold.config.compile import Compiled
from freehold.config.schema import Ledger
from freehold.domain.money import Money
from freehold.domain.ports import Engine
from freehold.engines.llama.engine import LlamaEngine
from freehold.gateway.runtime import Deadlines, Runtime
from freehold.ledger.pricing import OwnedHardware
from freehold.policy.text import parse_label
from freehold.routing.calibration import Calibration, applies

__all__ = ["CalibrationLookup", "owned_hardware", "snapshot", "tenants_of"]

_PERMILLE = 1000


def snapshot(compiled: Compiled, engines: Mapping[str, Engine], calibrations: Sequence[Calibration]) -> Runtime:
    """What requests see until the next reload.

    Raises:
        LabelUnreadable: A route's label cannot be read.
    """
    return Runtime(
        tree=compiled.tree,
        engines=dict(engines),
        routes=compiled.routes,
        route_labels={
            name: parse_label(label, compiled.tree, param=f"routes.{name}.label")
            for name, label in compiled.route_labels.items()
        },
        aliases=compiled.aliases,
        calibration=CalibrationLookup(engines, calibrations),
        hardware=owned_hardware(compiled.ledger),
        compare_with=compiled.ledger.compare_with,
        deadlines=Deadlines(total_s=compiled.total_s, queue_s=compiled.queue_s),
        config_digest=compiled.digest,
    )


class CalibrationLookup:
    """Finds the calibration that holds for what runs now. Later ones win; one for another model or engine never does.

    A chat template is known once its engine was ready, so the look-up is made when it is needed, and kept once it is
    certain.
    """

    def __init__(self, engines: Mapping[str, Engine], calibrations: Sequence[Calibration]) -> None:
        self._engines = engines
        self._calibrations = tuple(calibrations)
        self._certain: dict[tuple[str, str], Calibration | None] = {}

    def __call__(self, deployment: str, workload: str) -> Calibration | None:
        """The calibration of a deployment for a workload, or ``None``."""
        key = (deployment, workload)
        if key in self._certain:
            return self._certain[key]
        engine = self._engines[deployment]
        if not isinstance(engine, LlamaEngine):
            return None
        fingerprint = engine.fingerprint()
        found = None
        for each in self._calibrations:
            if applies(
                each,
                model_digest=engine.deployment.model.digest,
                engine=fingerprint.engine,
                engine_version=fingerprint.version,
                template_digest=fingerprint.template_sha256,
                workload=workload,
            ):
                found = each
        if fingerprint.template_sha256:
            self._certain[key] = found
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
