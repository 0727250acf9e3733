"""How much of a file is read, and what counts towards that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from freehold.domain.errors.vault import FileTooCostly, FileTooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """How much one file may be, hold and cost. All of them bound what is inside archives together, too.

    Attributes:
        bytes_max: Of the file.
        unpacked_bytes_max: Of everything that it unpacks to.
        ratio_max: Unpacked bytes for each packed one, once more than ``ratio_from_bytes`` are unpacked.
        ratio_from_bytes: Up to here any ratio will do: small texts of one letter pack well.
        members_max: Files inside.
        depth_max: Archives in archives.
        pages_max: Pages, sheets or slides of one document.
        characters_max: Code points of text, of everything inside together.
        ocr_pages_max: Pages and pictures that are read by their looks.
        pixels_max: Of one picture.
        seconds_max: Wall time; who reads stops early where it can, who watches ends it.
        memory_bytes_max: Of the process, beyond what it has before it reads.
    """

    bytes_max: int = 512 << 20
    unpacked_bytes_max: int = 1 << 30
    ratio_max: int = 200
    ratio_from_bytes: int = 32 << 20
    members_max: int = 20_000
    depth_max: int = 8
    pages_max: int = 10_000
    characters_max: int = 16_000_000
    ocr_pages_max: int = 300
    pixels_max: int = 64_000_000
    seconds_max: float = 300.0
    memory_bytes_max: int = 1 << 30


@dataclass(slots=True, kw_only=True)
class Spent:
    """What reading one file, with everything inside, has used up.

    Attributes:
        name: Of the file, for errors.
        limits: What there is.
        now_s: Time.
        depth: Archives that what is read now lies in.
    """

    name: str
    limits: ParseLimits
    now_s: Callable[[], float] = time.monotonic
    depth: int = 0
    unpacked: int = 0
    members: int = 0
    characters: int = 0
    ocr_pages: int = 0
    over: FileTooLarge | None = None
    began_s: float = field(init=False)

    def __post_init__(self) -> None:
        """The clock starts here."""
        self.began_s = self.now_s()

    def unpack(self, count: int, *, packed: int) -> None:
        """Count bytes that came out of ``packed`` ones.

        Raises:
            FileTooLarge: They are too many.
        """
        self.unpacked += count
        if self.unpacked > self.limits.unpacked_bytes_max:
            raise self._all_over(f"it unpacks to more than {self.limits.unpacked_bytes_max:,} bytes")
        self.ratio(count, packed=packed)

    def ratio(self, count: int, *, packed: int) -> None:
        """Check ``count`` bytes that came, or are to come, out of ``packed`` ones.

        Raises:
            FileTooLarge: They are too many.
        """
        if count > self.limits.ratio_from_bytes and count > self.limits.ratio_max * max(1, packed):
            raise self.too_large(f"it unpacks to more than {self.limits.ratio_max} times its size")

    def member(self) -> None:
        """Count a file inside.

        Raises:
            FileTooLarge: There are too many.
        """
        self.members += 1
        if self.members > self.limits.members_max:
            raise self._all_over(f"there are more than {self.limits.members_max:,} files inside")

    def read(self, characters: int) -> None:
        """Count text.

        Raises:
            FileTooLarge: It is too much.
        """
        self.characters += characters
        if self.characters > self.limits.characters_max:
            raise self._all_over(f"its text is longer than {self.limits.characters_max:,} characters")

    def pages(self, count: int) -> None:
        """Check a document's pages.

        Raises:
            FileTooLarge: There are too many.
        """
        if count > self.limits.pages_max:
            raise self.too_large(f"it says that it has {count:,} pages, and {self.limits.pages_max:,} are read")

    def tick(self) -> None:
        """Check the time, and the limits that hold for everything inside together.

        Raises:
            FileTooCostly: The time is over.
            FileTooLarge: A limit was passed already: nothing more is read.
        """
        if self.over is not None:
            raise self.over.again()
        if self.left_s() <= 0:
            raise FileTooCostly(name=self.name, reason=f"{self.limits.seconds_max:g} s")

    def left_s(self) -> float:
        """Seconds that are left."""
        return self.limits.seconds_max - (self.now_s() - self.began_s)

    def _all_over(self, reason: str) -> FileTooLarge:
        """The error for a limit behind which nothing more is read."""
        self.over = self.too_large(reason)
        return self.over

    def too_large(self, reason: str) -> FileTooLarge:
        """The error for a limit."""
        return FileTooLarge(name=self.name, reason=reason)
