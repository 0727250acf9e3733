"""Bars of the model registry: hostile files, interrupted pulls, a failed canary, a bundle without a route.

``python -m bench.registry`` makes every case anew and prints what held; ``--real`` adds the running gateway and the
namespace, which take a starter model and a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import math
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.model import DigestMismatch, HubUnreachable, ModelFileInvalid
from freehold.hostinfo.clock import SystemClock
from freehold.net.hub import HubSource
from freehold.net.packages import PackageSource
from freehold.routing.canary import ALPHA, Pair, compare, level, quantile, questions_needed, score
from freehold.routing.canary_sequence import money
from freehold.serving.gguf import read_header
from freehold.serving.manifests import Facts
from freehold.serving.pull import Puller
from freehold.serving.registry import ModelRegistry
from freehold.serving.versions import switch
from tests.servers.hub_server import HubServer
from tests.support.gguf_files import tiny_model

NAME, FILE = "hf:owner/repo/tiny.gguf", "owner/repo/tiny.gguf"
TRUNCATIONS, FLIPS, HEADERS, CUTS = 200, 200, 400, 40
DRAWS = 4_000
LOOKED_AT, LIVE_ANSWERS, LIVE_EVERY, FOREVER = 1_000, 2_000, 50, 1_000_000
RULES = ("one threshold", "spent")
_MEMORY_MS = 1_000.0
"""A hostile header must not take longer than this."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    bar: str
    figure: str
    holds: bool


def _installed(folder: Path) -> tuple[ModelRegistry, bytes, Path]:
    registry, content = ModelRegistry(folder / "models"), tiny_model()
    (folder / "models").mkdir(parents=True)
    fetched = folder / "models" / "fetched"
    fetched.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    model = registry.install(fetched, name=NAME, sha256=digest, facts=Facts(license="", origin="", unix_ms=1))
    return registry, content, model.path


def _refused(registry: ModelRegistry, path: Path, content: bytes) -> bool:
    """Whether a damaged blob is refused before any engine would see it."""
    path.unlink()
    path.write_bytes(content)
    try:
        registry.load(NAME)
    except (DigestMismatch, ModelFileInvalid):
        return True
    return False


def damaged_files(draw: random.Random) -> Iterator[Row]:
    """Truncated, bit-flipped and wrong-magic blobs of an installed model."""
    with tempfile.TemporaryDirectory() as scratch:
        registry, content, path = _installed(Path(scratch))
        cut = sum(_refused(registry, path, content[: draw.randrange(len(content))]) for _ in range(TRUNCATIONS))
        yield Row("truncated files are refused", f"{cut} of {TRUNCATIONS}", cut == TRUNCATIONS)
        flipped = 0
        for _ in range(FLIPS):
            harmed = bytearray(content)
            harmed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            flipped += _refused(registry, path, bytes(harmed))
        yield Row("bit-flipped files are refused", f"{flipped} of {FLIPS}", flipped == FLIPS)
        magics = (b"GGML", b"GGJT", b"FUGG", b"\x7fELF", b"PK\x03\x04", b"\0\0\0\0")
        wrong = sum(_refused(registry, path, each + content[4:]) for each in magics)
        yield Row("files of a wrong magic are refused", f"{wrong} of {len(magics)}", wrong == len(magics))
        whole = not _refused(registry, path, content)
        yield Row("the whole file is taken", str(whole), whole)


def hostile_headers(draw: random.Random) -> Iterator[Row]:
    """Files whose digest nobody knows: the header alone decides, and quickly, whatever it claims."""
    content, slowest_ms, crashes = tiny_model(), 0.0, 0
    huge = [struct.pack("<Q", each) for each in ((1 << 64) - 1, 1 << 62, 1 << 40, 1 << 31, 0)]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "hostile.gguf"
        for _ in range(HEADERS):
            harmed = bytearray(content)
            for _ in range(draw.randrange(1, 4)):
                place = draw.randrange(4, 900)
                harmed[place : place + 8] = draw.choice(huge)
            path.write_bytes(harmed)
            began_s = time.perf_counter()
            try:
                read_header(path)
            except ModelFileInvalid:
                pass
            except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, struct.error):
                crashes += 1
            slowest_ms = max(slowest_ms, (time.perf_counter() - began_s) * 1e3)
    yield Row("hostile headers end as refusals, never otherwise", f"{crashes} of {HEADERS} otherwise", crashes == 0)
    yield Row("the slowest of them", f"{slowest_ms:.1f} ms", slowest_ms < _MEMORY_MS)


