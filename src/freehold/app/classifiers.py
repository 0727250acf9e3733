"""Wires what trains classifiers and what asks them."""

from __future__ import annotations

from collections.abc import Callable

from freehold.api.classifying import Classifying
from freehold.app.stores import Stores
from freehold.gateway.classifier_training import Training
from freehold.gateway.classify import Classification
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Runtime
from freehold.serving.overload import Door


def classify_views(stores: Stores, pipeline: Pipeline, runtime: Callable[[], Runtime], door: Door) -> Classifying:
    """What the table of routes names ``classify``."""
    classification = Classification(pipeline=pipeline, runtime=runtime, store=stores.classifiers, ids=stores.ids)
    return Classifying(
        classification=classification,
        training=Training(classification=classification, store=stores.classifiers, clock=stores.clock, ids=stores.ids),
        store=stores.classifiers,
        runtime=runtime,
        clock=stores.clock,
        door=door,
    )
