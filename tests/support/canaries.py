"""Words that occur nowhere else, planted where texts may be, and looked for wherever bytes may have come to lie."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_LETTERS = "ghjkmnpqrstvwxyz"
"""No digit and no hexadecimal letter: no id, hash or number holds one by chance."""

_LENGTH = 24
_ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Canaries:
    """Unique words by the place in which they were planted."""

    def __init__(self) -> None:
        self._chance = random.SystemRandom()
        self.planted: dict[str, str] = {}

    def plant(self, place: str) -> str:
        """The word of a place, made when it is first asked for; beside it, what URL and JSON encoders change."""
        if place not in self.planted:
            self.planted[place] = "".join(self._chance.choice(_LETTERS) for _ in range(_LENGTH))
        return f'"é/ {self.planted[place]} &\n'

    def found(self, name: str, data: bytes) -> list[str]:
        """``place in name (form)`` for each canary in ``data``, in whichever form."""
        forms = {place: _forms(word) for place, word in self.planted.items()}
        return sorted(
            {
                f"{place} in {name} ({form})"
                for layer in _layers(data)
                for place, by_form in forms.items()
                for form, needles in by_form.items()
                if any(needle in layer for needle in needles)
            }
        )

    def found_in_files(self, folders: Iterable[Path], *, beside: re.Pattern[str]) -> list[str]:
        """The same of every file below ``folders`` whose path does not match ``beside``."""
        found: list[str] = []
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                found += self.found("a file's name", name.encode())
                if path.is_file() and not beside.search(name):
                    found += self.found(name, path.read_bytes())
        return found


def _forms(word: str) -> Mapping[str, list[bytes]]:
    raw = word.encode()
    # What base64 makes of a word depends on where in a group of three it begins; its edges belong to its neighbours.
    shifted = [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -8] for shift in range(3)]
    return {
        "raw": [raw],
        "half": [raw[: _LENGTH // 2], raw[_LENGTH // 2 :]],
        "upper case": [raw.upper()],
        "reversed": [raw[::-1]],
        "base64": shifted,
        "hex": [raw.hex().encode(), raw.hex().upper().encode()],
        "UTF-16": [word.encode("utf-16-le")],
        "URL-encoded": ["".join(f"%{byte:02{case}}" for byte in raw).encode() for case in "xX"],
    }


def _layers(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and what is packed within."""
    yield data
    for head in _ZLIB_HEADS:
        start = data.find(head)
        while start >= 0:
            with contextlib.suppress(zlib.error):  # two bytes that only look like the begin of something packed
                yield zlib.decompressobj().decompress(data[start:])
            start = data.find(head, start + 1)
