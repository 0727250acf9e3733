"""Files and texts that clients put into a vault: written to the disk as they come, read once by the vault, then gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from freehold.api.asgi import Scope, header, read_body
from freehold.api.files import new_id
from freehold.api.upload import read_form
from freehold.api.vault_asked import decoded_as, readers_of
from freehold.api.vault_counter import VaultCounter, document_view
from freehold.config.schema_files import Files as FilesSection
from freehold.domain.errors.file import FileFormInvalid
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.errors.server import StorageFailed
from freehold.domain.errors.vault import DocumentOutOfSight, VaultUploadsFull
from freehold.domain.files import StoredFile
from freehold.domain.identity import Principal, reader_of
from freehold.domain.identity import Scope as KeyScope
from freehold.domain.labels import Label
from freehold.domain.ports import IdSource
from freehold.domain.vault import USER, Document, Readers
from freehold.policy.labelling import LABEL_HEADER
from freehold.storage.files import FileDraft, SqliteFiles
from freehold.wire.vault_schema import TEXT_CHARACTERS_MAX, DocumentsAdded, NewDocumentBody

EVERYBODY = "everybody"

_JSON_BYTES_MAX = 6 * TEXT_CHARACTERS_MAX + 64 * 1024
"""Of a text, each of whose characters may be written as an escape of six bytes."""
_NAME_CHARACTERS_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a client says of a document.

    Attributes:
        name: What it calls it.
        vault: Which vault it means; empty where it says none.
        labels: How sensitive it says it is.
        readers: Who may read it; ``None`` where nothing is said.
        everybody: Whether all of its tenant may.
    """

    name: str
    vault: str
    labels: tuple[str | None, ...]
    readers: frozenset[str] | None
    everybody: bool = False


