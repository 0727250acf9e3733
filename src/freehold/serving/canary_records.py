"""What comparisons of versions found, kept beside the models: a switch asks for the one of exactly these two."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.serving.names import DIGEST
from freehold.storage.disk import write_atomically

LIVE = "live"
"""What live requests are called among what was looked at; a saved set is called by its digest."""

_FOLDER = "canaries"
LIVE_MAX = 20_000
_SHORT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecord:
    """One comparison. Counts and digests alone; no question and no answer is in it.

    Attributes:
        name: The name that is to be switched.
        old_sha256: The version that served.
        new_sha256: The other one.
        verdict: ``better``, ``not worse``, ``worse``, ``undecided``, or ``failed`` for one that did not run.
        passes: Whether the new version may take over.
        questions: Answered by both.
        lost: That the old one alone answered right.
        won: That the new one alone did.
        unknown: On which they differ, and nobody knows who is right.
        low: Bounds of the difference of the shares of right answers, each one-sided at ``1 - alpha``.
        high: As above.
        delta: Loss that is borne.
        more: Further questions that would decide it.
        question_digest: ``sha256:…`` of the questions.
        unix_ms: When.
        reason: Why it did not run; empty where it did.
        alpha: Chance that a version that is worse by ``delta`` passes at this look.
        looked: What these two were compared on until now, oldest first: each spends some of the chance of a wrong pass.
            Sets that are too small to let anything pass are not among them.
    """

    name: str
    old_sha256: str
    new_sha256: str
    verdict: str
    passes: bool
    questions: int = 0
    lost: int = 0
    won: int = 0
    unknown: int = 0
    low: float = -1.0
    high: float = 1.0
    delta: float = 0.0
    more: int = 0
    question_digest: str = ""
    unix_ms: int = 0
    reason: str = ""
    alpha: float = 0.05
    looked: tuple[str, ...] | None = None


def looked_before(earlier: CanaryRecord | None) -> tuple[str, ...]:
    """What two versions were compared on until their last comparison.

    A record that does not say so is of an earlier Freehold, and counts as one look.
    """
    if earlier is None:
        return ()
    if earlier.looked is None:
        return (earlier.question_digest or LIVE,) if earlier.questions else ()
    return earlier.looked


def looked_with(earlier: CanaryRecord | None, at: str) -> tuple[str, ...]:
    """The same with one more; each once, oldest first."""
    before = looked_before(earlier)
    return before if at in before else (*before, at)


def keep_record(models_folder: Path, record: CanaryRecord) -> None:
    """Keep a comparison; it replaces the last one of the same two versions."""
    path = _path(models_folder, record.old_sha256, record.new_sha256)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)))


def read_record(models_folder: Path, *, old_sha256: str, new_sha256: str) -> CanaryRecord | None:
    """The last comparison of these two versions; ``None`` where there is none that can be read."""
    try:
        found = msgspec.json.decode(_path(models_folder, old_sha256, new_sha256).read_bytes(), type=CanaryRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if (found.old_sha256, found.new_sha256) == (old_sha256, new_sha256) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePair:
    """Two answers to one live request: whether they say the same, and the calibrated chance that the old one is right."""

    alike: bool | None
    old_chance: float | None


def keep_live(models_folder: Path, *, old_sha256: str, new_sha256: str, pair: LivePair) -> None:
    """Add one comparison of live requests; beyond ``LIVE_MAX`` none is kept. Workers may do so at the same time."""
    path = _path(models_folder, old_sha256, new_sha256).with_suffix(".live")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = msgspec.json.encode(pair) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < LIVE_MAX * len(line):
            os.write(descriptor, line)  # short enough to be whole or not at all
    finally:
        os.close(descriptor)


def read_live(models_folder: Path, *, old_sha256: str, new_sha256: str) -> list[LivePair]:
    """The comparisons of live requests of these two versions; a line that cannot be read is passed over."""
    path = _path(models_folder, old_sha256, new_sha256).with_suffix(".live")
    found: list[LivePair] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(msgspec.MsgspecError):
            found.append(msgspec.json.decode(line, type=LivePair))
    return found


def forget_records(models_folder: Path, kept: Collection[str]) -> None:
    """Remove comparisons of which a version is not among these digests: it is gone, and so is what was found of it."""
    beginnings = {each[:_SHORT] for each in kept}
    for path in (models_folder / _FOLDER).glob("*-*.*"):
        if not beginnings.issuperset(path.stem.split("-")):
            path.unlink(missing_ok=True)


def _path(models_folder: Path, old_sha256: str, new_sha256: str) -> Path:
    for digest in (old_sha256, new_sha256):
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a sha256 in lower-case hex")
    return models_folder / _FOLDER / f"{old_sha256[:_SHORT]}-{new_sha256[:_SHORT]}.json"
