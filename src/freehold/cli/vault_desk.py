"""The vaults of the data folder, opened beside a gateway that may be running, and what commands say of documents."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from freehold.app.vault_house import Known, vaults_in
from freehold.app.vaults import Vaults
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import DATABASE_FILE, this_user
from freehold.cli.options import ConfigFile
from freehold.config.compile import Compiled
from freehold.config.compile_vault import ARCHIVE, VaultPlan
from freehold.config.load import data_folder
from freehold.domain.errors.vault import VaultDocumentUnknown, VaultUnknown
from freehold.domain.labels import Level
from freehold.domain.vault import GROUP, USER, Document, Reader
from freehold.hostinfo.clock import SystemClock
from freehold.storage.database import Database
from freehold.vault.ingest_ports import Terms

T = TypeVar("T")
_READER = re.compile(r"(?:user|group):[^\s,;]{1,128}")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which documents.

    Attributes:
        vault: Name of the vault; archive if not given.
        tenant: Tenant whose documents they are; the configuration's first one if not given.
    """

    vault: str = ARCHIVE
    tenant: str = ""
    config: ConfigFile = ""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of documents.

    Attributes:
        label: Label that they have at least, for example restricted. Markings in them, and the tenant's label, raise it.
        reader: Who may read them, user:NAME or group:NAME; several times for several. Else everybody of the tenant.
        owner: Who may always read them, user:NAME, instead of who was named before.
    """

    label: str = ""
    reader: tuple[str, ...] = ()
    owner: str = ""

    def terms(self, tenant: str, command: str) -> Terms:
        """The same as ingest takes it.

        Raises:
            UsageError: A reader is none.
        """
        check_readers((*self.reader, *([self.owner] if self.owner else [])))
        return Terms(
            tenant=tenant,
            label=self.label,
            readers=frozenset(self.reader) or None,
            owner=self.owner,
            by=this_user(command),
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """With whose eyes.

    Attributes:
        as_reader: See only what this reader may, user:NAME or group:NAME; several times for all that somebody is. Else all.
        clearance: Highest level that is seen: public, internal, confidential or restricted.
    """

    as_reader: Annotated[tuple[str, ...], Parameter(name="--as")] = ()
    clearance: str = "restricted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A vault that a command works on.

    Attributes:
        vaults: All of them.
        name: Which.
        tenant: Whose documents.
        plan: Its settings.
        compiled: The configuration.
        clock: Time.
    """

    vaults: Vaults
    name: str
    tenant: str
    plan: VaultPlan
    compiled: Compiled
    clock: SystemClock

    async def reader(self, eyes: Eyes) -> Reader:
        """Who looks.

        Raises:
            UsageError: A reader or level is none.
        """
        check_readers(eyes.as_reader)
        try:
            clearance = Level[eyes.clearance.upper()]
        except KeyError:
            raise output.UsageError(f"There is no level {eyes.clearance!r}.") from None
        everybody = await self.vaults.key_holder(self.name, self.tenant)
        names = frozenset(eyes.as_reader) if eyes.as_reader else everybody.names
        return Reader(tenant=self.tenant, names=names, clearance=clearance)

    async def one(self, document_id: str) -> Document:
        """A document.

        Raises:
            VaultDocumentUnknown: There is none of that id.
        """
        found = await self.vaults.held(self.name, tenant=self.tenant, ids=[document_id])
        if not found:
            raise VaultDocumentUnknown(document=document_id, vault=self.name)
        return found[0]


def at_desk(which: Which, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Do something with a vault, and close it.

    Raises:
        FreeholdError: It cannot be opened, or the work fails.
    """

    async def whole() -> T:
        async with open_desk(which) as desk:
            return await work(desk)

    return asyncio.run(whole())


@contextlib.asynccontextmanager
async def open_desk(which: Which) -> AsyncGenerator[Desk]:
    """The vault that is meant; its file is opened when it is first used.

    Raises:
        VaultUnknown: There is no such vault for this tenant.
        FreeholdError: The configuration holds mistakes, or the data folder cannot be used.
    """
    compiled, folder, clock = compiled_or_default(which.config), data_folder(), SystemClock()
    tenant = which.tenant or next(iter(compiled.tenants))
    plan = compiled.vaults.get(which.vault)
    if tenant not in compiled.tenants:
        raise output.UsageError(f"There is no tenant {tenant!r}; there are: {', '.join(compiled.tenants)}.")
    if plan is None or not plan.serves(tenant):
        known = ", ".join(name for name, each in compiled.vaults.items() if each.serves(tenant))
        raise VaultUnknown(vault=which.vault, tenant=tenant, known=known)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database.open(folder / DATABASE_FILE)
    try:
        vaults = vaults_in(folder, compiled, Known(compiled), database=database, clock=clock)
        try:
            yield Desk(vaults=vaults, name=which.vault, tenant=tenant, plan=plan, compiled=compiled, clock=clock)
        finally:
            await vaults.close()
    finally:
        database.close()


def check_readers(names: Sequence[str]) -> None:
    """See that names of readers are such.

    Raises:
        UsageError: One is not.
    """
    for name in names:
        if not _READER.fullmatch(name):
            raise output.UsageError(f"{name!r} is no reader: write {USER}NAME or {GROUP}NAME.")


def document_json(document: Document) -> dict[str, Any]:
    """A document as JSON-ready values."""
    readers = document.readers
    return {
        "id": document.id,
        "title": document.title,
        "source": document.source,
        "state": document.state,
        "reason": document.reason,
        "label": document.label,
        "readers": None if readers.names is None else sorted(readers.names),
        "owner": readers.owner,
        "media_type": document.media_type,
        "pages": document.pages,
        "chunks": document.chunks,
        "size_bytes": document.size_bytes,
        "sha256": document.sha256,
        "author": document.author,
        "written": document.written,
        "language": document.language,
        "parser": document.parser,
        "tenant": document.tenant,
        "added_unix_ms": document.added_unix_ms,
    }


def readers_text(document: Document) -> str:
    """Who may read a document, in a cell of a table."""
    readers = document.readers
    names = "everybody" if readers.names is None else " ".join(sorted(readers.names)) or "nobody"
    return f"{names} (owner {readers.owner})" if readers.owner else names
