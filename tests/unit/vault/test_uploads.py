"""What clients send has a bound for each tenant: beyond it nothing is kept, and nothing that was there is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from freehold.domain.errors.vault import VaultUploadsFull
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Readers
from freehold.vault.ingest_ports import Place, Terms
from freehold.vault.places import source_of
from tests.support.vault_site import Site, run, site

__all__ = ["site"]

LIMIT = 2_000


@pytest.fixture
def settings() -> str:
    return f"[tenants.default]\n[tenants.other]\n[vaults.archive]\nupload_bytes_max = {LIMIT:_}\n"


async def sent(site: Site, name: str, text: str, tenant: str = "default") -> Sequence[Document]:
    path = site.folder.parent / f"sent-{name}"
    path.write_text(text, encoding="utf-8")
    readers = Readers(level=Level.PUBLIC, names=None)
    return await site.vaults.add(
        "archive", path=str(path), source=f"upload:{name}/x", name=name, tenant=tenant, label="", readers=readers,
        by="a key",
    )  # fmt: skip


def test_beyond_the_bound_nothing_is_kept_and_nothing_is_lost(site: Site) -> None:
    async def work() -> None:
        first = await sent(site, "a", "x" * 1_500)
        with pytest.raises(VaultUploadsFull) as caught:
            await sent(site, "b", "y" * 501)
        assert "may keep 2,000 bytes in it, 1,500 are used, and this document has 501" in caught.value.message
        assert [each.id for each in await site.held()] == [each.id for each in first]
        assert site.parts.lines.read == ["a"]  # what there is no room for is not even read
        await sent(site, "c", "z" * 500)
        await sent(site, "d", "z" * 1_999, tenant="other")
        await site.vaults.remove("archive", [first[0].id], tenant="default", by="a test")
        await sent(site, "e", "y" * 501)

    run(site, work)


def test_what_is_inside_counts_and_half_of_it_is_not_kept(site: Site) -> None:
    async def work() -> None:
        members = "".join(f"=== {number}\n{'x' * 290}\n" for number in range(4))
        with pytest.raises(VaultUploadsFull):
            await sent(site, "a", members)
        assert await site.held() == []

    run(site, work)


def test_at_once_there_is_no_more_room_than_one_after_the_other(site: Site) -> None:
    async def work() -> None:
        done = await asyncio.gather(
            *(sent(site, str(number), f"{number}" * 900) for number in range(5)), return_exceptions=True
        )
        assert sorted(isinstance(each, VaultUploadsFull) for each in done) == [False, False, True, True, True]
        assert len(await site.held()) == 2

    run(site, work)


def test_files_of_this_machine_do_not_count(site: Site) -> None:
    path: Path = site.file("a.txt", "x" * 3_000)

    async def work() -> None:
        await site.vaults.take(
            "archive", Place(path=path, source=source_of(path), name="a.txt"), Terms(tenant="default", by="a test")
        )
        assert len(await sent(site, "b", "y" * LIMIT)) == 1

    run(site, work)
