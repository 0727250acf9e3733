"""How sensitive documents are: the join of everything that says so, as with requests and files that are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold.domain.labels import Label
from freehold.domain.vault import GROUP, USER, Readers
from freehold.domain.zones import ZoneTree
from freehold.gateway.flow import label_of_text
from freehold.policy.flow import FlowRules
from freehold.policy.labelling import UNLABELLED
from freehold.policy.lattice import join, join_all
from freehold.policy.sources import names_of_file
from freehold.policy.text import format_label

PURPOSE = "vault"
"""What documents are for, to rules for sources: ``purpose:vault``."""


class VaultLabels:
    """Labels of documents. Implements ``vault.ingest_ports.Labelling``.

    Args:
        rules: What texts and names say, as it is in force.
        tenant_label: The label that all of a tenant's texts have; ``None`` where there is no such tenant.
        tree: The site's zones.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], FlowRules],
        tenant_label: Callable[[str], Label | None],
        tree: Callable[[], ZoneTree],
    ) -> None:
        self._rules = rules
        self._tenant_label = tenant_label
        self._tree = tree

    def label(self, *, tenant: str, said: Sequence[str], names: Sequence[str], text: str | None) -> str:
        """The label of a document: of its tenant, what is said, rules for its names, and the markings in it.

        What is said and cannot be read is taken for the strictest there is: it may be a label of before a change.
        """
        tree, rules = self._tree(), self._rules()
        found = [self._tenant_label(tenant) or UNLABELLED]
        found += (label_of_text(each, tree) for each in said if each)
        if rules.sources:
            sources = [each for name in names for each in names_of_file(name)]
            found += (each.label for each in rules.sources.of((*sources, f"purpose:{PURPOSE}")))
        if text:
            found += (each.label for each in rules.markings.of((text,)))
        return format_label(join_all(found, tree=tree))

    def unread(self, label: str) -> str:
        """The label of something that nobody could look into."""
        return format_label(join(label_of_text(label, self._tree()), self._rules().unread))

    def readers(self, label: str, *, names: frozenset[str] | None, owner: str) -> Readers:
        """Who may read what has a label: whom its owner names, as far as the label lets them."""
        found = label_of_text(label, self._tree())
        if found.readers is not None:
            allowed = frozenset(each for each in found.readers if each.startswith((USER, GROUP)))
            names = allowed if names is None else names & allowed
        return Readers(level=found.level, names=names, owner=owner)

    def restricts(self, tenant: str, label: str) -> bool:
        """Whether a label is above what all of a tenant's texts have, so that its text is to be known again."""
        floor = self._tenant_label(tenant) or UNLABELLED
        wanted = label_of_text(label, self._tree())
        return join(floor, wanted) != floor
