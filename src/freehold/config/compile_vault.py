"""Vaults from what is written to what the rooms work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from freehold.config.checks_vault import ARCHIVE
from freehold.config.schema import Config
from freehold.config.schema_vault import VaultFolder, VaultSection
from freehold.config.secrets import read_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlan:
    """A folder of a vault.

    Attributes:
        name: What the configuration calls it.
        path: Absolute.
        tenant: Whose its documents are.
        label: What they have at least, as text; empty for nothing.
        readers: Who may read them; ``None`` for everybody of the tenant.
        watch: Whether a running gateway watches it.
        ignore: Patterns of what is left out.
        kinds: Endings of the files that are taken; empty for all.
    """

    name: str
    path: str
    tenant: str
    label: str = ""
    readers: frozenset[str] | None = None
    watch: bool = True
    ignore: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPlan:
    """A vault; what its settings mean is in ``schema_vault.VaultSection``.

    Attributes:
        name: Of the vault.
        key: That was given for its file; empty where one is kept in the data folder.
        key_named: How the configuration names it, for errors.
        tenants: Who may use it; empty for all.
    """

    name: str
    embedder: str = "auto"
    reranker: str = "auto"
    ocr: bool = True
    tenants: frozenset[str] = frozenset()
    trusted: bool = False
    key: str = field(default="", repr=False)
    key_named: str = ""
    keep_files: bool = False
    file_bytes_max: int = 536_870_912
    upload_bytes_max: int = 10_737_418_240
    folders: tuple[FolderPlan, ...] = ()

    def serves(self, tenant: str) -> bool:
        """Whether a tenant may use it."""
        return not self.tenants or tenant in self.tenants


def compile_vaults(config: Config, *, first_tenant: str, environment: Mapping[str, str] | None) -> dict[str, VaultPlan]:
    """The vaults by name, ``archive`` among them.

    Args:
        config: It holds.
        first_tenant: Whose documents are of a folder that names no tenant.
        environment: Where keys may be; ``None`` reads none.

    Raises:
        SecretUnreadable: A key is not there.
    """
    sections = {ARCHIVE: VaultSection(), **config.vaults}
    return {
        name: VaultPlan(
            name=name,
            embedder=section.embedder,
            reranker=section.reranker,
            ocr=section.ocr,
            tenants=frozenset(section.tenants),
            trusted=section.trusted,
            key=_key(name, section, environment),
            key_named=section.key or "",
            keep_files=section.keep_files,
            file_bytes_max=section.file_bytes_max,
            upload_bytes_max=section.upload_bytes_max,
            folders=tuple(_folder(key, each, first_tenant) for key, each in section.folders.items()),
        )
        for name, section in sections.items()
    }


def _key(name: str, section: VaultSection, environment: Mapping[str, str] | None) -> str:
    if section.key is None or environment is None:
        return ""
    return read_secret(section.key, key=f"vaults.{name}.key", environment=environment)


def _folder(name: str, section: VaultFolder, first_tenant: str) -> FolderPlan:
    return FolderPlan(
        name=name,
        path=section.path,
        tenant=section.tenant or first_tenant,
        label=section.label,
        readers=None if section.readers is None else frozenset(section.readers),
        watch=section.watch,
        ignore=tuple(section.ignore),
        kinds=frozenset(section.kinds),
    )
