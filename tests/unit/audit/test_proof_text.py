"""Proofs as text: they hold by themselves, and no changed line of one does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.audit.export import check_export, export_tenant, newest_checkpoint
from freehold.audit.proof_text import check_consistency, check_inclusion, consistency_text, inclusion_text
from freehold.audit.shards import prove_from_files
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import consistency_path
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord
from tests.support.audit import ORIGIN, open_log, record, write_log

SIZE = 600


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("proofs") / "audit"
    return folder, write_log(folder, map(record, range(SIZE)))


@pytest.mark.parametrize("index", [0, 255, 256, SIZE - 1])
def test_a_proof_of_inclusion_holds_by_itself(log: tuple[Path, str], index: int) -> None:
    proof = prove_from_files(log[0], ORIGIN, index)
    assert proof is not None
    text = inclusion_text(proof)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert f"\nindex {index}\n" in text
    proven = check_inclusion(text, vkey=log[1])
    assert (proven.index, proven.record, proven.checkpoint.size) == (index, record(index), SIZE)


def test_no_changed_line_of_a_proof_holds(log: tuple[Path, str]) -> None:
    proof = prove_from_files(log[0], ORIGIN, 300)
    assert proof is not None
    lines = inclusion_text(proof).split("\n")
    for place, line in enumerate(lines[:-1]):
        twice = [] if line.startswith("— ") else [[line, line]]  # a signature said twice says nothing else
        for changed in (*twice, [], [f"{line}A"], [line[1:]], [line.replace("3", "4").replace("e", "f") + "="]):
            if changed == [line]:
                continue
            bad = "\n".join([*lines[:place], *changed, *lines[place + 1 :]])
            with pytest.raises(AuditBroken):
                check_inclusion(bad, vkey=log[1])


def test_a_proof_of_consistency(tmp_path: Path) -> None:
    vkey = write_log(tmp_path, map(record, range(270)))
    older = (tmp_path / "checkpoint").read_text()
    write_log(tmp_path, map(record, range(270, SIZE)))
    newest = newest_checkpoint(tmp_path)
    path = consistency_path(270, SIZE, TileStore(tmp_path).nodes(SIZE))
    text = consistency_text(270, path, newest)
    old, new = check_consistency(text, older, vkey=vkey)
    assert (old.size, new.size) == (270, SIZE)
    for bad in (text.replace("old 270", "old 269"), text.replace("\n", "\n" + "A" * 43 + "=\n", 1), text[:-1]):
        with pytest.raises(AuditBroken):
            check_consistency(bad, older, vkey=vkey)


def of(tenant: str, number: int) -> AuditRecord:
    return AuditRecord(event="test", unix_ms=number, tenant=tenant, detail={"secret": f"{tenant}-{number}"})


def test_an_export_holds_one_tenants_entries_and_of_others_only_hashes(tmp_path: Path) -> None:
    main = tmp_path / "audit"
    vkey = write_log(main, [of("acme" if number % 3 else "other", number) for number in range(SIZE)])
    (exported,) = export_tenant(main, "acme", tmp_path / "out")
    assert (exported.entries, exported.size) == (SIZE * 2 // 3, SIZE)
    assert check_export(tmp_path / "out" / "audit", vkey).entries == exported.entries
    content = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"acme-1" in content
    assert b"other" not in content
    with pytest.raises(FileExistsError):
        export_tenant(main, "acme", tmp_path / "out")


@pytest.mark.parametrize("harm", ["entry", "proof", "missing", "tenant", "key"])
def test_an_export_that_was_changed_does_not_check(tmp_path: Path, harm: str) -> None:
    main = tmp_path / "audit"
    vkey = write_log(main, [of("acme", number) for number in range(5)])
    export_tenant(main, "acme", tmp_path / "out")
    out = tmp_path / "out" / "audit"
    lines = out / "entries.jsonl"
    if harm == "entry":
        lines.write_bytes(lines.read_bytes().replace(b"acme-3", b"acme-9"))
    elif harm == "proof":
        (out / "proofs" / "2.tlog-proof").write_text((out / "proofs" / "3.tlog-proof").read_text())
    elif harm == "missing":
        (out / "proofs" / "2.tlog-proof").unlink()
    elif harm == "tenant":
        lines.write_bytes(lines.read_bytes().replace(b'"tenant":"acme"', b'"tenant":"else"'))
    else:
        vkey = write_log(tmp_path / "another", [record(0)])
    with pytest.raises(AuditBroken):
        check_export(out, vkey)


def test_entries_that_no_checkpoint_covers_are_not_exported(tmp_path: Path) -> None:
    async def run() -> int:
        log = open_log(tmp_path / "audit")
        log.append(of("acme", 1))
        await log.checkpoint()
        log.append(of("acme", 2))
        (exported,) = export_tenant(tmp_path / "audit", "acme", tmp_path / "out")
        log.close()
        return exported.entries

    assert asyncio.run(run()) == 1
