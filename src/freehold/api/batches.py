"""``/v1/batches``: many requests in a file, answered when there is room."""

from __future__ import annotations

from collections.abc import Callable

from freehold.api.asgi import JSON, FileBody, Headers, Scope, header
from freehold.api.batch_item import ENDPOINTS
from freehold.api.files import LabelOf, keep_s_of, new_id, paging_of
from freehold.config.schema_files import Batches as BatchesSection
from freehold.domain.batch import CANCELLABLE, OPENAI_PREFIX, Batch, BatchState, cancelled
from freehold.domain.errors.batch import BatchInputMissing, BatchNotCancellable
from freehold.domain.errors.request import NotFound
from freehold.domain.files import BATCH
from freehold.domain.identity import Principal
from freehold.domain.ports import Clock, IdSource
from freehold.identity.access import reached_tenant
from freehold.policy.labelling import LABEL_HEADER
from freehold.storage.batches import SqliteBatches
from freehold.storage.files import SqliteFiles
from freehold.wire.body import decode_document
from freehold.wire.openai_batches import WINDOW, WINDOW_MS, batch_object, metadata_of, page_object, text_of
from freehold.wire.openai_response import encode_json

View = tuple[int, bytes | FileBody, Headers]

_PAGE_BATCHES = 20
_PAGE_BATCHES_MAX = 100


class Batches:
    """One method a row of the URL table.

    Args:
        store: Of batches.
        files: Of their inputs.
        settings: Bounds.
        label_of: Joins labels.
        clock: Time.
        ids: Ids.
        nudge: Called where there is something new to do for whoever runs batches.
    """

    def __init__(
        self,
        *,
        store: SqliteBatches,
        files: SqliteFiles,
        settings: BatchesSection,
        label_of: LabelOf,
        clock: Clock,
        ids: IdSource,
        nudge: Callable[[], None],
    ) -> None:
        self._store = store
        self._files = files
        self._settings = settings
        self._label_of = label_of
        self._clock = clock
        self._ids = ids
        self._nudge = nudge

    async def create(self, scope: Scope, principal: Principal) -> View:
        """Take a batch: from then on it survives everything. Its items are checked before the first one runs."""
        values = decode_document(scope["body"]).values
        endpoint = text_of(values, "endpoint", one_of=tuple(ENDPOINTS))
        window = text_of(values, "completion_window", one_of=(WINDOW,))
        input_file_id, metadata = text_of(values, "input_file_id"), metadata_of(values)
        now_ms = self._clock.unix_ms()
        file = await self._files.get(input_file_id, tenant=principal.tenant.name, unix_ms=now_ms)
        if file is None or file.purpose != BATCH:
            raise BatchInputMissing(param="input_file_id", file_id=input_file_id)
        batch = Batch(
            id=new_id(self._ids, OPENAI_PREFIX),
            tenant=principal.tenant.name,
            key_id=principal.key_id,
            endpoint=endpoint,
            input_file_id=file.id,
            window=window,
            label=self._label_of(principal, (header(scope, LABEL_HEADER.encode()), file.label)),
            metadata=metadata,
            state=BatchState.VALIDATING,
            created_unix_ms=now_ms,
            expires_unix_ms=now_ms + WINDOW_MS,
            output_keep_s=keep_s_of(values.get("output_expires_after"), "output_expires_after"),
        )
        await self._store.add(batch, open_max=self._settings.open_max)
        self._nudge()
        return _json(batch_object(batch))

    async def list(self, scope: Scope, principal: Principal) -> View:
        """The tenant's batches, newest first."""
        paging = paging_of(scope, most=_PAGE_BATCHES_MAX, usual=_PAGE_BATCHES)
        found = await self._store.list(paging, tenant=reached_tenant(principal, scope["access"]))
        return _json(page_object([batch_object(each) for each in found], limit=paging.limit))

    async def show(self, scope: Scope, principal: Principal) -> View:
        """One of them."""
        batch = await self._store.get(_id_of(scope), tenant=reached_tenant(principal, scope["access"]))
        if batch is None:
            raise NotFound(path=scope["path"])
        return _json(batch_object(batch))

    async def cancel(self, scope: Scope, principal: Principal) -> View:
        """Stop one: what runs is ended, what has a result keeps it. Cancelling again changes nothing."""
        now_ms = self._clock.unix_ms()
        before: list[BatchState] = []

        def change(batch: Batch) -> Batch:
            before.append(batch.state)
            return cancelled(batch, unix_ms=now_ms)

        batch = await self._store.change(_id_of(scope), change, tenant=reached_tenant(principal, scope["access"]))
        if batch is None:
            raise NotFound(path=scope["path"])
        if before[-1] not in (*CANCELLABLE, BatchState.CANCELLING):
            raise BatchNotCancellable(batch_id=batch.id, state=before[-1].value)
        self._nudge()
        return _json(batch_object(batch))


def _id_of(scope: Scope) -> str:
    """The batch that is meant.

    Raises:
        NotFound: It is none of this kind.
    """
    batch_id: str = scope["path_params"]["batch_id"]
    if not batch_id.startswith(OPENAI_PREFIX):
        raise NotFound(path=scope["path"])
    return batch_id


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
