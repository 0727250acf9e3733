"""Files of a model hub, through the hub's own client library; used by ``freehold pull`` and by nothing else.

The library finds the file, its digest and its address and knows the hub's errors. The bytes come over the library's
HTTP session and not over its ``hf_hub_download``: that one begins anew after every interruption (it deletes what it
has), and may use a transfer protocol of its own that no proxy can look into.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit

from freehold.domain.errors.model import DigestMismatch, HubRefused, HubUnreachable, ModelError, ModelUnknown
from freehold.domain.model_ports import HubFile, HubNotes, ProgressSink, PullProgress
from freehold.net.partial_file import PartialFile

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response
    from huggingface_hub import HfFileMetadata

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)", re.ASCII)
_SIZE_MAX: Final = 1 << 46
_METADATA_TIMEOUT_S: Final = 10.0
_BLOCK_BYTES: Final = 1 << 20
_REDIRECTS_MAX: Final = 5
_CARD: Final = "README.md"
_CARD_BYTES_MAX: Final = 1 << 16
_CHANGES_MAX: Final = 50
_HISTORY_BYTES_MAX: Final = 1 << 20
_TITLE_CHARACTERS: Final = 160
_RETRYABLE: Final = frozenset({403, 404, 408, 410, 416, 425, 429, 500, 502, 503, 504})
"""403, 404 and 410 among them: the address of the bytes is a signed one that expires while a long fetch goes on."""


class _TransferError(Exception):
    """The transfer broke off and may go on."""


class HubSource:
    """Implements ``ports.HubFiles``.

    Args:
        endpoint: Address of the hub; by default the library's own (``HF_ENDPOINT``, else the public hub).
        token: Access token for models that need one; none is ever taken from the machine.
        stall_s: Silence after which a connection counts as broken.
        retries: Interruptions in a row, without a new byte between them, that are borne.
        retry_wait_s: Wait before the first retry; doubles with each.
        notes_s: For all of one text that is said of a version, however steadily it trickles.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        stall_s: float = 30.0,
        retries: int = 5,
        retry_wait_s: float = 1.0,
        notes_s: float = 30.0,
    ) -> None:
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._token = token
        self._stall_s = stall_s
        self._retries = retries
        self._retry_wait_s = retry_wait_s
        self._notes_s = notes_s

    @property
    def stall_s(self) -> float:
        """Silence after which a connection counts as broken."""
        return self._stall_s

    @property
    def endpoint(self) -> str:
        """Address of the hub."""
        if self._endpoint is None:
            from huggingface_hub import constants  # lazy: only a pull needs it

            self._endpoint = constants.ENDPOINT
        return self._endpoint

    async def describe(self, *, repo: str, filename: str, revision: str) -> HubFile:
        """What the hub says of a file; see ``ports.HubFiles``."""
        metadata = await self.metadata(repo, filename, revision)
        sha256 = metadata.etag or ""
        if not _SHA256.fullmatch(sha256):
            sha256 = await asyncio.to_thread(self._lfs_digest, repo, filename, revision)
        size_bytes = metadata.size or 0
        if not _SHA256.fullmatch(sha256) or not 0 < size_bytes <= _SIZE_MAX:
            raise HubRefused(hub=self.endpoint, name=_name(repo, filename), reason="it states no sha256 or size for it")
        return HubFile(
            repo=repo,
            filename=filename,
            revision=metadata.commit_hash or revision,
            sha256=sha256,
            size_bytes=size_bytes,
        )

    async def notes(self, *, repo: str, revision: str, since: str) -> HubNotes:
        """What is said of a version; see ``ports.HubWords``."""
        card = await self._card(repo, revision)
        changes = await self._changes(repo, revision, since)
        return HubNotes(license=card_license(card), text=plain_text(_without_head(card)), changes=changes)

    async def fetch(self, file: HubFile, *, target: str, progress: ProgressSink) -> str:
        """Fetch the file; see ``ports.HubFiles``. A cancelled call stops at once and keeps what it has."""
        from huggingface_hub.utils import get_async_session

        with await asyncio.to_thread(PartialFile, target, limit_bytes=file.size_bytes) as partial:
            failures, reached = 0, partial.size_bytes
            async with get_async_session() as client:
                while partial.size_bytes < file.size_bytes:
                    try:
                        await self._transfer(client, file, partial, progress)
                    except _TransferError as error:
                        # Further than ever: one that ignores ranges begins anew each time.
                        failures = 0 if partial.size_bytes > reached else failures + 1
                        reached = max(reached, partial.size_bytes)
                        if failures > self._retries:
                            raise HubUnreachable(hub=self.endpoint, reason=str(error)) from error
                        await asyncio.sleep(self._retry_wait_s * 2 ** max(0, failures - 1))
            await asyncio.to_thread(partial.sync)
            return partial.sha256

    async def _transfer(self, client: AsyncClient, file: HubFile, partial: PartialFile, progress: ProgressSink) -> None:
        """One connection: go on from where the file ends.

        Raises:
            _TransferError: It broke off.
            ModelError: The hub has no such file any more, or another one.
        """
        import httpx2  # the client library's own HTTP library

        try:
            metadata = await self.metadata(file.repo, file.filename, file.revision)
        except HubUnreachable as error:
            raise _TransferError(str(error.values.get("reason"))) from error
        if _SHA256.fullmatch(metadata.etag or "") and metadata.etag != file.sha256:
            raise DigestMismatch(name=_name(file.repo, file.filename), found=metadata.etag, expected=file.sha256)
        url = metadata.location
        try:
            for _ in range(_REDIRECTS_MAX):
                self.check_scheme(url, file.repo, file.filename)
                headers = self.headers(url)
                if partial.size_bytes:
                    headers["range"] = f"bytes={partial.size_bytes}-"
                request = client.build_request("GET", url, headers=headers, timeout=self._stall_s)
                response = await client.send(request, stream=True, follow_redirects=False)
                try:
                    if response.has_redirect_location:
                        url = urljoin(url, response.headers["location"])
                        continue
                    return await _receive(response, file, partial, progress)
                finally:
                    await response.aclose()
        except (httpx2.TransportError, httpx2.InvalidURL, httpx2.DecodingError) as error:
            raise _TransferError(self.reason_at(url, _reason(error))) from error
        raise _TransferError(f"more than {_REDIRECTS_MAX} redirects")

    def headers(self, url: str) -> dict[str, str]:
        """Request headers; the token goes to the hub itself only, never to the storage that it points to."""
        from huggingface_hub.utils import build_hf_headers  # pyright: ignore[reportUnknownVariableType]  # its annotations are incomplete

        _silence_telemetry()
        token = self._token if self._token and _origin(url) == _origin(self.endpoint) else False
        headers: dict[str, str] = build_hf_headers(token=token, library_name="freehold")
        headers["accept-encoding"] = "identity"
        return headers

    def reason_at(self, url: str, reason: str) -> str:
        """Why a connection failed, with the storage that it was to: a firewall may let through to the hub alone."""
        return reason if _origin(url) == _origin(self.endpoint) else f"its storage {_origin(url)}: {reason}"

    def pinned(self, url: str, repo: str, filename: str, *, revision: str) -> str:
        """Where a file's bytes are: ``url``, or where the hub sends them itself its address of that revision."""
        from huggingface_hub import hf_hub_url

        return (
            hf_hub_url(repo, filename, revision=revision, endpoint=self.endpoint)
            if _origin(url) == _origin(self.endpoint)
            else url
        )

    def check_scheme(self, url: str, repo: str, filename: str) -> None:
        """Refuse an address that is weaker than the hub's own.

        Raises:
            HubRefused: It is.
        """
        scheme = urlsplit(url).scheme
        allowed = {"https"} if urlsplit(self.endpoint).scheme == "https" else {"http", "https"}
        if scheme not in allowed:
            reason = f"it points to a {scheme or 'nameless'} address"
            raise HubRefused(hub=self.endpoint, name=_name(repo, filename), reason=reason)

    async def metadata(self, repo: str, filename: str, revision: str) -> HfFileMetadata:
        """What the client library finds out about a file.

        Raises:
            ModelError: As ``describe``.
        """
        return await asyncio.to_thread(self._metadata_now, repo, filename, revision)

    def _metadata_now(self, repo: str, filename: str, revision: str) -> HfFileMetadata:
        import httpx2
        from huggingface_hub import (
            get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]  # as above
            hf_hub_url,
        )

        _silence_telemetry()
        try:
            url = hf_hub_url(repo, filename, revision=revision, endpoint=self.endpoint)
            return get_hf_file_metadata(
                url,
                token=self._token or False,
                timeout=_METADATA_TIMEOUT_S,
                library_name="freehold",
                endpoint=self.endpoint,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise self._translate(error, repo, filename, revision) from error

    def _lfs_digest(self, repo: str, filename: str, revision: str) -> str:
        """The digest from the repository's file list, for mirrors whose answers lack it; empty where it has none."""
        import httpx2
        from huggingface_hub import HfApi

        try:
            api = HfApi(endpoint=self.endpoint, token=self._token or False, library_name="freehold")
            info = api.model_info(repo, revision=revision, files_metadata=True, timeout=_METADATA_TIMEOUT_S)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise self._translate(error, repo, filename, revision) from error
        for sibling in info.siblings or ():
            if sibling.rfilename == filename and sibling.lfs is not None:
                return sibling.lfs.sha256
        return ""

    async def _card(self, repo: str, revision: str) -> str:
        """The beginning of the model's card; empty where it has none."""
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(repo, _CARD, revision=revision, endpoint=self.endpoint)
        return (await self._beginning(url, _CARD_BYTES_MAX, what="the card")).decode("utf-8", errors="replace")

    async def _beginning(self, url: str, most: int, *, what: str) -> bytes:
        """At most so many first bytes of what an address of the hub gives, wherever else that points; none of nothing.

        Raises:
            HubUnreachable: There is no answer, or another one than that, or it takes too long in all.
        """
        try:
            return await asyncio.wait_for(self._first_bytes(url, most, what=what), self._notes_s)
        except TimeoutError as error:  # one that sends a byte now and then is never silent
            reason = f"{what} did not come within {self._notes_s:g} s"
            raise HubUnreachable(hub=self.endpoint, reason=reason) from error

    async def _first_bytes(self, url: str, most: int, *, what: str) -> bytes:
        import httpx2
        from huggingface_hub.utils import get_async_session

        found = bytearray()
        try:
            async with (
                get_async_session() as client,
                client.stream(
                    "GET", url, headers=self.headers(url), timeout=_METADATA_TIMEOUT_S, follow_redirects=False
                ) as response,
            ):
                if response.status_code == HTTPStatus.NOT_FOUND:
                    return b""
                if response.status_code != HTTPStatus.OK:
                    raise HubUnreachable(hub=self.endpoint, reason=f"it answered {response.status_code} for {what}")
                async for chunk in response.aiter_raw():
                    found += chunk
                    if len(found) >= most:
                        break
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise HubUnreachable(hub=self.endpoint, reason=_reason(error)) from error
        return bytes(found[:most])

    async def _changes(self, repo: str, revision: str, since: str) -> tuple[str, ...]:
        """Titles of the commits from ``revision`` back to ``since``; of the last few where that is not among them.

        Of the first page only: the client library would follow the hub to page after page, without an end.
        """
        url = f"{self.endpoint}/api/models/{repo}/commits/{quote(revision, safe='')}"
        try:
            commits = json.loads(await self._beginning(url, _HISTORY_BYTES_MAX, what="the history"))
            told = [(str(each["id"]), str(each["date"]), str(each["title"])) for each in commits[:_CHANGES_MAX]]
        except (HubUnreachable, ValueError, KeyError, TypeError, RecursionError):
            return ()  # a mirror without a history still has its files
        found: list[str] = []
        for commit, date, title in told:
            if commit == since:
                break
            found.append(plain_text(f"{date[:10]} {title}").replace("\n", " ")[:_TITLE_CHARACTERS])
        return tuple(found)

    def _translate(self, error: Exception, repo: str, filename: str, revision: str) -> ModelError:
        """Our error for one of the library's."""
        from huggingface_hub import errors

        name = _name(repo, filename)
        unknown = {
            errors.RevisionNotFoundError: f" in the revision {revision!r}; the repository has no such revision",
            errors.EntryNotFoundError: " in this repository; check the file's name on the hub",
            errors.RepositoryNotFoundError: " on the hub, or it is not public",
            errors.HFValidationError: "",
        }
        if isinstance(error, (errors.GatedRepoError, errors.DisabledRepoError)):
            reason = (
                "its terms must be accepted first" if isinstance(error, errors.GatedRepoError) else "it is disabled"
            )
            return HubRefused(hub=self.endpoint, name=name, reason=reason)
        for kind, suggestion in unknown.items():
            if isinstance(error, kind):
                return ModelUnknown(name=name, suggestion=suggestion)
        if isinstance(error, errors.OfflineModeIsEnabled):
            return HubUnreachable(hub=self.endpoint, reason="HF_HUB_OFFLINE is set")
        if isinstance(error, errors.HfHubHTTPError):
            status = error.response.status_code
            if status in {401, 403}:
                return HubRefused(hub=self.endpoint, name=name, reason=f"it answered {status}")
            return HubUnreachable(hub=self.endpoint, reason=f"it answered {status}")
        return HubUnreachable(hub=self.endpoint, reason=_reason(error))


async def _receive(response: Response, file: HubFile, partial: PartialFile, progress: ProgressSink) -> None:
    """Append the body of ``response`` to ``partial``, a block at a time.

    Blocks are written on this thread: a write handed to another one could still run when a cancelled call ends.
    """
    status = response.status_code
    if status == 416:
        partial.restart()
    if status not in {200, 206}:
        if status in _RETRYABLE:
            raise _TransferError(f"the storage answered {status}")
        raise HubRefused(
            hub=_origin(str(response.url)), name=_name(file.repo, file.filename), reason=f"it answered {status}"
        )
    if not _continues(response, file, partial):
        partial.restart()
    pending: list[bytes] = []
    pending_bytes = 0
    try:
        async for chunk in response.aiter_raw():
            pending.append(chunk)
            pending_bytes += len(chunk)
            if partial.size_bytes + pending_bytes > file.size_bytes:
                pending.clear()
                partial.restart()
                raise _TransferError("it sent more bytes than it had announced")
            if pending_bytes >= _BLOCK_BYTES:
                partial.append(b"".join(pending))
                pending.clear()
                pending_bytes = 0
                _report(partial, file, progress)
    finally:
        # Also a cancelled or broken transfer keeps what arrived.
        partial.append(b"".join(pending))
        _report(partial, file, progress)
    if partial.size_bytes < file.size_bytes:
        raise _TransferError("the connection closed too early")


def _continues(response: Response, file: HubFile, partial: PartialFile) -> bool:
    """Whether the body goes on exactly where ``partial`` ends; a server may ignore the range that was asked for."""
    if response.status_code == 200:
        return partial.size_bytes == 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None or int(match[1]) != partial.size_bytes or match[2] not in {"*", str(file.size_bytes)}:
        raise _TransferError("it sent another part of the file than was asked for")
    return True


def _report(partial: PartialFile, file: HubFile, progress: ProgressSink) -> None:
    progress(PullProgress(stage="downloading", done_bytes=partial.size_bytes, total_bytes=file.size_bytes))


def _silence_telemetry() -> None:
    """Keep the library from naming other installed packages and from asking the hub which agents there are."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True


def _name(repo: str, filename: str) -> str:
    return f"hf:{repo}/{filename}"


def plain_text(text: str) -> str:
    """Other people's words for a terminal: no control, no direction and no invisible characters."""
    plain = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(each for each in plain if each == "\n" or unicodedata.category(each)[0] not in "CZ" or each == " ")


def _without_head(card: str) -> str:
    """What a card says to people: its head is for machines, and often longer than what is shown."""
    return re.sub(r"\A---\n.*?\n---[ ]*(?:\n|\Z)", "", card, count=1, flags=re.DOTALL).lstrip("\n")


def card_license(card: str) -> str:
    """The licence that the head of a card states; empty where it states none."""
    head = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    stated = re.search(r"^license(?:_name)?:[ ]*([^\n]{1,100})$", head[1], re.MULTILINE) if head else None
    return plain_text(stated[1]).strip(" '\"") if stated else ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _reason(error: Exception) -> str:
    """The error's own words, or its kind where it has none: ``connection refused``, ``nothing came (ReadTimeout)``."""
    kind = type(error).__name__
    if "Timeout" in kind:
        return f"nothing came in time ({kind})"
    return str(error) or kind
