"""A configuration handed from one process to another, as it was read: whoever gets it does not read the file again."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from freehold.config.load import LoadedConfig
from freehold.config.schema import Config


def hand_over(loaded: LoadedConfig) -> dict[str, Any]:
    """The configuration as JSON-ready values; secrets are in it as references only."""
    return {
        "config": loaded.config.model_dump(mode="json"),
        "path": None if loaded.path is None else str(loaded.path),
        "provenance": dict(loaded.provenance),
        "digest": loaded.digest,
        "flags": dict(loaded.flags),
        "rules": loaded.rules,
    }


def take_over(document: dict[str, Any]) -> LoadedConfig:
    """The configuration that ``hand_over`` gave."""
    path = document["path"]
    return LoadedConfig(
        config=Config.model_validate_json(json.dumps(document["config"])),
        path=None if path is None else Path(path),
        provenance=MappingProxyType(document["provenance"]),
        digest=document["digest"],
        flags=MappingProxyType(document["flags"]),
        rules=document["rules"],
    )
