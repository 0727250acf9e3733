"""What no single value of a vault's settings shows: tenants that there are not, and a folder that is said twice."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.config.lines import KeyPath
from freehold.config.mistakes import Mistake, near
from freehold.config.schema import Config

ARCHIVE = "archive"
"""The vault that is there without being configured."""

_ONLY_TENANT = "default"


def check_vaults(config: Config) -> Iterator[Mistake]:
    """Mistakes in the vaults of a configuration whose single values are right."""
    tenants = {*config.tenants} or {_ONLY_TENANT}
    vaults = {ARCHIVE, *config.vaults}
    for name, route in config.routes.items():
        if route.vault and route.vault not in vaults:
            text = f"there is no vault {route.vault!r}{near(route.vault, vaults)}"
            yield Mistake(path=("routes", name, "vault"), text=text)
    for name, vault in config.vaults.items():
        for number, tenant in enumerate(vault.tenants):
            if tenant not in tenants:
                yield Mistake(path=("vaults", name, "tenants", number), text=_unknown(tenant, tenants))
        taken: dict[tuple[str, str | None], str] = {}
        for key, folder in vault.folders.items():
            path: KeyPath = ("vaults", name, "folders", key)
            if folder.tenant is not None and folder.tenant not in tenants:
                yield Mistake(path=(*path, "tenant"), text=_unknown(folder.tenant, tenants))
            elif vault.tenants and (folder.tenant or next(iter(config.tenants), _ONLY_TENANT)) not in vault.tenants:
                text = f"its tenant may not use the vault {name!r}; name it in tenants, or another one here"
                yield Mistake(path=(*path, "tenant"), text=text)
            other = taken.setdefault((folder.path.rstrip("/"), folder.tenant), key)
            if other != key:
                text = f"{folder.path!r} is the folder {other!r} of this vault already"
                yield Mistake(path=(*path, "path"), text=text)


def folder_labels(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Every label of a folder, with its place."""
    for name, vault in config.vaults.items():
        for key, folder in vault.folders.items():
            if folder.label:
                yield ("vaults", name, "folders", key, "label"), folder.label


def _unknown(tenant: str, tenants: set[str]) -> str:
    return f"there is no tenant {tenant!r}{near(tenant, tenants)}"
