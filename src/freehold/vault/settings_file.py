"""How a vault searches, where its owner had that chosen: a small file beside the vault's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from freehold.domain.errors.vault import VaultSettingsInvalid
from freehold.domain.vault import SearchSettings
from freehold.storage.disk import write_atomically

_SUFFIX = ".search.json"
_BYTES_MAX = 65_536
_Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """``SearchSettings``, with what was measured of them for people to read."""

    version: Literal[1]
    embedder: str
    reranker: str
    words: _Share
    fusion: Literal["minmax", "rrf"]
    candidates: _Count
    reranked: _Count
    support_at: _Share | None = None
    measured: dict[str, float] = {}


def settings_path(vault_file: Path) -> Path:
    """Where the settings of the vault with this file are."""
    return vault_file.with_suffix(_SUFFIX)


def load_settings(path: Path) -> SearchSettings | None:
    """The settings of a file; ``None`` where there is none.

    Raises:
        VaultSettingsInvalid: It cannot be read, or says what no vault can do.
    """
    try:
        with path.open("rb") as stream:
            found = msgspec.json.decode(stream.read(_BYTES_MAX), type=_File)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VaultSettingsInvalid(path=str(path), reason=error.strerror or "it cannot be read") from error
    except msgspec.MsgspecError as error:
        raise VaultSettingsInvalid(path=str(path), reason=str(error)) from error
    return SearchSettings(
        embedder=found.embedder,
        reranker=found.reranker,
        words=found.words,
        fusion=found.fusion,
        candidates=found.candidates,
        reranked=found.reranked,
        support_at=found.support_at,
    )


def save_settings(path: Path, settings: SearchSettings, *, measured: dict[str, float] | None = None) -> None:
    """Keep settings, whole or not at all.

    Args:
        path: Where; see ``settings_path``.
        settings: What is kept.
        measured: Figures that say why, for people.

    Raises:
        OSError: The disk failed.
    """
    file = _File(
        version=1,
        embedder=settings.embedder,
        reranker=settings.reranker,
        words=settings.words,
        fusion="rrf" if settings.fusion == "rrf" else "minmax",
        candidates=settings.candidates,
        reranked=settings.reranked,
        support_at=settings.support_at,
        measured=measured or {},
    )
    write_atomically(path, msgspec.json.format(msgspec.json.encode(file)), mode=0o600)
