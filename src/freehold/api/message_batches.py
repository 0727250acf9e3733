"""``/v1/messages/batches``: the same batches for Anthropic's clients."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, FileBody, Headers, Scope, header
from freehold.api.files import LabelOf, check_clearance, expiry_of, new_id
from freehold.config.schema_files import Batches as BatchesSection
from freehold.config.schema_files import Files as FilesSection
from freehold.domain.batch import BETA_HEADER, CANCELLABLE, MESSAGES_PREFIX, Batch, BatchState, cancelled
from freehold.domain.errors.batch import BatchNotCancellable
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.errors.server import StorageFailed
from freehold.domain.files import BATCH, Paging, StoredFile
from freehold.domain.identity import Principal
from freehold.domain.ports import Clock, IdSource
from freehold.identity.access import reached_tenant
from freehold.policy.labelling import LABEL_HEADER
from freehold.storage.batches import SqliteBatches
from freehold.storage.files import SqliteFiles
from freehold.wire.message_batches import ENDPOINT, input_lines, message_batch_object, message_page_object
from freehold.wire.messages_request import check_betas
from freehold.wire.openai_batches import WINDOW, WINDOW_MS
from freehold.wire.openai_response import encode_json

View = tuple[int, bytes | FileBody, Headers]

_PAGE_BATCHES = 20
_PAGE_BATCHES_MAX = 1_000
_NUMBER = re.compile(r"[0-9]{1,4}")
_LINES: tuple[bytes, bytes] = (b"content-type", b"application/x-jsonl")


class MessageBatches:
    """One method a row of the URL table; arguments as ``api.batches.Batches``."""

    def __init__(
        self,
        *,
        store: SqliteBatches,
        files: SqliteFiles,
        settings: BatchesSection,
        file_settings: FilesSection,
        label_of: LabelOf,
        clock: Clock,
        ids: IdSource,
        nudge: Callable[[], None],
    ) -> None:
        self._store = store
        self._files = files
        self._settings = settings
        self._file_settings = file_settings
        self._label_of = label_of
        self._clock = clock
        self._ids = ids
        self._nudge = nudge

    async def create(self, scope: Scope, principal: Principal) -> View:
        """Take a batch: its requests become a file, and it survives everything from then on."""
        lines = input_lines(scope["body"], items_max=self._settings.items_max)
        beta = header(scope, BETA_HEADER.encode())
        if beta is not None:
            check_betas(beta)
        now_ms, batch_id = self._clock.unix_ms(), new_id(self._ids, MESSAGES_PREFIX)
        label = self._label_of(principal, (header(scope, LABEL_HEADER.encode()),))
        file = await self._kept(batch_id, lines, principal, label, now_ms)
        batch = Batch(
            id=batch_id,
            tenant=principal.tenant.name,
            key_id=principal.key_id,
            endpoint=ENDPOINT,
            input_file_id=file.id,
            window=WINDOW,
            label=label,
            metadata={} if beta is None else {BETA_HEADER: beta},
            state=BatchState.VALIDATING,
            created_unix_ms=now_ms,
            expires_unix_ms=now_ms + WINDOW_MS,
            total=len(lines),
        )
        try:
            await self._store.add(batch, open_max=self._settings.open_max)
        except BaseException:
            await self._files.delete(file.id)
            raise
        self._nudge()
        return self._json(scope, batch)

    async def _kept(
        self, batch_id: str, lines: list[bytes], principal: Principal, label: str, now_ms: int
    ) -> StoredFile:
        """The requests as a file of the tenant."""
        draft = None
        try:
            draft = await self._files.drafted(new_id(self._ids, "file-"))
            await asyncio.to_thread(draft.write, b"".join(lines))
            await asyncio.to_thread(draft.finish)
            file = StoredFile(
                id=draft.path.name,
                tenant=principal.tenant.name,
                filename=f"{batch_id}.jsonl",
                purpose=BATCH,
                size_bytes=draft.size_bytes,
                created_unix_ms=now_ms,
                expires_unix_ms=expiry_of(BATCH, now_ms, keep_days=self._file_settings.keep_days),
                label=label,
            )
            await self._files.keep(file, tenant_bytes_max=self._file_settings.tenant_bytes_max)
        except BaseException as error:
            if draft is not None:
                draft.drop()
            if isinstance(error, OSError):
                raise StorageFailed(name="files", done="written", reason=error.strerror or error) from error
            raise
        return file

    async def list(self, scope: Scope, principal: Principal) -> View:
        """The tenant's batches, newest first."""
        query = QueryParams(scope["query_string"])
        limit = query.get("limit", str(_PAGE_BATCHES))
        if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= _PAGE_BATCHES_MAX:
            reason = f"a whole number from 1 to {_PAGE_BATCHES_MAX} is taken"
            raise FieldInvalid(param="limit", field="limit", value=limit, reason=reason)
        paging = Paging(after=query.get("after_id", ""), limit=int(limit), prefix=MESSAGES_PREFIX)
        found = await self._store.list(paging, tenant=reached_tenant(principal, scope["access"]))
        address = _address(scope)
        page = message_page_object([message_batch_object(each, address=address) for each in found], limit=paging.limit)
        return 200, encode_json(page), [JSON]

    async def show(self, scope: Scope, principal: Principal) -> View:
        """One of them."""
        return self._json(scope, await self._found(scope, principal))

    async def results(self, scope: Scope, principal: Principal) -> View:
        """Its results, one a line, once it has ended."""
        batch = await self._found(scope, principal)
        file = await self._files.get(batch.output_file_id, tenant=batch.tenant, unix_ms=self._clock.unix_ms())
        if file is None:
            raise NotFound(path=scope["path"])
        check_clearance(principal, file, path=scope["path"])
        try:
            body = FileBody(self._files.open(file.id), file.size_bytes)
        except OSError as error:
            raise StorageFailed(name="files", done="read", reason=error.strerror or error) from error
        return 200, body, [_LINES, (LABEL_HEADER.encode(), file.label.encode("latin-1", "replace"))]

    async def cancel(self, scope: Scope, principal: Principal) -> View:
        """Stop one. Cancelling again changes nothing."""
        now_ms, found = self._clock.unix_ms(), await self._found(scope, principal)
        before: list[BatchState] = []

        def change(batch: Batch) -> Batch:
            before.append(batch.state)
            return cancelled(batch, unix_ms=now_ms)

        batch = await self._store.change(found.id, change)
        if batch is None or before[-1] not in (*CANCELLABLE, BatchState.CANCELLING):
            raise BatchNotCancellable(batch_id=found.id, state=found.state.value)
        self._nudge()
        return self._json(scope, batch)

    async def _found(self, scope: Scope, principal: Principal) -> Batch:
        """A batch that the caller reaches.

        Raises:
            NotFound: There is none, or it is somebody else's, or not of this kind.
        """
        batch_id: str = scope["path_params"]["batch_id"]
        batch = await self._store.get(batch_id, tenant=reached_tenant(principal, scope["access"]))
        if batch is None or not batch_id.startswith(MESSAGES_PREFIX):
            raise NotFound(path=scope["path"])
        return batch

    def _json(self, scope: Scope, batch: Batch) -> View:
        return 200, encode_json(message_batch_object(batch, address=_address(scope))), [JSON]


def _address(scope: Scope) -> str:
    """This server's, as the client wrote it; its name was checked."""
    return f"{scope.get('scheme', 'http')}://{header(scope, b'host')}"