def interrupted_pulls(draw: random.Random) -> Iterator[Row]:
    """Pulls that are cut off anywhere go on where they stopped, in the same pull or the next one."""
    content = tiny_model() + bytes(200_000)
    resumed = fetched_twice = 0
    with tempfile.TemporaryDirectory() as scratch, HubServer({FILE: content}) as hub:
        for number in range(CUTS):
            registry = ModelRegistry(Path(scratch) / str(number))
            puller = Puller(
                registry=registry,
                hub=HubSource(endpoint=hub.endpoint, retries=0, retry_wait_s=0.0),
                packages=PackageSource(),
                clock=SystemClock(),
            )
            at = draw.randrange(1, len(content))
            hub.behaviour.cut_after = [at, 0]
            hub.ranges.clear()
            try:
                asyncio.run(puller.pull(NAME))
            except HubUnreachable:
                asyncio.run(puller.pull(NAME))
            whole = registry.load(NAME).model.size_bytes == len(content)
            resumed += whole and hub.ranges[-1] == f"bytes={at}-"
            fetched_twice += hub.ranges.count("") > 1
    yield Row("interrupted pulls go on where they stopped", f"{resumed} of {CUTS}", resumed == CUTS)
    yield Row("of them begun anew", str(fetched_twice), fetched_twice == 0)


def switches() -> Iterator[Row]:
    """A switch to a damaged version leaves the old one; one to a whole version is one rename."""
    with tempfile.TemporaryDirectory() as scratch:
        registry, content, _ = _installed(Path(scratch))
        newer = tiny_model(name="Two.")
        fetched = registry.folder / "fetched"
        fetched.write_bytes(newer)
        digest = hashlib.sha256(newer).hexdigest()
        registry.install_beside(fetched, name=NAME, sha256=digest, facts=Facts(license="", origin="", unix_ms=1))
        path = registry.blob_path(digest)
        path.unlink()
        path.write_bytes(newer[:-1])
        try:
            switch(registry, NAME, digest, unix_ms=2)
            held = False
        except FreeholdError:
            held = registry.load(NAME).model.sha256 == hashlib.sha256(content).hexdigest()
        yield Row("a damaged version leaves the old one serving", str(held), held)


