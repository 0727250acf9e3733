"""What the configuration says of files by the folders that they lie in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from freehold.config.compile_vault import FolderPlan
from freehold.vault.ingest_ports import Terms
from freehold.vault.making import narrowed


def terms_at(path: Path, folders: Sequence[FolderPlan], terms: Terms, *, joined: Callable[..., str]) -> Terms:
    """On what terms a file is taken in: those that are given, and what is said of all folders that it is in.

    Of folders inside each other, the inner ones narrow what the outer ones say, or replace it where they name others.

    Args:
        path: Of the file.
        folders: Of the vault; those of other tenants say nothing.
        terms: What is said of the file itself.
        joined: The label that some labels of a tenant demand together.
    """
    around = [each for each in folders if each.tenant == terms.tenant and path.is_relative_to(each.path)]
    for each in sorted(around, key=lambda folder: len(Path(folder.path).parts)):
        terms = replace(
            terms,
            label=joined(terms.label, each.label, tenant=terms.tenant),
            in_folder=True,
            folder_readers=narrowed(each.readers, terms.folder_readers),
        )
    return terms
