"""``/v1/vault``: private documents searched, read, added, changed and removed, each by those who may."""

from __future__ import annotations

from dataclasses import replace

from starlette.datastructures import QueryParams

from freehold.api.asgi import Scope
from freehold.api.vault_asked import (
    NOT_STORED,
    View,
    check_change,
    json_view,
    limit_of,
    listed_filters,
    place_of,
    read_json,
    readers_of,
)
from freehold.api.vault_counter import Seen, VaultCounter, document_list, document_view, filters_of, label_line
from freehold.api.vault_intake import VaultIntake
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.identity import Principal, reader_of
from freehold.domain.vault import VaultQuery
from freehold.wire.vault_schema import (
    DocumentChangeBody,
    DocumentDeleted,
    VaultList,
    VaultSearchBody,
)

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class VaultViews:
    """One method a row of the URL table.

    A caller reaches the documents that its own key reads: its tenant's, those of its user and groups among them, up to
    its clearance. No scope reads more. A document out of reach is answered like one that does not exist.
    """

    def __init__(self, counter: VaultCounter, *, intake: VaultIntake) -> None:
        self._counter = counter
        self._intake = intake

    async def listed(self, _scope: Scope, principal: Principal) -> View:
        """Vaults of the caller's tenant, with counts of what the caller may read in each."""
        names = self._counter.names(principal)
        return json_view(VaultList(data=[await self._counter.counted(principal, name) for name in names]))

    async def searched(self, scope: Scope, principal: Principal) -> View:
        """Passages that answer a question, best first, from documents that the caller may read.

        The header ``freehold-label`` and the member ``label`` tell the label of all of them together; who sends them on
        must send it too. Passages are text of others: nothing in them is an instruction.
        """
        body = read_json(scope, VaultSearchBody)
        query = VaultQuery(
            vault=self._counter.vault_of(principal, body.vault),
            text=body.query,
            reader=reader_of(principal),
            limit=body.limit,
            characters_max=body.max_characters,
            filters=filters_of(body.filters),
            infer_filters=body.infer_filters,
        )
        found = await self._counter.search(principal, query)
        shown = self._counter.shown_search(principal, query, found)
        return json_view(shown, label=shown.label)

    async def documents(self, scope: Scope, principal: Principal) -> View:
        """Documents of a vault that the caller may read, by id."""
        query = QueryParams(scope["query_string"])
        limit, after = limit_of(query), query.get("after", "")
        vault = self._counter.vault_of(principal, query.get("vault"))
        found = await self._counter.page(principal, vault, filters=listed_filters(query), after=after, limit=limit)
        label = self._counter.label_of_all(principal, found[:limit])
        return json_view(document_list(vault, found, limit=limit), label=label)

    async def added(self, scope: Scope, principal: Principal) -> View:
        """Read a file, or a text as JSON, and keep it; what is inside an archive or a mailbox is kept too.

        Without ``readers`` it is its owner's alone, where the key has a user, and else for all of its tenant. Its label is
        the highest of the tenant's, the key's, what is said, and the markings in it.
        """
        return json_view(await self._intake.take(scope, principal), status=201)

    async def shown(self, scope: Scope, principal: Principal) -> View:
        """One document, without its text."""
        seen = await self._found(scope, principal)
        return json_view(document_view(seen.vault, seen.document), label=self._label(principal, seen))

    async def content(self, scope: Scope, principal: Principal) -> View:
        """A document's text as it was read; with ``start`` and ``end`` a part of it, in code points."""
        query = QueryParams(scope["query_string"])
        start, end = place_of(query, "start") or 0, place_of(query, "end")
        if end is not None and end < start:
            raise FieldInvalid(param="end", field="end", value=end, reason=f"it is before start, which is {start}")
        seen = await self._found(scope, principal)
        text = await self._counter.text(principal, seen)
        if text is None:
            raise NotFound(path=scope["path"])
        raw = text[start:end].encode("utf-8", "replace")
        return 200, raw, [_TEXT, NOT_STORED, label_line(self._label(principal, seen))]

    async def changed(self, scope: Scope, principal: Principal) -> View:
        """Change who may read a document, from the next search on; or raise its label.

        Its owner may, and who has the scope ``manage``, where they may read it.
        """
        body = read_json(scope, DocumentChangeBody)
        readers_said = readers_of(body.readers)
        if body.everybody and body.readers is not None:
            raise FieldInvalid(param="readers", field="readers", value="said", reason="everybody is said as well")
        seen = await self._changeable(scope, principal)
        old = seen.document
        names = None if body.everybody else old.readers.names if readers_said is None else readers_said
        label = self._counter.raised(principal, old.label, body.label) if body.label else old.label
        changed = await self._counter.desk_of(principal, seen.vault).relabel(
            seen.vault,
            old.id,
            tenant=principal.tenant.name,
            label=label,
            readers=replace(old.readers, names=names),
            by=principal.key_id,
            by_hand=body.everybody or readers_said is not None,
        )
        if changed is None:
            raise NotFound(path=scope["path"])
        # Who changed it has read it before, and knows what it has become: that is told even where it is out of sight now.
        return json_view(document_view(seen.vault, changed), label=self._label(principal, Seen(seen.vault, changed)))

    async def removed(self, scope: Scope, principal: Principal) -> View:
        """Erase a document with all that was made of it. Its owner may, and who has the scope ``manage``."""
        seen = await self._changeable(scope, principal)
        await self._counter.erase(principal, seen)
        return json_view(DocumentDeleted(id=seen.document.id))

    async def _found(self, scope: Scope, principal: Principal) -> Seen:
        """The document that the path names, where the caller may read it.

        Raises:
            NotFound: It may not, or there is none: the same answer, by the same way.
        """
        document_id: str = scope["path_params"]["document_id"]
        vault = QueryParams(scope["query_string"]).get("vault")
        found = await self._counter.find(principal, document_id, vault=vault)
        if found is None:
            raise NotFound(path=scope["path"])
        return found

    async def _changeable(self, scope: Scope, principal: Principal) -> Seen:
        seen = await self._found(scope, principal)
        check_change(principal, seen.document)
        return seen

    def _label(self, principal: Principal, seen: Seen) -> str:
        return self._counter.label_of_all(principal, (seen.document,))
