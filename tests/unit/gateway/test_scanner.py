"""The detector around a scripted reader: never an error, in pieces, known texts at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from freehold.domain.detect_ports import Looked
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.findings import Detector, Finding, Scan
from freehold.gateway.scan_cache import ScanCache
from freehold.gateway.scanner import CHARACTERS_MAX, PIECE_CHARACTERS, Scanner, pieces
from tests.support.virtual_time import run_virtual


class LoopClock:
    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


class Reader:
    """Finds ``secret`` as a secret and ``Jane`` as a name; a piece takes a second."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.fails_at = ""
        self.missed = ""

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        self.asked.append((piece, names))
        if self.fails_at and self.fails_at in piece:
            raise DetectorFailed(reason="its process ended")
        if asyncio.get_running_loop().time() + 1 > deadline_s:
            raise DetectorFailed(reason="the time was over")
        await asyncio.sleep(1)
        found: list[Finding] = []
        for word, kind, detector in (("secret", "secret", "secrets"), ("Jane", "pii", "names")):
            start = piece.find(word)
            if start >= 0 and (names or detector != "names"):
                type_ = "PERSON" if detector == "names" else "TOKEN"
                found.append(Finding(start=start, end=start + len(word), kind=kind, type=type_, detector=detector))
        found.sort(key=lambda each: each.start)
        return Looked(findings=tuple(found), missed=self.missed, versions=(("structured", "1"),))


def scanned(
    reader: Reader,
    *scans: Sequence[str],
    left_s: float = 60,
    cache: ScanCache | None = None,
    tenant: str = "",
    names: bool = True,
) -> list[Scan]:
    async def scenario() -> list[Scan]:
        clock = LoopClock()
        scanner = Scanner(reader=reader, clock=clock, cache=cache)
        done: list[Scan] = []
        for texts in scans:
            deadline_s = clock.monotonic_s() + left_s
            done += [await scanner.scan(texts, deadline_s=deadline_s, tenant=tenant, names=names)]
        return done

    return run_virtual(scenario)


def is_a_detector(scanner: Scanner) -> Detector:
    return scanner


def test_findings_are_by_text_and_kinds_are_all_of_theirs() -> None:
    (scan,) = scanned(Reader(), ["a secret", "  ", "Jane", "nothing"])
    assert [[each.start for each in found] for found in scan.findings] == [[2], [], [0], []]
    assert scan.complete
    assert scan.kinds == {"secret", "pii"}
    assert scan.versions == (("structured", "1"),)


def test_what_fails_is_not_complete_and_keeps_what_was_found() -> None:
    reader = Reader()
    reader.fails_at = "boom"
    (scan,) = scanned(reader, ["a secret", "boom", "Jane"])
    assert not scan.complete
    assert "its process ended" in scan.why
    assert [len(found) for found in scan.findings] == [1, 0, 0]


def test_what_is_late_is_not_complete() -> None:
    (scan,) = scanned(Reader(), ["a secret", "b", "c"], left_s=2.5)
    assert not scan.complete
    assert scan.why == "the time was over"
    assert len(scan.findings) == 3


def test_what_was_missed_makes_it_incomplete_and_is_not_remembered() -> None:
    reader = Reader()
    reader.missed = "names were not looked for"
    for scan in scanned(reader, ["a secret"], ["a secret"]):
        assert (scan.complete, scan.why) == (False, "names were not looked for")
        assert scan.kinds == {"secret"}
    assert len(reader.asked) == 2


def test_what_one_text_misses_leaves_no_other_unread() -> None:
    reader = Reader()
    reader.missed = "names were not looked for in a language that is not one of en, de, es, fr (pl)"
    (scan,) = scanned(reader, ["a text", "a secret"])
    assert (scan.complete, scan.why) == (False, reader.missed)
    assert [len(found) for found in scan.findings] == [0, 1]


def test_a_known_text_is_not_read_again_by_the_same_tenant_and_in_the_same_way() -> None:
    reader, cache = Reader(), ScanCache()
    first, again = scanned(reader, ["Jane"], ["Jane"], cache=cache, tenant="a")
    assert first == again
    assert len(reader.asked) == 1
    scanned(reader, ["Jane"], cache=cache, tenant="b")
    (shapes,) = scanned(reader, ["Jane"], cache=cache, tenant="a", names=False)
    assert shapes.kinds == frozenset()
    assert [names for _, names in reader.asked] == [True, True, False]


def test_too_much_is_not_read_at_all() -> None:
    reader = Reader()
    (scan,) = scanned(reader, ["x" * (CHARACTERS_MAX + 1), "Jane"])
    assert not scan.complete
    assert not reader.asked
    assert scan.findings == ((), ())


def test_a_long_text_is_read_in_pieces_and_a_name_of_one_is_found_in_all() -> None:
    reader = Reader()
    text = "Jane is here. " + "word " * 3_000 + "\nand Jane, Janet and Jane again, a secret"
    (scan,) = scanned(reader, [text])
    assert len(reader.asked) == len(list(pieces(text))) > 1
    (found,) = scan.findings
    assert [text[each.start : each.end] for each in found] == ["Jane", "Jane", "Jane", "secret"]
    assert found[2].start == text.index("Jane again")


def test_pieces_cover_all_and_overlap() -> None:
    for text in ("", "short", "x" * 30_000, "word " * 6_000, "line of words\n" * 4_000):
        cut = list(pieces(text))
        reached = 0
        for start, piece in cut:
            assert text[start : start + len(piece)] == piece
            assert len(piece) <= PIECE_CHARACTERS
            assert start < reached or reached == 0
            reached = start + len(piece)
        assert reached == len(text)


def test_a_cancelled_scan_stops_asking() -> None:
    async def scenario() -> None:
        reader = Reader()
        scanner = Scanner(reader=reader, clock=LoopClock())
        task = asyncio.create_task(scanner.scan(["a", "b", "c"], deadline_s=1e9))
        await asyncio.sleep(1.5)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError)
        assert len(reader.asked) == 2

    run_virtual(scenario)


def test_the_cache_forgets_what_was_asked_for_longest_ago() -> None:
    one = Looked(findings=(Finding(start=0, end=1, kind="pii", type="EMAIL"),))
    cache = ScanCache(bytes_max=3 * (512 + 256))
    keys = [cache.key(str(place), tenant="t", names=True) for place in range(4)]
    for key in keys[:3]:
        cache.put(key, one)
    assert cache.get(keys[0]) is one
    cache.put(keys[3], one)
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]
    cache.put(b"large", Looked(findings=one.findings * 20))
    assert cache.get(b"large") is None
    cache.clear()
    assert cache.get(keys[0]) is None


def test_keys_are_of_this_process_and_tell_tenants_and_ways_apart() -> None:
    cache = ScanCache(secret=b"k" * 32)
    known = cache.key("text", tenant="ab", names=True)
    assert known == ScanCache(secret=b"k" * 32).key("text", tenant="ab", names=True)
    others = {
        cache.key("text", tenant="a", names=True),
        cache.key("btext", tenant="a", names=True),
        cache.key("text", tenant="ab", names=False),
        cache.key("\ud800", tenant="ab", names=True),
        ScanCache().key("text", tenant="ab", names=True),
    }
    assert len(others | {known}) == 6
