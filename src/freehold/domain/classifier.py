"""A classifier as it is kept: who may use it, and what is in it, which only ``routing.classifier`` reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptClassifier:
    """One classifier.

    Attributes:
        tenant: Whose it is.
        name: What the tenant calls it.
        id: Another one for each training.
        about: All but the numbers, as JSON.
        numbers: Weights, packed; empty where only ``about`` was asked for.
        examples: What it was trained on, as JSON; empty where that was not to be kept.
    """

    tenant: str
    name: str
    id: str
    about: str
    numbers: bytes = b""
    examples: str = ""
