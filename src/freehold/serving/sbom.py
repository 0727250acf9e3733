"""What is in a bundle, for those who have to know: CycloneDX 1.6 as JSON. The same content gives the same text."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program or a model.

    Attributes:
        kind: ``library`` or ``machine-learning-model``.
        name: Of it.
        version: Of it; of a model the beginning of its digest.
        license: SPDX expression, or the makers' own words; may be empty.
        sha256: Of its file.
        origin: Where it came from, for models.
    """

    kind: str
    name: str
    version: str
    license: str
    sha256: str
    origin: str = ""


def sbom(components: Sequence[Component], *, version: str, created_unix_ms: int) -> str:
    """The document.

    Args:
        components: In any order.
        version: Of Freehold.
        created_unix_ms: Its date.
    """
    ordered = sorted(components, key=lambda each: (each.kind, each.name, each.version))
    told = [_component(each) for each in ordered]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{datetime.fromtimestamp(created_unix_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "component": {"type": "application", "name": "freehold", "version": version},
        },
        "components": told,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _component(each: Component) -> dict[str, object]:
    is_library = each.kind == "library"
    reference = f"pkg:pypi/{each.name}@{each.version}" if is_library else f"model:sha256:{each.sha256}"
    found: dict[str, object] = {
        "type": each.kind,
        "bom-ref": reference,
        "name": each.name,
        "version": each.version,
        "hashes": [{"alg": "SHA-256", "content": each.sha256}],
    }
    if is_library:
        found["purl"] = reference
    if each.license:
        # Whether words of others are an SPDX expression is not ours to say: as a name they are right in any case.
        found["licenses"] = [{"license": {"name": each.license}}]
    if each.origin:
        found["properties"] = [{"name": "freehold:origin", "value": each.origin}]
    return found