def canaries(draw: random.Random) -> Iterator[Row]:
    """Levels and power of the decision, by drawing."""
    n, delta = 200, 0.05
    for share in (0.06, 0.12, 0.2):
        passed = 0
        for _ in range(DRAWS):
            thrown = [draw.random() for _ in range(n)]
            lost = sum(each < (share + delta) / 2 for each in thrown)
            won = sum((share + delta) / 2 <= each < share for each in thrown)
            passed += score(lost, won, n, -delta) > quantile(ALPHA)
        rate = passed / DRAWS
        yield Row(f"a version worse by 5 points passes (differing: {share:.0%})", f"{rate:.1%}, bar 6 %", rate <= 0.06)

    def shows(lost: int, won: int, n: int) -> bool:
        return score(lost, won, n, -delta) > quantile(level(0))

    needed, passed = questions_needed(24, 200, shows=shows), 0
    for _ in range(DRAWS // 2):
        differing = sum(draw.random() < 0.12 for _ in range(needed))
        lost = sum(draw.random() < 0.5 for _ in range(differing))
        passed += shows(lost, differing - lost, needed)
    rate = passed / (DRAWS // 2)
    yield Row(f"an equal version passes at the {needed} questions that are told", f"{rate:.1%}, bar 77 %", rate >= 0.77)
    worse = compare([Pair(old=True, new=False)] * 20 + [Pair(old=True, new=True)] * 100)
    yield Row("a version that loses 20 of 120 is told worse", worse.verdict.value, worse.verdict.value == "worse")


def looks(draw: random.Random) -> Iterator[Row]:
    """What becomes of the level, and of a version that is as good, where it is looked at again and again.

    Saved sets of 100, 200, 400 and 800 questions, each with the one before in it; live requests after each 50, to 2,000.
    "One threshold" is what was in force before looks were counted.
    """
    for share in (0.06, 0.12, 0.2):
        runs = [_run_of_looks(draw, share, worse_by=0.05) for _ in range(LOOKED_AT)]
        for kind in ("saved sets", "live"):
            before, after = (sum(each[kind, rule] < FOREVER for each in runs) / LOOKED_AT for rule in RULES)
            yield Row(
                f"worse by 5 points passes at any look ({kind}, differing: {share:.0%})",
                f"{after:.1%}, bar 6 % (one threshold: {before:.1%})",
                after <= 0.06,
            )
    for share in (0.0, 0.06, 0.12, 0.2):
        runs = [_run_of_looks(draw, share, worse_by=0.0) for _ in range(LOOKED_AT)]
        for kind in ("saved sets", "live"):
            told = [
                [sorted(each[kind, rule] for each in runs)[LOOKED_AT * of // 10] for of in (5, 8)] for rule in RULES
            ]
            (old_half, old_most), (half, most) = told
            yield Row(
                f"questions at which one as good passes in half, in 4 of 5 cases ({kind}, differing: {share:.0%})",
                f"by {_number(half)}, {_number(most)} (one threshold: {_number(old_half)}, {_number(old_most)})",
                half < FOREVER,
            )


def _number(questions: int) -> str:
    return "more" if questions == FOREVER else f"{questions}"


def _run_of_looks(draw: random.Random, share: float, *, worse_by: float) -> dict[tuple[str, str], int]:
    """At how many questions a version passed first, by kind of look and rule; ``FOREVER`` for not."""
    found = {(kind, rule): FOREVER for kind in ("saved sets", "live") for rule in RULES}
    counts, lost_share = {-1.0: 0, 0.0: 0, 1.0: 0}, (share + worse_by) / 2
    sets = (100, 200, 400, 800)
    for n in range(1, LIVE_ANSWERS + 1):
        thrown = draw.random()
        counts[-1.0 if thrown < lost_share else 1.0 if thrown < share else 0.0] += 1
        if n % LIVE_EVERY and n not in sets:
            continue
        z = score(int(counts[-1.0]), int(counts[1.0]), n, -0.05)
        passed = {("live", "one threshold"): z > quantile(ALPHA)}
        passed["live", "spent"] = money(counts, -0.05) >= -math.log(level(0))
        if n in sets:
            passed["saved sets", "one threshold"] = z > quantile(ALPHA)
            passed["saved sets", "spent"] = z > quantile(level(sets.index(n)))
        for where, has_passed in passed.items():
            if has_passed:
                found[where] = min(found[where], n)
    return found


def real() -> Iterator[Row]:
    """The running gateway and the namespace without a route, by their tests."""
    tests = {
        "a failed canary leaves the old version serving (real gateway, real models)": "test_model_switch.py",
        "a bundle is taken in without a route and serves a first answer": "test_bundle_offline.py",
    }
    for bar, file in tests.items():
        began_s = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-rs", f"tests/integration/{file}"]
        done = subprocess.run(command, capture_output=True, check=False)
        told = done.stdout.decode().strip().splitlines()[-1]
        holds = done.returncode == 0 and "passed" in told and "skipped" not in told
        yield Row(bar, f"{told} ({time.monotonic() - began_s:.0f} s in all)", holds)


def main() -> int:
    """Print the table; 1 where a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    parts: list[Callable[[], Iterator[Row]]] = [
        lambda: damaged_files(draw),
        lambda: hostile_headers(draw),
        lambda: interrupted_pulls(draw),
        switches,
        lambda: canaries(draw),
        lambda: looks(draw),
    ]
    if asked.real:
        parts.append(real)
    rows = [row for part in parts for row in part()]
    width = min(max(len(row.bar) for row in rows), shutil.get_terminal_size().columns)
    for row in rows:
        print(f"{row.bar:{width}}  {row.figure:>56}  {'holds' if row.holds else 'DOES NOT HOLD'}")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
