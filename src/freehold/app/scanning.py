"""The detector as one value: recognisers, secrets and names in a child of ours, behind ``domain.findings.Detector``."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.config.schema_detect import Detect
from freehold.domain.errors.model import ModelError
from freehold.domain.findings import DetectRules
from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE, LAN
from freehold.engines.detector.child import NameModel
from freehold.engines.detector.engine import DetectorEngine
from freehold.engines.onnx.packages import INSTALL, NAMES_PACKAGES, missing_packages
from freehold.gateway.scanner import Scanner
from freehold.serving.installed import VerifiedTagger
from freehold.serving.registry import ModelRegistry

MODEL = "rampart"
"""The model of the catalogue that marks names."""
_WORKER = "freehold.gateway.scan_worker"
_DIGEST_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The detector, and the child behind it.

    Attributes:
        scanner: Looks through texts.
        engine: Started by the first text, or by ``engine.start``; whoever made this closes it.
        no_names: Why there is no model that marks names; empty where there is one.
    """

    scanner: Scanner
    engine: DetectorEngine
    no_names: str = ""

    def rules(self, section: Detect) -> DetectRules | None:
        """When texts are looked through, as settings have it; ``None`` for never."""
        if section.beyond == "nowhere":
            return None
        return DetectRules(
            inside=frozenset({DEVICE, LAN} if section.beyond == "lan" else {DEVICE}),
            names=section.names == "required" or (section.names == "auto" and not self.no_names),
            within_s=section.within_ms / 1000,
            ignore=tuple(each.lower() for each in section.ignore),
        )


def detection(registry: ModelRegistry, *, clock: Clock, names: bool = True) -> Detection:
    """Make a detector; nothing is started, and no model is read but to check its digest.

    Without the model that marks names, or what it is run with, the rest is looked for all the same, and every scan that
    asked for names is not complete and says why.

    Args:
        registry: Where models are.
        clock: Time.
        names: Whether names will ever be asked for; without, the child loads no model.
    """
    found, why = _tagger(registry) if names else (None, "")
    engine = DetectorEngine(
        module=_WORKER,
        model=None if found is None else _name_model(found),
        no_model=why,
        clock=clock,
        files=None if found is None else registry.checked_files(found.model, of="detector"),
    )
    return Detection(
        scanner=Scanner(reader=engine, clock=clock), engine=engine, no_names=why if names else "they are not asked for"
    )


def name_model(registry: ModelRegistry) -> tuple[NameModel | None, str]:
    """The model that marks names, or why there is none."""
    found, why = _tagger(registry)
    return None if found is None else _name_model(found), why


def _tagger(registry: ModelRegistry) -> tuple[VerifiedTagger | None, str]:
    if missing := missing_packages(NAMES_PACKAGES):
        return None, f"{', '.join(missing)} are not installed; install them with: {INSTALL}"
    try:
        return registry.load_tagger(MODEL), ""
    except ModelError as error:
        return None, error.message.rstrip(".")


def _name_model(found: VerifiedTagger) -> NameModel:
    return NameModel(
        version=f"{MODEL}-{found.model.sha256[:_DIGEST_SHOWN]}",
        model_path=str(found.model.path),
        tokenizer_path=str(found.tokenizer),
        labels=found.labels,
    )
