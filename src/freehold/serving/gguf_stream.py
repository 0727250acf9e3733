"""Reading an untrusted header forward, in bounded windows.

Plain positioned reads, not ``mmap``: a mapped file that another process truncates ends this process with SIGBUS.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from typing import Final

WINDOW_BYTES: Final = 1 << 22
_TEXT_BYTES_MAX: Final = 1 << 20
_WALKED_BYTES_MAX: Final = 1 << 28
_LENGTH: Final = struct.Struct("<Q")


class MalformedError(ValueError):
    """The bytes are not what their format demands; the text says how."""


class HeaderStream:
    """A forward reader that never holds more than one window and never trusts a length.

    Args:
        descriptor: An open file; not closed here.
        size_bytes: Its length.
    """

    def __init__(self, descriptor: int, *, size_bytes: int) -> None:
        self._descriptor = descriptor
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
        layout = struct.Struct("<" + letter)
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
        lengths = frozenset(map(len, wanted))
        found: set[bytes] = set()
        unpack, width = _LENGTH.unpack_from, _LENGTH.size
        left = count
        while left:
            self._need(width)
            window, offset = self._window, self._offset
            end = len(window)
            # This loop runs once a vocabulary entry, up to some 500,000 times: it works on locals.
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
            if self._walked > _WALKED_BYTES_MAX:
                raise MalformedError(f"more than {_WALKED_BYTES_MAX} bytes of texts")
            if left:
                self._need(width + self._length_ahead())
        return frozenset(found)

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
        self._window = os.pread(self._descriptor, wanted, self._start)
        if len(self._window) < count:
            raise MalformedError("the file was cut short while it was read")
