"""A small witness of the tests' own (C2SP tlog-witness, cosignature/v1), which shares no code with ours."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.servers.http import Exchange, ScriptedServer


@dataclass
class Seen:
    """The newest checkpoint that was cosigned of one log."""

    size: int = 0
    root: bytes = b""


class WitnessServer(ScriptedServer):
    """A witness that trusts some logs.

    Attributes:
        seen: What it has seen, by origin; a test may set it.
        mood: ``good``, ``lies`` (signs something else), ``dies``, ``hangs`` or an HTTP status.
    """

    def __init__(self, *vkeys: str, name: str = "witness.test/w1", mood: str = "good", now_s: int = 1_700_000_000):
        super().__init__()
        self.name, self.mood, self.now_s = name, mood, now_s
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.trusted = {vkey.split("+")[0]: base64.b64decode(vkey.split("+", 2)[2])[1:] for vkey in vkeys}
        self.seen: dict[str, Seen] = {}

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x04" + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        kind_and_key = base64.b64encode(b"\x04" + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{kind_and_key}"

    async def answer(self, exchange: Exchange) -> None:
        if self.mood == "dies":
            exchange.reset()
            return
        if self.mood == "hangs":
            await exchange.gone.wait()
            return
        if self.mood.isdigit():
            await exchange.reply(int(self.mood), b"no\n")
            return
        assert (exchange.method, exchange.path) == ("POST", "/add-checkpoint")
        status, body, kind = self.judge(exchange.raw.decode())
        await exchange.reply(status, body, content_type=kind)

    def judge(self, text: str) -> tuple[int, bytes, str]:
        head, _, note = text.partition("\n\n")
        first, *proof = head.split("\n")
        old = int(first.removeprefix("old "))
        body, _, signatures = note.partition("\n\n")
        body += "\n"
        origin, size, root = body.split("\n")[:3]
        if origin not in self.trusted:
            return 404, b"unknown log\n", "text/plain"
        if not any(self._good(line, origin, body) for line in signatures.splitlines()):
            return 403, b"no good signature\n", "text/plain"
        seen = self.seen.setdefault(origin, Seen())
        if old != seen.size:
            return 409, f"{seen.size}\n".encode(), "text/x.tlog.size"
        hashes = [base64.b64decode(each) for each in proof]
        if old and not _grew(old, seen.root, int(size), base64.b64decode(root), hashes):
            return 422, b"not consistent\n", "text/plain"
        self.seen[origin] = Seen(int(size), base64.b64decode(root))
        signed = body if self.mood != "lies" else body.replace(origin, "another")
        message = f"cosignature/v1\ntime {self.now_s}\n{signed}".encode()
        signature = struct.pack(">Q", self.now_s) + self.key.sign(message)
        line = f"— {self.name} {base64.b64encode(self.key_id + signature).decode()}\n"
        return 200, line.encode(), "text/plain"

    def _good(self, line: str, origin: str, body: str) -> bool:
        name, _, data = line.removeprefix("— ").partition(" ")
        try:
            Ed25519PublicKey.from_public_bytes(self.trusted[origin]).verify(base64.b64decode(data)[4:], body.encode())
        except InvalidSignature:
            return False
        return name == origin


def _grew(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """RFC 6962, section 2.1.2, from its recursive definition: both roots are computed from the proof."""
    rest = list(proof)

    def parent(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\1" + left + right).digest()

    def roots(old: int, new: int, *, whole: bool) -> tuple[bytes, bytes]:
        if old == new:
            return (old_root, old_root) if whole else (rest[0], rest.pop(0))
        split = 1 << (new - 1).bit_length() - 1
        if old <= split:
            first, second = roots(old, split, whole=whole)
            return first, parent(second, rest.pop(0))
        first, second = roots(old - split, new - split, whole=False)
        left = rest.pop(0)
        return parent(left, first), parent(left, second)

    try:
        first, second = roots(old, new, whole=True)
    except IndexError:
        return False
    return not rest and (first, second) == (old_root, new_root)
