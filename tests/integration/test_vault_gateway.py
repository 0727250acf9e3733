"""A gateway with a watched folder: what is put there is found, what is taken away is not; without a vault nothing is loaded."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from freehold.domain.vault import Reader, VaultQuery
from tests.support.inside import CONFIG, Inside, inside
from tests.support.vault_parts import FakeParts

for needed in ("apsw", "sqlite_vec", "watchfiles"):
    pytest.importorskip(needed)

DEADLINE_S = 60.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            await asyncio.sleep(0.05)


def test_a_watched_folder_is_searched_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = FakeParts()
    monkeypatch.setattr("freehold.app.vault_house.RealParts", lambda *_, **__: parts)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("The heron stands.", encoding="utf-8")
    vault = f'\n[vaults.archive.folders.files]\npath = "{folder}"\nlabel = "restricted"\n'

    async def work(gateway: Inside) -> None:
        desk = gateway.house._vaults.desk
        reader = Reader(tenant="ours")

        async def found(text: str) -> list[str]:
            passages = await desk.search(VaultQuery(vault="archive", text=text, reader=reader))
            return [each.text for each in passages.passages]

        async def is_found(text: str) -> bool:
            return await found(text) != []

        await until(lambda: is_found("heron"))
        (folder / "b.txt").write_text("The stork stands.", encoding="utf-8")
        await until(lambda: is_found("stork"))
        (folder / "a.txt").unlink()

        async def is_gone() -> bool:
            return await found("heron") == []

        await until(is_gone)

        async def has_vectors() -> bool:
            return (await desk.counts("archive", reader=reader)).pending == 0

        await until(has_vectors)

    with inside(tmp_path, config=CONFIG + vault, own_vaults=True) as gateway:
        gateway.run(work(gateway))


def test_a_gateway_without_a_vault_loads_none_of_it(tmp_path: Path) -> None:
    # Of what is heavy; watchfiles is loaded by uvicorn wherever it is installed.
    program = (
        "import sys; from pathlib import Path; from tests.support.inside import inside\n"
        "with inside(Path(sys.argv[1]), own_vaults=True): pass\n"
        "heavy = {'apsw', 'sqlite_vec', 'kreuzberg', 'pypdfium2', 'onnxruntime', 'magika', 'rapidocr'}\n"
        "print(sorted(heavy & sys.modules.keys()), (Path(sys.argv[1]) / 'data' / 'vaults').exists())\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] False"
