"""Secrets are read by reference, refused where others can read them, and shown nowhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from freehold.config.secrets import read_secret
from freehold.domain.errors.config import SecretUnreadable

SECRET = "sk-live-0123456789"


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def read(reference: str, **environment: str) -> str:
    return read_secret(reference, key="deployments.cloud.api_key", environment=environment)


def test_from_the_environment() -> None:
    assert read("env:KEY", KEY=f" {SECRET}\n") == SECRET


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_from_a_file(tmp_path: Path, mode: int) -> None:
    file = secret_file(tmp_path, f"{SECRET}\n".encode(), mode)
    assert read(f"file:{file}") == SECRET


@pytest.mark.parametrize("bit", [stat.S_IROTH, stat.S_IWOTH, stat.S_IXOTH])
def test_a_file_open_to_others_is_refused(tmp_path: Path, bit: int) -> None:
    file = secret_file(tmp_path, SECRET.encode(), 0o600 | bit)
    with pytest.raises(SecretUnreadable, match="chmod 600") as caught:
        read(f"file:{file}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"a\nb", "one line"), ("ä".encode(), "ASCII"), (b"x" * 70_000, "bytes")],
)
def test_a_file_that_holds_no_secret(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(SecretUnreadable, match=reason):
        read(f"file:{secret_file(tmp_path, content)}")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:KEY", "KEY is not set, or empty"),
        ("file:/nonexistent/key", "No such file"),
        ("file:/", "directory"),
    ],
)
def test_nothing_there(reference: str, reason: str) -> None:
    with pytest.raises(SecretUnreadable, match=reason) as caught:
        read(reference, KEY="")
    assert "deployments.cloud.api_key" in caught.value.message


def test_a_line_break_cannot_reach_a_header() -> None:
    with pytest.raises(SecretUnreadable, match="one line"):
        read("env:KEY", KEY="a\r\nx-other: b")
