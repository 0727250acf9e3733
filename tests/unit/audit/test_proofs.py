"""Proofs that a receipt's record is in the log, and nothing else passes as one."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from freehold.audit.note import Signer
from freehold.audit.proofs import proof_json, verify_receipt_proof
from freehold.domain.errors.audit import AuditBroken
from tests.support.audit import append_all, open_log, record

SIZE = 700


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[int, dict[str, Any]]]:
    """A log's key and proofs of some of its entries, as they would come over the wire."""

    async def run() -> tuple[str, dict[int, dict[str, Any]]]:
        log = open_log(tmp_path_factory.mktemp("proofs"))
        assert await log.prove(0) is None
        await append_all(log, map(record, range(SIZE)))
        await log.checkpoint()
        found: dict[int, dict[str, Any]] = {}
        for index in (0, 1, 255, 256, 511, 512, 698, 699):
            proof = await log.prove(index)
            assert proof is not None
            found[index] = json.loads(json.dumps(proof_json(proof)))
        late = log.append(record(SIZE))
        await log.durable(late)
        for index in (-1, late, 10**9):
            assert await log.prove(index) is None
        log.close()
        return log.vkey, found

    return asyncio.run(run())


def test_a_proof_proves_its_record(proofs: tuple[str, dict[int, dict[str, Any]]]) -> None:
    vkey, found = proofs
    for index, proof in found.items():
        assert verify_receipt_proof(proof, vkey=vkey) == record(index)
        assert proof["size"] == SIZE


def test_no_changed_member_passes(proofs: tuple[str, dict[int, dict[str, Any]]]) -> None:
    vkey, found = proofs
    proof = found[256]
    other = found[255]
    changes: dict[str, list[Any]] = {
        "index": [255, 257, -1, 10**9, "256", None],
        "size": [699, 701, 0],
        "entry": [proof["entry"].replace("256", "257"), other["entry"], "", "\ud800"],
        "leaf_hash": [other["leaf_hash"], "", "not base64!"],
        "path": [proof["path"][:-1], [*proof["path"], proof["path"][0]], other["path"], [], ["AAAA"], "x"],
        "checkpoint": [proof["checkpoint"].replace("\n700\n", "\n701\n"), "", 7],
    }
    assert changes.keys() == proof.keys()
    for member, values in changes.items():
        for value in values:
            with pytest.raises(AuditBroken):
                verify_receipt_proof({**proof, member: value}, vkey=vkey)
        with pytest.raises(AuditBroken):
            verify_receipt_proof({name: value for name, value in proof.items() if name != member}, vkey=vkey)
    with pytest.raises(AuditBroken):
        verify_receipt_proof({**proof, "extra": 1}, vkey=vkey)


def test_another_logs_key_does_not_vouch(proofs: tuple[str, dict[int, dict[str, Any]]]) -> None:
    vkey, found = proofs
    name = vkey.split("+")[0]
    stranger = Signer(name, bytes(32))
    with pytest.raises(AuditBroken, match="not signed with the key"):
        verify_receipt_proof(found[0], vkey=stranger.verifier.text)
    root = base64.b64decode(found[0]["checkpoint"].split("\n")[2])
    forged = {**found[0], "checkpoint": stranger.sign(size=SIZE, root=root).note}
    with pytest.raises(AuditBroken, match="not signed with the key"):
        verify_receipt_proof(forged, vkey=vkey)
