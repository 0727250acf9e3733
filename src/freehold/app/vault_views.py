"""Wires what the table of routes names of private documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from freehold.api.mcp_views import McpViews
from freehold.api.vault_counter import VaultCounter
from freehold.api.vault_intake import VaultIntake
from freehold.api.vault_views import VaultViews
from freehold.api.vector_stores import VectorStores
from freehold.app.stores import Stores
from freehold.config.compile import Compiled
from freehold.domain.identity import Principal
from freehold.domain.labels import Label
from freehold.domain.vault_ports import VaultDesk
from freehold.gateway.runtime import Runtime
from freehold.gateway.standing import Patience
from freehold.policy.labelling import joined, label_of_given
from freehold.policy.text import parse_label


def vault_views(
    stores: Stores, compiled: Compiled, runtime: Callable[[], Runtime], desk: VaultDesk | None
) -> dict[str, object]:
    """What the table of routes names ``vault``, ``vector_stores`` and ``mcp``; without a desk there is no vault to be named."""

    def label_of(principal: Principal, said: Sequence[str | None]) -> str:
        return label_of_given(principal, said, tree=runtime().tree)

    def join(labels: Iterable[str]) -> str:
        return joined(labels, tree=runtime().tree)

    def parse(text: str) -> Label:
        return parse_label(text, runtime().tree)

    def patience() -> Patience:
        total_s = runtime().deadlines.total_s
        return Patience(clock=stores.clock, until_s=stores.clock.monotonic_s() + total_s, total_s=total_s)

    counter = VaultCounter(desk, label_of=label_of, joined=join, patience=patience)
    intake = VaultIntake(counter, files=stores.files, settings=compiled.files, parse=parse, ids=stores.ids)
    return {
        "vault": VaultViews(counter, intake=intake),
        "mcp": McpViews(counter),
        "vector_stores": VectorStores(counter, intake=intake, files=stores.files, clock=stores.clock),
    }
