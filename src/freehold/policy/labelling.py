"""How sensitive is this request? The join of everything that says so, with who said it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from freehold.domain.deployment import Route
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.zones import DEVICE, ZoneTree
from freehold.policy.lattice import bottom, join_all
from freehold.policy.text import format_label, parse_label

LABEL_HEADER = "freehold-label"
"""The request header by which a client may raise the label."""

UNLABELLED = Label(level=Level.CONFIDENTIAL, zones=frozenset({DEVICE}))
"""The label of a text that nobody labelled: it stays here."""


def label_request(
    *, principal: Principal, route: Route, route_label: Label | None, header: str | None, tree: ZoneTree
) -> tuple[Label, tuple[LabelSource, ...]]:
    """The label of a request and of its answer, with every source.

    The tenant's label is the floor. The key's, the route's and the client's may only raise it: a header that asks
    for less changes nothing. A key or route whose label demands nothing is no source.

    Args:
        principal: Who asks.
        route: Where the request goes.
        route_label: What the route adds, if anything.
        header: Value of the ``freehold-label`` header, if sent.
        tree: The site's zones.

    Raises:
        LabelUnreadable: The header cannot be read; it is refused rather than taken for a lower label.
    """
    nothing = bottom(tree)
    tenant = principal.tenant
    sources = [LabelSource(origin="tenant", rule=f"tenant:{tenant.name}", label=tenant.label)]
    if principal.label != nothing:
        sources.append(LabelSource(origin="key", rule=f"key:{principal.key_name}", label=principal.label))
    if route_label is not None and route_label != nothing:
        sources.append(LabelSource(origin="route", rule=f"route:{route.name}", label=route_label))
    if header is not None:
        asked = parse_label(header, tree, param=LABEL_HEADER)
        sources.append(LabelSource(origin="client", rule=f"client:{LABEL_HEADER}", label=asked))
    return join_sources(sources, tree=tree), tuple(sources)


def label_of_given(principal: Principal, said: Sequence[str | None], *, tree: ZoneTree) -> str:
    """The label of what a caller gives to be kept, as text.

    Args:
        principal: Who gives it; the labels of its tenant and key are the floor.
        said: What else says something of it; ``None`` for nothing.
        tree: The site's zones.

    Raises:
        LabelUnreadable: One of them cannot be read.
    """
    asked = [parse_label(each, tree, param=LABEL_HEADER) for each in said if each is not None]
    return format_label(join_all((principal.tenant.label, principal.label, *asked), tree=tree))


def joined(texts: Iterable[str], *, tree: ZoneTree) -> str:
    """The label that all of some labels demand, which were kept as text.

    One that the site's zones do not know any more is taken for the strictest there is: it stays on this machine.
    """
    labels: list[Label] = []
    for text in texts:
        try:
            labels.append(parse_label(text, tree))
        except LabelUnreadable:
            labels.append(Label(level=Level.RESTRICTED, zones=frozenset({DEVICE})))
    return format_label(join_all(labels, tree=tree))


def join_sources(sources: Sequence[LabelSource], *, tree: ZoneTree) -> Label:
    """The label that all sources together demand; ``UNLABELLED`` where there are none."""
    return join_all((source.label for source in sources), tree=tree) if sources else UNLABELLED
