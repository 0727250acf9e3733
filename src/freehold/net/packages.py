"""Single wheels of the package index, fetched by the installer that is there; never installed, never imported.

The user's own configuration of pip or uv decides which index is asked. uv has no download command, so it unpacks the
wheel into a folder of ours that no Python ever looks in.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from freehold.domain.errors.model import PackageUnavailable
from freehold.domain.model_ports import ProgressSink, PullProgress

Installer = Literal["auto", "pip", "uv"]

_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[A-Za-z0-9][A-Za-z0-9.!+_-]{0,49}", re.ASCII)
_USER_INFO: Final = re.compile(r"//[^/@\s]+@")
_REMARKS: Final = ("[notice]", "WARNING:", "warning:", "hint:")
_LABEL: Final = re.compile(r"^(?:ERROR|error|cause):\s*")
_ERROR_BYTES_MAX: Final = 1 << 16


class PackageSource:
    """Implements ``ports.PackageFiles``.

    Args:
        installer: Which program; ``auto`` takes pip where this Python has it, else uv.
        python: The interpreter whose pip is used and whose tags a wheel must match.
        poll_s: How often progress is looked at.
    """

    def __init__(self, *, installer: Installer = "auto", python: str = sys.executable, poll_s: float = 0.2) -> None:
        self._installer: Installer = installer
        self._python = python
        self._poll_s = poll_s

    async def fetch(self, *, requirement: str, folder: str, progress: ProgressSink) -> str:
        """Fetch one wheel; see ``ports.PackageFiles``. A cancelled call ends the installer first."""
        if not _REQUIREMENT.fullmatch(requirement):
            raise PackageUnavailable(requirement=requirement, reason="it is not written NAME==VERSION")
        room = Path(folder)
        command, result = self._command(requirement, room)
        (room / "tmp").mkdir(mode=0o700)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=_environment(room),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                limit=_ERROR_BYTES_MAX,
                start_new_session=True,
            )
        except OSError as error:
            raise PackageUnavailable(requirement=requirement, reason=f"{command[0]} cannot be run ({error})") from error
        try:
            errors = await self._watch(process, room, requirement, progress)
        finally:
            await _end(process)
        if process.returncode != 0:
            raise PackageUnavailable(requirement=requirement, reason=_last_error(errors))
        return _result(room, result, requirement)

    def _command(self, requirement: str, room: Path) -> tuple[list[str], Path]:
        """The command, and where its result will be."""
        if self._installer != "uv" and (self._installer == "pip" or importlib.util.find_spec("pip") is not None):
            # -P: the working folder must not shadow pip.
            command = [self._python, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
            command += ["--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
            return [*command, "--dest", str(room), requirement], room / "unused"
        uv = shutil.which("uv")
        if uv is None and importlib.util.find_spec("uv") is None:
            reason = "neither pip nor uv is there; install one of them"
            raise PackageUnavailable(requirement=requirement, reason=reason)
        command = [uv] if uv is not None else [self._python, "-P", "-m", "uv"]
        command += ["pip", "install", "--no-deps", "--only-binary=:all:", "--no-progress", "--quiet"]
        command += ["--python", self._python, "--cache-dir", str(room / "cache"), "--target", str(room / "unpacked")]
        return [*command, requirement], room / "unpacked"

    async def _watch(
        self, process: asyncio.subprocess.Process, room: Path, requirement: str, progress: ProgressSink
    ) -> bytes:
        """Report the size of what arrives until the installer is done; what it said on stderr."""
        reading = asyncio.ensure_future(_read_tail(process))
        try:
            while not (await asyncio.wait([reading], timeout=self._poll_s))[0]:
                progress(PullProgress(stage=requirement, done_bytes=_folder_bytes(room), total_bytes=0))
            await process.wait()
            return reading.result()
        finally:
            reading.cancel()


def _result(room: Path, unpacked: Path, requirement: str) -> str:
    """The folder of unpacked files, or the one wheel."""
    if unpacked.is_dir():
        return str(unpacked)
    wheels = list(room.glob("*.whl"))
    if len(wheels) != 1:
        raise PackageUnavailable(requirement=requirement, reason=f"the installer left {len(wheels)} wheels")
    return str(wheels[0])


def _environment(room: Path) -> Mapping[str, str]:
    """The user's environment, since it may name the index; temporary files on our disk, where they can be measured."""
    return {**os.environ, "TMPDIR": str(room / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}


async def _read_tail(process: asyncio.subprocess.Process) -> bytes:
    tail = b""
    if process.stderr is not None:
        while piece := await process.stderr.read(_ERROR_BYTES_MAX):
            tail = (tail + piece)[-_ERROR_BYTES_MAX:]
    return tail


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the installer and whatever it started, if it still runs."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


def _folder_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``; what disappears meanwhile does not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - os.walk gives text
    return total


def _last_error(errors: bytes) -> str:
    """The installer's last line that is no remark, without the credentials of an index."""
    lines = [line.strip() for line in errors.decode("utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(_REMARKS)]
    last = _LABEL.sub("", lines[-1]) if lines else ""
    return _USER_INFO.sub("//", last) or "the installer failed and said nothing"