class VaultIntake:
    """Takes them in.

    Args:
        counter: The vaults.
        files: Where bytes lie while they are read, and what clients sent as files.
        settings: How long files may be.
        parse: Reads a label's text.
        ids: Names of what lies there.
    """

    def __init__(
        self,
        counter: VaultCounter,
        *,
        files: SqliteFiles,
        settings: FilesSection,
        parse: Callable[[str], Label],
        ids: IdSource,
    ) -> None:
        self._counter = counter
        self._files = files
        self._settings = settings
        self._parse = parse
        self._ids = ids

    async def take(self, scope: Scope, principal: Principal) -> DocumentsAdded:
        """A document that a client sends, as a form or as JSON, kept.

        Raises:
            FreeholdError: It is not taken; nothing of it is left.
        """
        said = header(scope, LABEL_HEADER.encode())
        self._counter.label_of(principal, (said,))  # what cannot be read is refused before a long file is taken
        try:
            draft = await self._files.drafted(new_id(self._ids, "file-"))
            try:
                given = await self._received(scope, draft, said)
                await asyncio.to_thread(draft.finish)
                return await self._kept(principal, given, path=str(draft.path), key=draft.path.name)
            finally:
                await asyncio.to_thread(draft.drop)
        except OSError as error:
            raise StorageFailed(name="files", done="written", reason=error.strerror or error) from error

    async def attach(self, principal: Principal, vault: str, file: StoredFile) -> Sequence[Document]:
        """A file that a client sent before, kept in a vault too; what of it the caller may read."""
        # A place of its own each time: what somebody else made of the same file is neither found nor changed by this.
        key = f"{file.id}.{new_id(self._ids, '')}"
        given = Given(name=file.filename or file.id, vault=vault, labels=(file.label,), readers=None)
        return await self._added(principal, given, path=str(self._files.path(file.id)), key=key)

    async def _received(self, scope: Scope, draft: FileDraft, said: str | None) -> Given:
        kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if kind == "application/json":
            raw = await read_body(scope, scope["receive"], limit_bytes=_JSON_BYTES_MAX)
            body = await asyncio.to_thread(decoded_as, raw, NewDocumentBody)
            await asyncio.to_thread(draft.write, body.text.encode("utf-8", "replace"))
            readers = readers_of(body.readers)
            return Given(
                name=_name(body.name, "name"),
                vault=body.vault or "",
                labels=(said, body.label),
                readers=readers,
                everybody=body.everybody,
            )
        form = await read_form(scope, scope["receive"], draft, file_bytes_max=self._settings.file_bytes_max)
        unknown = sorted(form.fields.keys() - {"vault", "label", "readers"})
        if unknown:
            raise FieldInvalid(param=unknown[0][:40], field=unknown[0][:40], value="unknown", reason="leave it out")
        words = [each.strip() for each in form.fields.get("readers", "").split(",") if each.strip()]
        everybody = words == [EVERYBODY]
        return Given(
            name=_name(form.filename, "file"),
            vault=form.fields.get("vault", ""),
            labels=(said, form.fields.get("label") or None),
            readers=readers_of(words) if words and not everybody else None,
            everybody=everybody,
        )

    async def _kept(self, principal: Principal, given: Given, *, path: str, key: str) -> DocumentsAdded:
        vault = self._counter.vault_of(principal, given.vault)
        return DocumentsAdded(
            data=[document_view(vault, each) for each in await self._added(principal, given, path=path, key=key)]
        )

    async def _added(self, principal: Principal, given: Given, *, path: str, key: str) -> Sequence[Document]:
        """What a file was kept as, as far as the caller may read it.

        What it may not read is not told, whether it was made now or was there: else bytes could be tried for whether
        somebody has a document of them.
        """
        vault = self._counter.vault_of(principal, given.vault)
        label = self._counter.label_of(principal, given.labels)
        readers = _readers(principal, given, self._parse(label))
        check_sight(principal, readers)
        try:
            found = await self._counter.desk_of(principal, vault).add(
                vault,
                path=path,
                source=f"upload:{key}/{given.name.replace('#', '_')}",  # behind a # stands what is inside of something
                name=given.name,
                tenant=principal.tenant.name,
                label=label,
                readers=readers,
                by=principal.key_id,
            )
        except VaultUploadsFull as error:
            raise (error if KeyScope.ADMIN in principal.scopes else _untold(error)) from None
        reader = reader_of(principal)
        return [each for each in found if reader.may_read(each.tenant, each.readers)]


def _untold(error: VaultUploadsFull) -> VaultUploadsFull:
    """The same without how much is used: that counts what the caller may not see."""
    tenant, limit, needed = (error.values[name] for name in ("tenant", "limit", "needed"))
    return VaultUploadsFull(tenant=tenant, limit=limit, used="too many", needed=needed)


def check_sight(principal: Principal, readers: Readers) -> None:
    """Let a caller add a document that it could read; a manager adds for others.

    Raises:
        DocumentOutOfSight: It could not.
    """
    if not {KeyScope.MANAGE, KeyScope.ADMIN}.isdisjoint(principal.scopes):
        return
    reader = reader_of(principal)
    if readers.level > reader.clearance:
        reason = f"it would be {readers.level.word}, and the key reads up to {reader.clearance.word}"
        raise DocumentOutOfSight(reason=reason)
    if not reader.may_read(principal.tenant.name, readers):
        raise DocumentOutOfSight(reason="none of its readers is this key's user or group")


def _readers(principal: Principal, given: Given, label: Label) -> Readers:
    """Who may read it: those that were named, else its owner alone, else all of the tenant."""
    owner = USER + principal.user if principal.user else ""
    names = given.readers
    if names is None and owner and not given.everybody:
        names = frozenset({owner})
    return Readers(level=label.level, names=names, owner=owner)


def _name(name: str, field: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _NAME_CHARACTERS_MAX:
        raise FileFormInvalid(reason=f"its {field} has no name of 1 to {_NAME_CHARACTERS_MAX} printable characters")
    return name
