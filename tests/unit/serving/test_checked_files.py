"""Files of an engine before each of its starts: read again only where they changed, and refused where they are others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.domain.errors.engine import ModelFileChanged, ModelUnvouched
from freehold.domain.errors.model_versions import SignatureMissing
from freehold.serving import digests as digests_module
from freehold.serving.checked_files import CheckedFiles
from freehold.serving.digests import DigestCache, sha256_of
from tests.unit.serving.test_registry import digest

CONTENT = b"GGUF and what follows"


class Kept:
    """A model and an adapter of their owner's, and how often either was read whole."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        self.model, self.adapter = folder / "m.gguf", folder / "a.gguf"
        for path in (self.model, self.adapter):
            path.write_bytes(CONTENT)

        def read(path: Path) -> str:
            self.reads.append(path.name)
            return sha256_of(path)

        monkeypatch.setattr(digests_module, "sha256_of", read)
        known = {self.model: digest(CONTENT), self.adapter: digest(CONTENT)}
        self.files = CheckedFiles(known, digests=DigestCache(folder / "stamps"), deployment="small")
        self.files.check()
        self.reads.clear()

    def written_over(self, content: bytes) -> None:
        """In its place, some time later."""
        self.model.write_bytes(content)
        later_ns = self.model.stat().st_mtime_ns + 10**9
        os.utime(self.model, ns=(later_ns, later_ns))

    def renamed_over(self, content: bytes) -> None:
        new = self.model.with_suffix(".new")
        new.write_bytes(content)
        new.replace(self.model)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(tmp_path, monkeypatch)


def test_two_may_come_to_know_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = tmp_path / "m.gguf", DigestCache(tmp_path / "stamps")
    path.write_bytes(CONTENT)
    found: list[str] = []

    def while_it_is_written(descriptor: int) -> None:
        monkeypatch.undo()
        found.append(cache.digest(path))
        os.fsync(descriptor)

    monkeypatch.setattr(os, "fsync", while_it_is_written)
    found.append(cache.digest(path))
    assert found == [digest(CONTENT)] * 2
    assert [each.suffix for each in (tmp_path / "stamps").iterdir()] == [".json"]


def test_what_did_not_change_is_not_read_again(kept: Kept) -> None:
    kept.files.check()
    assert kept.reads == []
    assert kept.files.same()
    assert not kept.files.rewritten()


@pytest.mark.parametrize("way", [Kept.written_over, Kept.renamed_over])
@pytest.mark.parametrize("content", [CONTENT[:-1], bytes([CONTENT[0] ^ 1]) + CONTENT[1:], b"another"])
def test_what_was_cut_flipped_or_replaced_is_refused(
    kept: Kept, way: Callable[[Kept, bytes], None], content: bytes
) -> None:
    way(kept, content)
    with pytest.raises(ModelFileChanged, match=f"its digest is {digest(content)}, expected {digest(CONTENT)}"):
        kept.files.check()
    assert kept.reads == ["m.gguf"]
    kept.renamed_over(CONTENT)
    kept.files.check()


def test_what_was_only_touched_is_read_once_and_goes_on(kept: Kept) -> None:
    kept.written_over(CONTENT)
    assert kept.files.rewritten(), "whether it is the same is not known before it was read"
    kept.files.check()
    kept.files.check()
    assert kept.reads == ["m.gguf"]
    assert not kept.files.rewritten()


def test_what_is_gone_is_refused_and_spoils_nothing_that_is_open(kept: Kept) -> None:
    kept.model.unlink()
    assert not kept.files.same()
    assert not kept.files.rewritten()
    assert kept.files.exchanged(outside=Path("/elsewhere")) == ()
    with pytest.raises(ModelFileChanged, match="cannot be read"):
        kept.files.check()


def test_only_what_is_mapped_is_spoilt(kept: Kept) -> None:
    """A rename leaves the old file to who has it open; permissions and links are not its content."""
    kept.model.chmod(0o400)
    kept.adapter.with_suffix(".link").hardlink_to(kept.adapter)
    assert not kept.files.rewritten()
    assert not kept.files.same(), "whoever loads it now asks once more"
    kept.renamed_over(b"another")
    assert not kept.files.rewritten()
    kept.adapter.write_bytes(b"another one")
    assert kept.files.rewritten()


def test_what_was_exchanged_is_told_but_not_what_is_pulled(kept: Kept, tmp_path: Path) -> None:
    kept.renamed_over(b"another")
    assert kept.files.exchanged(outside=tmp_path / "models") == (kept.model,)
    assert kept.files.exchanged(outside=tmp_path) == ()


def test_what_nobody_vouches_for_is_refused_as_long_as_nobody_does(tmp_path: Path) -> None:
    model, trusted = tmp_path / "m.gguf", False
    model.write_bytes(CONTENT)

    def vouched() -> None:
        if not trusted:
            raise SignatureMissing(name="m")

    known = {model: digest(CONTENT)}
    files = CheckedFiles(known, digests=DigestCache(tmp_path / "stamps"), deployment="small", vouched=vouched)
    with pytest.raises(ModelUnvouched, match=r"'small' was not started: 'm' is not used: nobody .* does without\.$"):
        files.check()
    assert files.unvouched()
    trusted = True
    files.check()
    assert not files.unvouched()
