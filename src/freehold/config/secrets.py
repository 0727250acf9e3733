"""Secrets by reference: ``env:NAME`` or ``file:PATH``. Read when they are needed, never shown, never written down."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from freehold.domain.errors.config import SecretUnreadable

_BYTES_MAX: Final = 64 * 1024


def read_secret(reference: str, *, key: str, environment: Mapping[str, str]) -> str:
    """The secret behind a reference, without blanks around it.

    Args:
        reference: ``env:NAME`` or ``file:PATH`` with an absolute path.
        key: The setting it belongs to, for the message.
        environment: Variables to look in.

    Raises:
        SecretUnreadable: It is not there, empty, not one line of printable ASCII, or in a file that others can read.
    """
    scheme, _, place = reference.partition(":")
    try:
        value = environment.get(place, "") if scheme == "env" else _from_file(place)
    except (OSError, ValueError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise SecretUnreadable(reference=reference, key=key, reason=reason) from error
    value = value.strip()
    if not value:
        reason = "the file is empty" if scheme == "file" else f"the variable {place} is not set, or empty"
        raise SecretUnreadable(reference=reference, key=key, reason=reason)
    if not value.isascii() or not value.isprintable():
        # It goes into a header: a line break in it would end that header and begin another one.
        raise SecretUnreadable(reference=reference, key=key, reason="it is not one line of printable ASCII")
    return value


def _from_file(path: str) -> str:
    """The file's text. Mode and content are of the same open file, so that nothing can be exchanged in between.

    Raises:
        OSError: It cannot be read.
        ValueError: Others can read it, or it is no secret by its size.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - opened once, looked at through its descriptor
        if os.fstat(file.fileno()).st_mode & stat.S_IRWXO:
            raise ValueError(f'others can read it; run "chmod 600 {path}"')
        raw = file.read(_BYTES_MAX + 1)
    if len(raw) > _BYTES_MAX:
        raise ValueError(f"it has more than {_BYTES_MAX} bytes")
    return raw.decode("utf-8", "replace")
