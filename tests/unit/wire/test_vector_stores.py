"""Vaults as OpenAI's vector stores."""

from __future__ import annotations

from freehold.wire.vault_schema import VaultView
from freehold.wire.vector_stores import store_view


def test_files_that_could_not_be_read_are_failed_and_those_without_vectors_in_progress() -> None:
    vault = VaultView(name="archive", documents=9, failed=2, filling=3, chunks=40, pending=12, bytes=5_000)
    store = store_view(vault)
    assert store.status == "in_progress"
    assert store.file_counts == {"total": 9, "completed": 4, "failed": 2, "in_progress": 3, "cancelled": 0}
