"""What the parser's child is told and says, and what of that is believed."""

from __future__ import annotations

import msgspec
import pytest

from freehold.domain.errors.vault import FileBroke, FileEncrypted, FileTooCostly, FileTooLarge, FileUnread
from freehold.domain.vault import Block, BlockKind, Parsed
from freehold.engines.parser.child import Head, Heard, ParserSpec, Read, problem, read_of, said

LIMITS = {"seconds_max": 300.0, "memory_bytes_max": 1 << 30, "bytes_max": 1 << 20}
INNER = Parsed(text="in", media_type="text/plain", parser="p")
PARSED = Parsed(
    text="Größe 😀\n\nEnd",
    blocks=(Block(start=0, end=7, kind=BlockKind.HEADING), Block(start=9, end=12, page=2, heading=("Größe 😀",))),
    media_type="application/pdf",
    parser="p 1",
    members=(("a", INNER),),
    warnings=("page 3 was not read",),
)


def heard(body: bytes = b"", how: str = "") -> Parsed:
    return read_of(Heard(head=Head(id=1, how=how), body=body), name="a.pdf", limits=LIMITS)


def test_the_order_names_no_file_of_the_user() -> None:
    order = ParserSpec(module="m", folder="/tmp/f", limits=LIMITS).order()
    assert set(order) == {"folder", "readable", "limits"}


def test_what_was_read_comes_over_whole() -> None:
    assert heard(said(Read(parsed=PARSED))) == PARSED


def test_an_error_comes_over_with_its_reason_and_the_name_that_we_know() -> None:
    with pytest.raises(FileEncrypted, match=r"The file 'a\.pdf' was not read: it is protected \(by a password\)"):
        heard(said(problem(FileEncrypted(name="another", reason="by a password"))))


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("time", FileTooCostly, "300 s"),
        ("memory", FileTooCostly, "1 GiB of memory"),
        ("answer", FileTooLarge, "more in it"),
        ("SIGSEGV", FileBroke, "SIGSEGV"),
    ],
)
def test_how_a_reader_ended_is_told(how: str, kind: type[FileUnread], words: str) -> None:
    with pytest.raises(kind, match=words):
        heard(how=how)


@pytest.mark.parametrize(
    "blocks",
    [
        (Block(start=0, end=13),),
        (Block(start=-1, end=2),),
        (Block(start=5, end=4),),
        (Block(start=0, end=5), Block(start=4, end=6)),
        (Block(start=0, end=1, page=-1),),
    ],
)
def test_blocks_that_are_not_in_the_text_are_not_believed(blocks: tuple[Block, ...]) -> None:
    broken = msgspec.structs.replace(Read(), parsed=Parsed(text="x" * 12, blocks=blocks, media_type="a", parser="p"))
    with pytest.raises(FileBroke, match="made no sense"):
        heard(said(broken))
    inside = Parsed(text="", media_type="a", parser="p", members=(("m", broken.parsed or INNER),))
    with pytest.raises(FileBroke, match="made no sense"):
        heard(said(Read(parsed=inside)))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"parsed": {"text": 1}}', b"\xff", b'{"parsed":' + b"[" * 9_000])
def test_what_makes_no_sense_is_not_believed(body: bytes) -> None:
    with pytest.raises(FileBroke, match="made no sense"):
        heard(body)


def test_an_unknown_code_is_the_error_of_any_file() -> None:
    with pytest.raises(FileUnread) as caught:
        heard(b'{"problem": {"code": "FH-VAULT-999", "reason": "so"}}')
    assert type(caught.value) is FileUnread
