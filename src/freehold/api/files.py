"""``/v1/files``: taking files from a tenant's clients, and giving them back to them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, cast

from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, FileBody, Headers, Scope, header
from freehold.api.upload import Form, declared_bytes, read_form
from freehold.config.schema_files import Files as FilesSection
from freehold.domain.errors.file import FileFormInvalid, FileQuotaReached, FileTooLarge
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.errors.server import StorageFailed
from freehold.domain.files import BATCH, BATCH_OUTPUT, UPLOADED, Paging, StoredFile
from freehold.domain.identity import Principal
from freehold.domain.labels import Level
from freehold.domain.ports import Clock, IdSource
from freehold.gateway.file_flow import FileFlow
from freehold.identity.access import reached_tenant
from freehold.policy.labelling import LABEL_HEADER
from freehold.storage.files import FileDraft, SqliteFiles
from freehold.wire.openai_batches import file_object, page_object
from freehold.wire.openai_invalid import show
from freehold.wire.openai_response import encode_json

View = tuple[int, bytes | FileBody, Headers]
LabelOf = Callable[[Principal, Sequence[str | None]], str]
"""The label of what a caller gives, from labels that it and others said, as text."""

_PAGE_FILES_MAX = 10_000
_NUMBER = re.compile(r"[0-9]{1,10}")
_EXPIRES_S = (3_600, 2_592_000)
_DAY_MS = 86_400_000
_FILENAME_CHARACTERS_MAX = 255


def paging_of(scope: Scope, *, most: int, usual: int) -> Paging:
    """Which objects a client wants listed.

    Raises:
        FieldInvalid: A value of the query does not do.
    """
    query = QueryParams(scope["query_string"])
    limit, order = query.get("limit", str(usual)), query.get("order", "desc")
    if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= most:
        raise FieldInvalid(
            param="limit", field="limit", value=limit, reason=f"a whole number from 1 to {most} is taken"
        )
    if order not in {"asc", "desc"}:
        raise FieldInvalid(param="order", field="order", value=order, reason="it is asc or desc")
    return Paging(
        after=query.get("after", ""),
        limit=int(limit),
        newest_first=order == "desc",
        purpose=query.get("purpose", ""),
    )


def check_clearance(principal: Principal, file: StoredFile, *, path: str) -> None:
    """Let a caller read what a batch made as far as its key reads documents: answers may quote them.

    Raises:
        NotFound: Something in it is above the caller's clearance.
    """
    word = file.label.partition(";")[0].strip()
    level = next((each for each in Level if each.word == word), Level.RESTRICTED)
    if file.purpose == BATCH_OUTPUT and level > principal.clearance:
        raise NotFound(path=path)


class Files:
    """One method a row of the URL table."""

    def __init__(
        self,
        *,
        store: SqliteFiles,
        settings: FilesSection,
        label_of: LabelOf,
        flow: FileFlow,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._settings = settings
        self._label_of = label_of
        self._flow = flow
        self._clock = clock
        self._ids = ids
        self._coming_bytes: Counter[str] = Counter()
        """By tenant, what the files that are being sent to this process may come to."""

    async def create(self, scope: Scope, principal: Principal) -> View:
        """Take a file, straight to the disk."""
        tenant, settings = principal.tenant.name, self._settings
        said = header(scope, LABEL_HEADER.encode())
        self._label_of(principal, (said,))  # what cannot be read is refused before a long file is taken
        used_bytes = await self._store.used_bytes(tenant) + self._coming_bytes[tenant]
        room_bytes = settings.tenant_bytes_max - used_bytes
        full = FileQuotaReached(tenant=tenant, used_bytes=used_bytes, limit_bytes=settings.tenant_bytes_max)
        if room_bytes <= 0:
            raise full
        most_bytes = min(settings.file_bytes_max, room_bytes)
        coming_bytes = min(most_bytes, declared_bytes(scope) or most_bytes)
        self._coming_bytes[tenant] += coming_bytes
        try:
            file = await self._taken(scope, principal, said=said, most_bytes=most_bytes)
            with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
                await self._flow.kept(file, self._store.path(file.id), principal)
        except FileTooLarge as error:
            raise (full if room_bytes < settings.file_bytes_max else error) from None
        except OSError as error:
            raise _unwritable(error, "written") from error
        finally:
            self._coming_bytes[tenant] -= coming_bytes
        return _json(file_object(file))

    async def _taken(self, scope: Scope, principal: Principal, *, said: str | None, most_bytes: int) -> StoredFile:
        """The file that a client sends, kept.

        Raises:
            FreeholdError: It is not taken.
            OSError: The disk fails or is full.
        """
        draft = await self._store.drafted(new_id(self._ids, "file-"))
        try:
            form = await read_form(scope, scope["receive"], draft, file_bytes_max=most_bytes)
            file = self._file(form, draft, tenant=principal.tenant.name)
            await asyncio.to_thread(draft.finish)
            asked = await self._flow.labels_of(draft.path, filename=file.filename, purpose=file.purpose)
            file = replace(file, label=self._label_of(principal, (said, *asked)))
            await self._store.keep(file, tenant_bytes_max=self._settings.tenant_bytes_max)
        except BaseException:
            draft.drop()
            raise
        return file

    async def list(self, scope: Scope, principal: Principal) -> View:
        """The tenant's files."""
        paging = paging_of(scope, most=_PAGE_FILES_MAX, usual=_PAGE_FILES_MAX)
        tenant = reached_tenant(principal, scope["access"])
        found = await self._store.list(paging, tenant=tenant, unix_ms=self._clock.unix_ms())
        return _json(page_object([file_object(each) for each in found], limit=paging.limit))

    async def show(self, scope: Scope, principal: Principal) -> View:
        """One of them."""
        file = await self._found(scope, principal)
        status, body, headers = _json(file_object(file))
        return status, body, [*headers, _label(file)]

    async def content(self, scope: Scope, principal: Principal) -> View:
        """What is in it, with its label."""
        file = await self._found(scope, principal)
        check_clearance(principal, file, path=scope["path"])
        try:
            body = FileBody(self._store.open(file.id), file.size_bytes)
        except FileNotFoundError:
            raise NotFound(path=scope["path"]) from None
        except OSError as error:
            raise _unwritable(error, "read") from error
        return 200, body, [(b"content-type", b"application/octet-stream"), _label(file)]

    async def delete(self, scope: Scope, principal: Principal) -> View:
        """Delete it for good."""
        file = await self._found(scope, principal)
        await self._store.delete(file.id)
        return _json({"id": file.id, "object": "file", "deleted": True})

    async def _found(self, scope: Scope, principal: Principal) -> StoredFile:
        """A file that the caller reaches.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        tenant = reached_tenant(principal, scope["access"])
        file = await self._store.get(scope["path_params"]["file_id"], tenant=tenant, unix_ms=self._clock.unix_ms())
        if file is None:
            raise NotFound(path=scope["path"])
        return file

    def _file(self, form: Form, draft: FileDraft, *, tenant: str) -> StoredFile:
        """What is known of a file before anybody has looked into it."""
        purpose = form.fields.get("purpose", "")
        if purpose not in UPLOADED:
            taken = ", ".join(UPLOADED)
            raise FieldInvalid(
                param="purpose", field="purpose", value=purpose or "missing", reason=f"{taken} are taken"
            )
        if not form.filename.isprintable() or len(form.filename) > _FILENAME_CHARACTERS_MAX:
            raise FileFormInvalid(
                reason=f"its file name has more than {_FILENAME_CHARACTERS_MAX} characters, or odd ones"
            )
        now_ms = self._clock.unix_ms()
        return StoredFile(
            id=draft.path.name,
            tenant=tenant,
            filename=form.filename,
            purpose=purpose,
            size_bytes=draft.size_bytes,
            created_unix_ms=now_ms,
            expires_unix_ms=self._expiry(form, purpose, now_ms),
            label="",
        )

    def _expiry(self, form: Form, purpose: str, now_ms: int) -> int | None:
        name = "expires_after"
        parts = {part: form.fields.get(f"{name}[{part}]") for part in ("anchor", "seconds")}
        said = {part: text for part, text in parts.items() if text is not None}
        if (keep_s := keep_s_of(said or None, name)) is not None:
            return now_ms + keep_s * 1000
        return expiry_of(purpose, now_ms, keep_days=self._settings.keep_days)


def keep_s_of(said: object, name: str) -> int | None:
    """How long its owner wants a file kept; ``None`` where that was not said.

    Args:
        said: A member ``{"anchor": "created_at", "seconds": …}``.
        name: What it is called.

    Raises:
        FieldInvalid: It is something else.
    """
    if said is None:
        return None
    values = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    seconds, (first, last) = str(values.get("seconds", "")), _EXPIRES_S
    if values.get("anchor") == "created_at" and _NUMBER.fullmatch(seconds) and first <= int(seconds) <= last:
        return int(seconds)
    reason = f'anchor must be "created_at" and seconds {first} to {last}'
    raise FieldInvalid(param=name, field=name, value=show(cast("object", said)), reason=reason)


def expiry_of(purpose: str, now_ms: int, *, keep_days: int) -> int | None:
    """When a file goes by itself: those of batches do, others are kept."""
    return now_ms + keep_days * _DAY_MS if keep_days and purpose.startswith(BATCH) else None


def new_id(ids: IdSource, prefix: str) -> str:
    """A public id that sorts by age."""
    return prefix + ids.new_id().replace("-", "")


def _label(file: StoredFile) -> tuple[bytes, bytes]:
    return LABEL_HEADER.encode(), file.label.encode("latin-1", "replace")


def _unwritable(error: OSError, done: Literal["read", "written"]) -> StorageFailed:
    return StorageFailed(name="files", done=done, reason=error.strerror or error)


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
