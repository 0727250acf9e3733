"""The beginning of a hub's file, by ranged requests: enough to read its header, never the file.

Asked only where a user names a file of a hub that is not here (``freehold fit hf:…``). Through the hub's client library
like ``hub``, and with its rules: the token goes to the hub alone, a redirect leads to no weaker scheme, nothing of what
comes is believed before it was compared with what was asked for.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from freehold.domain.errors.model import HubRefused, HubUnreachable
from freehold.net.hub import HubSource

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)
_REDIRECTS_MAX: Final = 5
_SIZE_MAX: Final = 1 << 46
_READ_MAX: Final = 1 << 26
_TRIES: Final = 3
_RETRYABLE: Final = frozenset({403, 404, 408, 410, 425, 429, 500, 502, 503, 504})


class _BrokenError(Exception):
    """What came was too little; asking again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of the hub, as the hub describes it.

    Attributes:
        revision: The commit that the description is of.
        url: Where its bytes are; signed, and good for some minutes.
    """

    repo: str
    filename: str
    revision: str
    size_bytes: int
    url: str


class HubRanges:
    """Reads parts of files.

    Args:
        source: The hub.
        deadline_s: For one read, all tries together.
    """

    def __init__(self, source: HubSource, *, deadline_s: float = 60.0) -> None:
        self._source = source
        self._deadline_s = deadline_s

    async def open(self, *, repo: str, filename: str, revision: str) -> RemoteFile:
        """What the hub says of a file.

        Raises:
            ModelUnknown: There is no such repository, revision or file.
            HubRefused: It wants terms accepted or a token, or states no usable size.
            HubUnreachable: No connection.
        """
        metadata = await self._source.metadata(repo, filename, revision)
        size_bytes = metadata.size or 0
        if not 0 < size_bytes <= _SIZE_MAX:
            raise self._refused(repo, filename, f"it states a size of {metadata.size}")
        commit = metadata.commit_hash or revision
        return RemoteFile(
            repo=repo,
            filename=filename,
            revision=commit,
            size_bytes=size_bytes,
            url=self._source.pinned(metadata.location, repo, filename, revision=commit),
        )

    async def read(self, file: RemoteFile, *, start: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``start`` on; of a server that ignores ranges no more is read than these.

        Raises:
            HubRefused: It sends something else than was asked for.
            HubUnreachable: It broke off three times, or took too long.
            ValueError: More is asked for than may be read, or than there is.
        """
        if not (start >= 0 and count > 0 and start + count <= min(file.size_bytes, _READ_MAX)):
            raise ValueError(f"bytes {start} to {start + count} of {file.size_bytes} may not be read")
        try:
            return await asyncio.wait_for(self._read_tried(file, start=start, count=count), self._deadline_s)
        except TimeoutError as error:
            raise HubUnreachable(hub=self._source.endpoint, reason="nothing came in time") from error

    async def _read_tried(self, file: RemoteFile, *, start: int, count: int) -> bytes:
        from huggingface_hub.utils import get_async_session  # lazy: only asking a hub needs it

        reason = ""
        async with get_async_session() as client:
            for _ in range(_TRIES):
                try:
                    return await self._read_once(client, file, start=start, count=count)
                except _BrokenError as error:
                    reason = str(error)
        raise HubUnreachable(hub=self._source.endpoint, reason=reason)

    async def _read_once(self, client: AsyncClient, file: RemoteFile, *, start: int, count: int) -> bytes:
        import httpx2  # the client library's own HTTP library

        url = file.url
        try:
            for _ in range(_REDIRECTS_MAX):
                self._source.check_scheme(url, file.repo, file.filename)
                headers = self._source.headers(url) | {"range": f"bytes={start}-{start + count - 1}"}
                request = client.build_request("GET", url, headers=headers, timeout=self._source.stall_s)
                response = await client.send(request, stream=True, follow_redirects=False)
                try:
                    if response.has_redirect_location:
                        url = urljoin(url, response.headers["location"])
                        continue
                    skip = self._checked(response, file, start=start, count=count)
                    return await _body(response, skip=skip, count=count)
                finally:
                    await response.aclose()
        except (httpx2.TransportError, httpx2.InvalidURL, httpx2.DecodingError) as error:
            raise _BrokenError(self._source.reason_at(url, str(error) or type(error).__name__)) from error
        raise self._refused(file.repo, file.filename, f"more than {_REDIRECTS_MAX} redirects")

    def _checked(self, response: Response, file: RemoteFile, *, start: int, count: int) -> int:
        """How many bytes of the body come before those that were asked for."""
        status = response.status_code
        if status == 200:
            length = response.headers.get("content-length", "")
            if length and length != str(file.size_bytes):
                raise self._refused(
                    file.repo, file.filename, f"it is said to have {file.size_bytes} bytes and comes with {length[:24]}"
                )
            return start
        if status != 206:
            if status in _RETRYABLE:
                raise _BrokenError(f"the storage answered {status}")
            raise self._refused(file.repo, file.filename, f"its storage answered {status}")
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if match is None or int(match[1]) != start or int(match[2]) > start + count - 1:
            raise self._refused(file.repo, file.filename, "it sent another part of the file than was asked for")
        if match[3] not in {"*", str(file.size_bytes)}:
            raise self._refused(
                file.repo, file.filename, f"it is said to have {file.size_bytes} bytes and its storage has {match[3]}"
            )
        return 0

    def _refused(self, repo: str, filename: str, reason: str) -> HubRefused:
        return HubRefused(hub=self._source.endpoint, name=f"hf:{repo}/{filename}", reason=reason)


async def _body(response: Response, *, skip: int, count: int) -> bytes:
    """``count`` bytes behind ``skip``; the connection is closed by the caller, whatever else would come."""
    parts: list[bytes] = []
    seen = 0
    async for chunk in response.aiter_raw():
        parts.append(chunk)
        seen += len(chunk)
        if seen >= skip + count:
            break
    if seen < skip + count:
        raise _BrokenError("the connection closed too early")
    return b"".join(parts)[skip : skip + count]
