"""Secrets by reference: ``env:NAME`` or ``file:PATH``. Read when they are needed, never shown."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from freehold.domain.errors.config import SecretUnreadable

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret(reference: str, *, key: str, environment: Mapping[str, str]) -> str:
    """The secret behind a reference.

    Args:
        reference: ``env:NAME`` or ``file:PATH``.
        key: The setting it belongs to, for the message.
        environment: Variables to look in.

    Raises:
        SecretUnreadable: It is not there, empty, or a file that others can read.
    """
    scheme, _, place = reference.partition(":")
    if scheme == "env":
        value = environment.get(place, "").strip()
        if not value:
            raise SecretUnreadable(reference=reference, key=key, reason=f"the variable {place} is not set or empty")
        return value
    path = Path(place).expanduser()
    try:
        if path.stat().st_mode & _OTHERS:
            raise SecretUnreadable(
                reference=reference, key=key, reason=f'others can read the file; run "chmod 600 {place}"'
            )
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnreadable(reference=reference, key=key, reason=str(error)) from error
    if not value:
        raise SecretUnreadable(reference=reference, key=key, reason="the file is empty")
    return value
