"""Reading an untrusted header forward, in bounded windows.

Plain positioned reads, not ``mmap``: a mapped file that another process truncates ends this process with SIGBUS.
"""

from __future__ import annotations

import functools
import os
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Collection
from typing import Final

WINDOW_BYTES: Final = 1 << 20
_TEXT_BYTES_MAX: Final = 1 << 20
_WALKED_BYTES_MAX: Final = 1 << 28
_LENGTH: Final = struct.Struct("<Q")
_SCALARS: Final = {letter: struct.Struct("<" + letter) for letter in "BbHhIif?Qqd"}
_RUN: Final = 64
_RUN_LENGTH_MAX: Final = 127
"""Vocabularies are passed over in runs of ``_RUN`` texts; one with a longer text in it is walked text by text."""


class MalformedError(ValueError):
    """The bytes are not what their format demands; the text says how."""


class NotHereError(Exception):
    """The header goes on behind the bytes that are here.

    Attributes:
        needed_bytes: How many of the file's first bytes are needed to read on, at least.
    """

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(needed_bytes)
        self.needed_bytes = needed_bytes


def of_descriptor(descriptor: int) -> Callable[[int, int], bytes]:
    """Reads ``(count, offset)`` of an open file; not closed here."""
    return functools.partial(os.pread, descriptor)


def of_prefix(prefix: bytes, *, size_bytes: int) -> Callable[[int, int], bytes]:
    """Reads ``(count, offset)`` of a file of ``size_bytes`` of which only ``prefix`` is here.

    What it returns may be shorter than asked for; where nothing of it is here it raises ``NotHereError``.
    """

    def read(count: int, offset: int) -> bytes:
        end = min(offset + count, size_bytes)
        if offset >= len(prefix) and offset < end:
            raise NotHereError(end)
        return prefix[offset:end]

    return read


