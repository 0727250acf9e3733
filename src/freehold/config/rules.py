"""The text of a site's own rules. What it means is policy's business."""

from __future__ import annotations

from pathlib import Path

from freehold.config.schema import Config

RULES_BYTES_MAX = 1_048_576


def read_rules(config: Config, folder: Path) -> str:
    """Text of the site's own rules; empty where there is no file of them.

    Args:
        config: Where the file is.
        folder: What its path is relative to.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_rules_file(folder / Path(config.policy.rules).expanduser()) if config.policy.rules else ""


def read_rules_file(path: Path) -> str:
    """Text of a file of rules.

    Raises:
        OSError: It cannot be read, or is too large.
        UnicodeDecodeError: It is not UTF-8.
    """
    with path.open("rb") as file:
        raw = file.read(RULES_BYTES_MAX + 1)
    if len(raw) > RULES_BYTES_MAX:
        raise OSError(f"it is larger than {RULES_BYTES_MAX:,} bytes")
    return raw.decode("utf-8")
