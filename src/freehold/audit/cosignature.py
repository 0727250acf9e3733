r"""Witnesses: C2SP tlog-cosignature (cosignature/v1, Ed25519) and what is said to one over C2SP tlog-witness.

```
signed    = "cosignature/v1\ntime " seconds "\n" checkpoint's text
signature = seconds u64 ‖ Ed25519(signed)
keyid     = SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[:4]
```
A cosignature says that its signer, as of that time, had seen no other history of the log than the one that leads to this
checkpoint. Who asks for a quorum of them is not deceived by a log that shows different histories to different people.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freehold.audit.note import VerifierKey, note_parts
from freehold.domain.errors.audit import AuditBroken

ADD_CHECKPOINT_PATH = "/add-checkpoint"
COSIGNED = "cosigned"
"""File beside ``checkpoint``: the newest checkpoint that witnesses cosigned, with their lines."""

_TIME = struct.Struct(">Q")
_SIGNATURE_BYTES = 64
_TIME_MAX = 2**63 - 1
_LINES_MAX = 16
_DIGITS_MAX = 20
_MARK = "— "


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """Who cosigned a checkpoint.

    Attributes:
        times: By witness name the time of its newest good cosignature, in seconds since 1970.
    """

    times: Mapping[str, int]


def cosignatures(note: bytes | str, witnesses: Sequence[VerifierKey]) -> Cosigned:
    """The good cosignatures of the given witnesses on a note; lines of others are passed over.

    Raises:
        AuditBroken: It is no signed note, or a line of a given witness holds a wrong signature.
    """
    text, lines = note_parts(note)
    known = {(key.name, key.id): key for key in witnesses}
    times: dict[str, int] = {}
    for name, key_id, signature in lines:
        key = known.get((name, key_id))
        if key is None:
            continue
        seconds = _time_of(key, text, signature)
        if seconds is None:
            raise AuditBroken(reason=f"the cosignature of {name} is wrong")
        times[name] = max(seconds, times.get(name, 0))
    return Cosigned(times=times)


def require_quorum(note: bytes | str, witnesses: Sequence[VerifierKey], quorum: int) -> Cosigned:
    """As ``cosignatures``, of ``quorum`` different keys at least.

    Raises:
        AuditBroken: There are fewer.
    """
    found = cosignatures(note, _one_name_each(witnesses))
    if len(found.times) < quorum:
        raise AuditBroken(reason=f"{len(found.times)} of {len(witnesses)} witnesses cosigned, {quorum} are asked for")
    return found


def with_lines(note: str, lines: str) -> str:
    """``note`` with further signature lines under it; each line once."""
    present = set(note.split("\n"))
    return note + "".join(f"{line}\n" for line in lines.split("\n") if line and line not in present)


def lines_of(answer: bytes, note: str, witness: VerifierKey) -> str:
    """The signature lines in a witness's answer that are good ones of its key; empty where there is none."""
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        return ""
    signed = note_parts(note)[0]
    good: list[str] = []
    for line in text.split("\n")[:_LINES_MAX]:
        if not line.startswith(_MARK):
            continue
        try:
            ((name, key_id, signature),) = note_parts(f"{signed}\n{line}\n")[1]
        except AuditBroken:
            continue
        if (name, key_id) == (witness.name, witness.id) and _time_of(witness, signed, signature) is not None:
            good.append(f"{line}\n")
    return "".join(good)


def size_of(answer: bytes) -> int | None:
    """The size in a witness's answer of status 409: that of the newest checkpoint that it knows."""
    text = answer.decode("ascii", "replace").removesuffix("\n")
    return int(text) if text.isdigit() and len(text) <= _DIGITS_MAX else None


def _time_of(key: VerifierKey, text: str, signature: bytes) -> int | None:
    """The time of a good cosignature, ``None`` for a bad one."""
    if len(signature) != _TIME.size + _SIGNATURE_BYTES:
        return None
    (seconds,) = _TIME.unpack_from(signature)
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    return seconds if seconds <= _TIME_MAX and key.verifies(message, signature[_TIME.size :]) else None


def _one_name_each(witnesses: Sequence[VerifierKey]) -> Sequence[VerifierKey]:
    """One witness must not count twice, under two names or with two spellings of one key.

    Raises:
        AuditBroken: Two of them have one name or one key.
    """
    if len({key.name for key in witnesses}) < len(witnesses) or len({key.public for key in witnesses}) < len(witnesses):
        raise AuditBroken(reason="two of the witnesses given have the same name or the same key")
    return witnesses
