"""``/v1/vector_stores``: vaults as OpenAI's clients know them. A store's id is its vault's name."""

from __future__ import annotations

import msgspec
from starlette.datastructures import QueryParams

from freehold.api.asgi import Scope
from freehold.api.vault_asked import View, check_change, json_view, limit_of, read_json
from freehold.api.vault_counter import Seen, VaultCounter
from freehold.api.vault_intake import VaultIntake
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.errors.vault import DocumentOutOfSight, VaultsConfigured
from freehold.domain.files import BATCH
from freehold.domain.identity import Principal, reader_of
from freehold.domain.ports import Clock
from freehold.domain.vault import Filters, Found, VaultQuery
from freehold.storage.files import SqliteFiles
from freehold.wire.openai_batches import page_object
from freehold.wire.openai_invalid import unsupported
from freehold.wire.vault_schema import StoreFileBody, StoreHits, StoreSearchBody
from freehold.wire.vector_stores import filters_of_store, store_file_view, store_hit, store_view

_FILE_PREFIX = "file-"


class VectorStores:
    """One method a row of the URL table. What a caller reaches is what it reaches of ``/v1/vault``."""

    def __init__(self, counter: VaultCounter, *, intake: VaultIntake, files: SqliteFiles, clock: Clock) -> None:
        self._counter = counter
        self._intake = intake
        self._files = files
        self._clock = clock

    async def listed(self, _scope: Scope, principal: Principal) -> View:
        """The tenant's vaults, with counts of what the caller may read."""
        names = self._counter.names(principal)
        stores = [store_view(await self._counter.counted(principal, name)) for name in names]
        return json_view(page_object([_plain(each) for each in stores], limit=len(stores)))

    async def created(self, _scope: Scope, _principal: Principal) -> View:
        """Never done: vaults are made in the configuration."""
        raise VaultsConfigured

    async def shown(self, scope: Scope, principal: Principal) -> View:
        """One vault."""
        return json_view(store_view(await self._counter.counted(principal, _vault(scope))))

    async def searched(self, scope: Scope, principal: Principal) -> View:
        """Passages that answer a query, best first, from documents that the caller may read."""
        body = read_json(scope, StoreSearchBody)
        queries = [body.query] if isinstance(body.query, str) else body.query
        ranking = body.ranking_options
        query = VaultQuery(
            vault=_vault(scope),
            text="\n".join(queries),
            reader=reader_of(principal),
            limit=body.max_num_results,
            filters=filters_of_store(body.filters),
            infer_filters=body.rewrite_query,
        )
        found: Found = await self._counter.search(principal, query)
        least = 0.0 if ranking is None else ranking.score_threshold
        passages = [each for each in found.passages if each.score >= least]
        label = self._counter.label_of_all(principal, (each.document for each in passages))
        view = StoreHits(search_query=queries, data=[store_hit(each) for each in passages])
        return json_view(view, label=label)

    async def files(self, scope: Scope, principal: Principal) -> View:
        """Documents of a vault that the caller may read, by id."""
        query = QueryParams(scope["query_string"])
        vault, limit = _vault(scope), limit_of(query)
        for name, taken in (("order", "asc"), ("filter", ""), ("before", "")):
            if query.get(name, taken) != taken:
                raise unsupported(name, query[name][:40], "documents are listed by id, upwards, and all of them")
        found = await self._counter.page(principal, vault, after=query.get("after", ""), limit=limit)
        view = page_object([_plain(store_file_view(vault, each)) for each in found], limit=limit)
        return json_view(view, label=self._counter.label_of_all(principal, found[:limit]))

    async def attached(self, scope: Scope, principal: Principal) -> View:
        """Keep an uploaded file in a vault as well: its owner's alone, where the key has a user."""
        body = read_json(scope, StoreFileBody)
        for name, said in (("attributes", body.attributes), ("chunking_strategy", body.chunking_strategy)):
            if said and said.get("type") != "auto":
                raise unsupported(name, said, "documents have the attributes that they say themselves")
        vault, tenant = _vault(scope), principal.tenant.name
        self._counter.desk_of(principal, vault)
        file = await self._files.get(body.file_id, tenant=tenant, unix_ms=self._clock.unix_ms())
        if file is None or file.purpose.startswith(BATCH):
            reason = "no file of yours for assistants or user_data has that id"
            raise FieldInvalid(param="file_id", field="file_id", value=body.file_id[:40], reason=reason)
        found = await self._intake.attach(principal, vault, file)
        if not found:
            raise DocumentOutOfSight(reason="its label is above what the key reads")
        label = self._counter.label_of_all(principal, found)
        return json_view(store_file_view(vault, found[0], file_id=file.id), label=label)

    async def file(self, scope: Scope, principal: Principal) -> View:
        """One document, by its own id or by that of the uploaded file that it was."""
        named: str = scope["path_params"]["document_id"]
        seen = await self._found(scope, principal)
        view = store_file_view(seen.vault, seen.document, file_id=named)
        return json_view(view, label=self._counter.label_of_all(principal, (seen.document,)))

    async def content(self, scope: Scope, principal: Principal) -> View:
        """A document's text as it was read."""
        seen = await self._found(scope, principal)
        text = await self._counter.text(principal, seen)
        if text is None:
            raise NotFound(path=scope["path"])
        page = {
            "object": "vector_store.file_content.page",
            "data": [{"type": "text", "text": text}],
            "has_more": False,
            "next_page": None,
        }
        return json_view(page, label=self._counter.label_of_all(principal, (seen.document,)))

    async def removed(self, scope: Scope, principal: Principal) -> View:
        """Erase a document with all that was made of it; an uploaded file stays among the files."""
        seen = await self._found(scope, principal)
        check_change(principal, seen.document)
        await self._counter.erase(principal, seen)
        named: str = scope["path_params"]["document_id"]
        return json_view({"id": named, "object": "vector_store.file.deleted", "deleted": True})

    async def _found(self, scope: Scope, principal: Principal) -> Seen:
        """The document that the path names, where the caller may read it.

        Raises:
            NotFound: It may not, or there is none: the same answer, by the same way.
        """
        vault, named = _vault(scope), scope["path_params"]["document_id"]
        if named.startswith(_FILE_PREFIX):
            filters = Filters(sources=(f"upload:{named}.",))
            page = await self._counter.page(principal, vault, filters=filters, limit=1)
            found = None if not page else Seen(vault, page[0])
        else:
            found = await self._counter.find(principal, named, vault=vault)
        if found is None:
            raise NotFound(path=scope["path"])
        return found


def _vault(scope: Scope) -> str:
    return scope["path_params"]["vault"]


def _plain(view: object) -> dict[str, object]:
    return msgspec.to_builtins(view)
