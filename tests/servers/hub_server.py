"""A model hub on loopback that speaks the real one's protocol, and a storage server beside it that it redirects to.

What the real hub does, as its client library expects it: ``HEAD /OWNER/REPO/resolve/REVISION/FILE`` answers 302 to a
signed address of another host with ``X-Repo-Commit``, ``X-Linked-Etag`` (the sha256 of a large file) and
``X-Linked-Size``; ``GET /api/models/OWNER/REPO/revision/REVISION?blobs=true`` lists the files with their digests; an
unknown thing answers 404 with ``X-Error-Code``. Small files (``plain``) come from the hub itself, with a git digest as
``ETag`` and no redirect. The storage serves byte ranges.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

COMMIT = "c0ffee" + "0" * 34
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class HubBehaviour:
    """What the servers do wrong, all off.

    Attributes:
        cut_after: For each coming transfer, bytes after which the connection is closed; ``None`` for a whole one.
        hang_after: Bytes after which the storage sends nothing more and keeps the connection.
        flip_at: Position of a byte that is sent changed.
        ignore_range: Answer 200 with the whole file.
        shift_range: Answer a range that begins elsewhere.
        range_start: Where ``Content-Range`` says that a range begins, in place of the true one.
        surplus: Bytes sent beyond the end.
        error_code: ``X-Error-Code`` of a 401 or 403 answer for all files.
        storage_status: Status of all answers of the storage.
        plain_etag: Give a git digest instead of the sha256, as for small files.
        no_lfs: Leave the digests out of the file list as well.
        downgrade: Redirect to this scheme.
        linked_size: ``X-Linked-Size`` of all files, in place of the true one.
        total: Length of the whole file that ``Content-Range`` states, in place of the true one.
        hops: Redirects of the storage to itself before it answers.
        trickle: ``head`` or ``body`` of a card that the hub sends a byte at a time, each soon after the one before.
    """

    cut_after: list[int | None] = field(default_factory=list)
    hang_after: int | None = None
    flip_at: int | None = None
    ignore_range: bool = False
    shift_range: int = 0
    range_start: str = ""
    surplus: int = 0
    error_code: str = ""
    storage_status: int = 0
    plain_etag: bool = False
    no_lfs: bool = False
    downgrade: str = ""
    linked_size: str = ""
    total: str = ""
    hops: int = 0
    trickle: str = ""


class HubServer:
    """Both servers, running inside ``with``.

    Attributes:
        files: Content by ``OWNER/REPO/FILE``.
        revisions: Those that exist, in every repository.
        behaviour: May be changed while running.
        commits: Id and title of each, the newest first.
        commit: The newest.
        seen: ``METHOD path`` of each request to the hub.
        ranges: The ``Range`` header of each request to the storage, empty for none.
        headers: Headers of the last request by server: ``hub``, ``storage``.
        plain: Names of ``files`` that the hub sends itself.
        sent_bytes: Content sent by the storage.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.revisions = {"main", COMMIT}
        self.commits: list[tuple[str, str]] = []
        self.commit = COMMIT
        self.behaviour = HubBehaviour()
        self.seen: list[str] = []
        self.ranges: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        self.plain: set[str] = set()
        self.sent_bytes = 0
        self.transferred = threading.Event()
        self._stop = threading.Event()
        self._hub = _server(_HubHandler, self)
        self._storage = _server(_StorageHandler, self)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            for server in (self._hub, self._storage)
        ]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_address[1]}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self._storage.server_address[1]}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for server, thread in zip((self._hub, self._storage), self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def stops_within(self, seconds: float) -> bool:
        """Block for a moment, or until the servers stop."""
        return self._stop.wait(seconds)

    def wait_for_end(self) -> None:
        """Block a hanging transfer until the servers stop."""
        self._stop.wait()


class _Server(ThreadingHTTPServer):
    owner: HubServer
    daemon_threads = False
    block_on_close = True


def _server(handler: type[BaseHTTPRequestHandler], owner: HubServer) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.owner = owner
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    @property
    def owner(self) -> HubServer:
        return self.server.owner

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True


class _HubHandler(_Handler):
    def do_HEAD(self) -> None:
        self._resolve()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/api/models/") and "/commits/" in url.path:
            self._commits()
        elif url.path.startswith("/api/models/"):
            self._info(url.path.removeprefix("/api/models/"), parse_qs(url.query))
        else:
            self._resolve()

    def _resolve(self) -> None:
        self.owner.seen.append(f"{self.command} {self.path}")
        self.owner.headers["hub"] = {name.lower(): value for name, value in self.headers.items()}
        behaviour = self.owner.behaviour
        if behaviour.error_code:
            self.answer(403 if behaviour.error_code == "GatedRepo" else 401, {"X-Error-Code": behaviour.error_code})
            return
        owner, repo, _, revision, filename = self.path.lstrip("/").split("/", 4)
        key = f"{owner}/{repo}/{filename}"
        if not any(name.startswith(f"{owner}/{repo}/") for name in self.owner.files):
            self.answer(404, {"X-Error-Code": "RepoNotFound"})
        elif revision not in self.owner.revisions:
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif key not in self.owner.files:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif key in self.owner.plain:
            content = self.owner.files[key]
            digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            headers = {"X-Repo-Commit": self.owner.commit, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
            self._plain(content, headers)
        elif filename == "README.md" and behaviour.trickle:
            self._trickled(self.owner.files[key], behaviour.trickle)
        elif filename == "README.md":  # small files are not in the storage
            self.answer(200, {"X-Repo-Commit": COMMIT, "ETag": '"readme"'}, self.owner.files[key])
        else:
            content = self.owner.files[key]
            etag = "0" * 40 if behaviour.plain_etag else hashlib.sha256(content).hexdigest()
            location = f"{self.owner.storage}/{key}?signature=x"
            headers = {
                "X-Repo-Commit": self.owner.commit,
                "X-Linked-Etag": f'"{etag}"',
                "X-Linked-Size": behaviour.linked_size or str(len(content)),
                "Location": location.replace("http", behaviour.downgrade, 1) if behaviour.downgrade else location,
            }
            self.answer(302, headers)

    def _plain(self, content: bytes, headers: dict[str, str]) -> None:
        if (match := _RANGE.fullmatch(self.headers.get("Range", ""))) and self.command == "GET":
            start, end = int(match[1]), min(int(match[2] or len(content) - 1), len(content) - 1)
            shown = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            self.answer(206, {**headers, **shown}, content[start : end + 1])
        else:
            self.answer(200, headers, content)

    def _trickled(self, content: bytes, part: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Long: %s\r\n\r\n" % (len(content), b"-" * 300)
        slow = head + content if part == "head" else content
        self.close_connection = True
        with contextlib.suppress(OSError):  # until the other side has had enough
            self.wfile.write((head + content).removesuffix(slow))
            for each in slow:
                self.wfile.write(bytes((each,)))
                if self.owner.stops_within(0.02):
                    return

    def _commits(self) -> None:
        self.owner.seen.append(f"GET {self.path}")
        body = [
            {"id": each, "title": title, "message": "", "authors": [{"user": "o"}], "date": "2026-11-29T10:00:00.000Z"}
            for each, title in self.owner.commits
        ]
        more = f'<http://{self.headers["host"]}{self.path}>; rel="next"'  # a hub can have a history without an end
        self.answer(200, {"Content-Type": "application/json", "Link": more}, json.dumps(body).encode())

    def _info(self, path: str, query: dict[str, list[str]]) -> None:
        self.owner.seen.append(f"GET /api/models/{path}")
        owner, repo, *_ = path.split("/")
        prefix = f"{owner}/{repo}/"
        siblings = []
        for name, content in self.owner.files.items():
            if name.startswith(prefix):
                entry: dict[str, object] = {"rfilename": name.removeprefix(prefix), "size": len(content)}
                if "blobs" in query and not self.owner.behaviour.no_lfs:
                    digest = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
                siblings.append(entry)
        body = {"_id": "1", "id": f"{owner}/{repo}", "sha": COMMIT, "siblings": siblings, "private": False}
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


class _StorageHandler(_Handler):
    def do_GET(self) -> None:
        behaviour = self.owner.behaviour
        asked = self.headers.get("Range", "")
        self.owner.ranges.append(asked)
        self.owner.headers["storage"] = {name.lower(): value for name, value in self.headers.items()}
        if behaviour.storage_status:
            self.answer(behaviour.storage_status, {})
            return
        if behaviour.hops:
            behaviour.hops -= 1
            self.answer(307, {"Location": self.path})
            return
        content = bytearray(self.owner.files[urlsplit(self.path).path.lstrip("/")])
        if behaviour.flip_at is not None:
            content[behaviour.flip_at] ^= 0xFF
        match = None if behaviour.ignore_range else _RANGE.fullmatch(asked)
        start = int(match[1]) if match else 0
        end = min(int(match[2]), len(content) - 1) if match and match[2] else len(content) - 1
        if start > len(content):
            self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        body = bytes(content[start : end + 1]) + b"\0" * behaviour.surplus
        partial = bool(match and (start or match[2]))
        self.send_response(206 if partial else 200)
        if partial:
            shown, total = behaviour.range_start or start + behaviour.shift_range, behaviour.total or str(len(content))
            self.send_header("Content-Range", f"bytes {shown}-{end}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._send(body)
        self.close_connection = True

    def _send(self, body: bytes) -> None:
        behaviour = self.owner.behaviour
        cut = behaviour.cut_after.pop(0) if behaviour.cut_after else None
        stop = cut if cut is not None else behaviour.hang_after
        body = body if stop is None else body[:stop]
        for start in range(0, len(body), 1 << 16):
            # One who has read enough hangs up; what was sent until then is counted.
            try:
                self.wfile.write(body[start : start + (1 << 16)])
            except OSError:
                break
            self.owner.sent_bytes += len(body[start : start + (1 << 16)])
        with contextlib.suppress(OSError):
            self.wfile.flush()
        self.owner.transferred.set()
        if cut is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif stop is not None:
            self.owner.wait_for_end()