class HeaderStream:
    """A forward reader that never holds more than one window and never trusts a length.

    Args:
        read: Gives at most ``count`` bytes at ``offset``: see ``of_descriptor``, ``of_prefix``.
        size_bytes: Length of the file.
    """

    def __init__(self, read: Callable[[int, int], bytes], *, size_bytes: int) -> None:
        self._read = read
        self._size = size_bytes
        self._window = b""
        self._start = 0
        self._offset = 0
        self._walked = 0

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._start + self._offset

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the file."""
        return self._size - self.position

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, at most one window.

        Raises:
            MalformedError: The file ends before.
        """
        self._need(count)
        taken = self._window[self._offset : self._offset + count]
        self._offset += count
        return taken

    def skip(self, count: int) -> None:
        """Go on by ``count`` bytes without reading them.

        Raises:
            MalformedError: The file ends before.
        """
        if count > self.remaining:
            raise MalformedError(f"the file ends inside a value of {count} bytes at offset {self.position}")
        self._offset += count

    def scalar(self, letter: str) -> int | float | bool:
        """One little-endian value of ``struct`` letter ``letter``."""
        layout = _SCALARS[letter]
        value: int | float | bool = layout.unpack(self.take(layout.size))[0]
        return value

    def count(self, letter: str, *, limit: int, what: str) -> int:
        """An unsigned number that must not exceed ``limit``."""
        value = int(self.scalar(letter))
        if value > limit:
            raise MalformedError(f"{value} {what}, at most {limit} are taken")
        return value

    def text(self, *, limit_bytes: int = _TEXT_BYTES_MAX) -> str:
        """A length-prefixed text; what is not UTF-8 in it is replaced."""
        length = self.count("Q", limit=limit_bytes, what="bytes in one text")
        return self.take(length).decode("utf-8", errors="replace")

    def walk_texts(self, count: int, *, wanted: Collection[bytes] = ()) -> frozenset[bytes]:
        """Pass over ``count`` length-prefixed texts and say which of ``wanted`` are among them.

        Raises:
            MalformedError: A text is too long, or the file ends before the last one.
        """
        found: set[bytes] = set()
        left = count
        while left:
            self._need(_LENGTH.size)
            left -= self._pass_runs(left, wanted, found)
            left -= self._pass_singly(min(left, _RUN), wanted, found)
            if self._walked > _WALKED_BYTES_MAX:
                raise MalformedError(f"more than {_WALKED_BYTES_MAX} bytes of texts")
        return frozenset(found)

    def _pass_runs(self, left: int, wanted: Collection[bytes], found: set[bytes]) -> int:
        """Pass over whole runs of short texts in the window; how many texts that were.

        One match is one run: a byte-wise loop here would take five times as long over 300,000 texts.
        """
        window, begin, match = self._window, self._offset, _run_pattern().match
        ends = [begin]
        while left >= _RUN and (run := match(window, ends[-1])) is not None:
            ends.append(run.end())
            left -= _RUN
        for text in wanted:
            if text not in found and self._is_text_of(text, ends):
                found.add(text)
        self._walked += ends[-1] - begin
        self._offset = ends[-1]
        return (len(ends) - 1) * _RUN

    def _is_text_of(self, text: bytes, ends: list[int]) -> bool:
        """Whether ``text`` is one of the texts passed over, and not merely part of one."""
        window, offset = self._window, ends[0]
        sought = _LENGTH.pack(len(text)) + text
        at = window.find(sought, offset, ends[-1])
        while at >= 0:
            # From where the last walk ended: what a hostile file repeats inside its texts is not walked again and again.
            offset = max(offset, ends[bisect_right(ends, at) - 1])
            while offset < at:
                offset += _LENGTH.size + _LENGTH.unpack_from(window, offset)[0]
            if offset == at:
                return True
            at = window.find(sought, at + 1, ends[-1])
        return False

    def _pass_singly(self, count: int, wanted: Collection[bytes], found: set[bytes]) -> int:
        """Pass over ``count`` texts one by one, or fewer where the window ends; how many that were."""
        lengths = frozenset(map(len, wanted))
        unpack, width = _LENGTH.unpack_from, _LENGTH.size
        window, offset = self._window, self._offset
        end, left = len(window), count
        while left and offset + width <= end:
            length = unpack(window, offset)[0]
            if length > end - offset - width:
                break
            if length in lengths and (text := window[offset + width : offset + width + length]) in wanted:
                found.add(text)
            offset += width + length
            left -= 1
        self._walked += offset - self._offset
        self._offset = offset
        if left:
            self._need(_LENGTH.size + self._length_ahead())
        return count - left

    def _length_ahead(self) -> int:
        self._need(_LENGTH.size)
        length: int = _LENGTH.unpack_from(self._window, self._offset)[0]
        if length > _TEXT_BYTES_MAX:
            raise MalformedError(f"a text of {length} bytes, at most {_TEXT_BYTES_MAX} are taken")
        return length

    def _need(self, count: int) -> None:
        """Make the next ``count`` bytes part of the window."""
        if count <= len(self._window) - self._offset:
            return
        if count > self.remaining:
            raise MalformedError(f"the file ends inside a value of {count} bytes at offset {self.position}")
        self._start = self.position
        self._offset = 0
        wanted = min(max(WINDOW_BYTES, count), self._size - self._start)
        self._window = self._read(wanted, self._start)
        if len(self._window) < count:
            self._window += self._read(count - len(self._window), self._start + len(self._window))
        if len(self._window) < count:
            raise MalformedError("the file was cut short while it was read")


@functools.cache
def _run_pattern() -> re.Pattern[bytes]:
    """``_RUN`` texts of at most ``_RUN_LENGTH_MAX`` bytes, each behind its length.

    Each length is matched by one branch only, so that there is never anything to go back to (``+``: possessive).
    """
    branches = (
        re.escape(_LENGTH.pack(length)) + (b".{%d}" % length if length else b"")
        for length in range(_RUN_LENGTH_MAX + 1)
    )
    return re.compile(b"(?:" + b"|".join(branches) + b"){%d}+" % _RUN, re.DOTALL)
