"""Trees, proofs and paths against RFC 6962's own recursive definitions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from freehold.audit.tiles import (
    EMPTY_ROOT,
    NodeReader,
    Tile,
    TreeEdge,
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    subtree_root,
    tile_levels,
    tile_path,
    tiles_of,
)
from freehold.domain.errors.audit import AuditBroken

LEAVES = [leaf_hash(str(number).encode()) for number in range(140)]
SIZES = [*range(1, 36), 63, 64, 65, 100, 127, 128, 129]


def mth(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash as RFC 6962, section 2.1, writes it down."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(mth(leaves[:split]), mth(leaves[split:]))


def nodes(size: int) -> NodeReader:
    def node(level: int, index: int) -> bytes:
        part = LEAVES[index << level : (index + 1) << level]
        assert len(part) == 1 << level
        assert (index + 1) << level <= size
        return mth(part)

    return node


def test_hashes_are_those_of_rfc_6962() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert hashlib.sha256().digest() == EMPTY_ROOT
    # The reference tree of Certificate Transparency's own test suite.
    entries = [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
    ]  # fmt: skip
    edge = TreeEdge()
    for entry in entries:
        edge.append(leaf_hash(bytes.fromhex(entry)))
    assert edge.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", SIZES)
def test_roots(size: int) -> None:
    edge = TreeEdge()
    for leaf in LEAVES[:size]:
        edge.append(leaf)
    assert edge.root() == subtree_root(LEAVES[:size]) == mth(LEAVES[:size])


def test_no_hashes_have_no_root() -> None:
    assert TreeEdge().root() == EMPTY_ROOT
    with pytest.raises(ValueError, match="no hashes"):
        subtree_root([])


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_leads_to_the_root_and_no_other_does(size: int) -> None:
    root = mth(LEAVES[:size])
    for index in range(size):
        path = inclusion_path(index, size, nodes(size))
        assert root_from_inclusion(index, size, LEAVES[index], path) == root
        assert root_from_inclusion(index, size, LEAVES[-1], path) != root
        if size > 1:
            with pytest.raises(AuditBroken, match="too short"):
                root_from_inclusion(index, size, LEAVES[index], path[:-1])
        with pytest.raises(AuditBroken, match="too long"):
            root_from_inclusion(index, size, LEAVES[index], (*path, root))


def test_there_is_no_proof_of_what_is_not_there() -> None:
    for index in (-1, 5, 6):
        with pytest.raises(ValueError, match="no entry"):
            inclusion_path(index, 5, nodes(5))
        with pytest.raises(AuditBroken, match="no entry"):
            root_from_inclusion(index, 5, LEAVES[0], ())


@pytest.mark.parametrize("new", SIZES)
def test_every_consistency_proof_holds_and_no_other_tree_passes(new: int) -> None:
    new_root = mth(LEAVES[:new])
    for old in range(1, new + 1):
        old_root = mth(LEAVES[:old])
        path = consistency_path(old, new, nodes(new))
        assert is_consistent(old, old_root, new, new_root, path)
        assert not is_consistent(old, LEAVES[-1], new, new_root, path)
        assert not is_consistent(old, old_root, new, LEAVES[-1], path)
        assert not is_consistent(old, old_root, new, new_root, (*path, new_root))
        if path:
            assert not is_consistent(old, old_root, new, new_root, path[:-1])
            assert not is_consistent(old, old_root, new, new_root, (*path[:-1], LEAVES[-1]))


def test_consistency_with_nothing_or_the_future_is_no_question() -> None:
    for old in (0, 6):
        with pytest.raises(ValueError, match="no proof"):
            consistency_path(old, 5, nodes(5))
        assert not is_consistent(old, EMPTY_ROOT, 5, mth(LEAVES[:5]), ())


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 67, 256, "tile/0/067"),
        (None, 1_234_067, 256, "tile/entries/x001/x234/067"),
        (2, 1000, 256, "tile/2/x001/000"),
        (1, 0, 5, "tile/1/000.p/5"),
        (0, 999_999, 255, "tile/0/x999/999.p/255"),
    ],
)
def test_tile_paths_are_those_of_c2sp(level: int | None, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path


def test_an_edge_fills_tiles_of_all_levels() -> None:
    size = 256 * 256 + 257
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(size)]
    edge, full = TreeEdge(), list[Tile]()
    for leaf in leaves:
        full += edge.append(leaf)
    assert [(tile.level, tile.index) for tile in full if tile.level] == [(1, 0)]
    assert sum(tile.level == 0 for tile in full) == 257
    assert [tile.path for tile in edge.partial()] == ["tile/0/257.p/1", "tile/1/001.p/1", "tile/2/000.p/1"]
    assert full[0].data == b"".join(leaves[:256])
    assert edge.root() == mth(leaves)
    assert tile_levels(size) == 3
    assert [tiles_of(level, size) for level in range(3)] == [(257, 1), (1, 1), (0, 1)]
