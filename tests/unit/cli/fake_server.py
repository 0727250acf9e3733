"""A server that answers what a test says, so that commands meet every answer that there is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer: whole, or in pieces that end with the connection.

    Attributes:
        meanwhile: Runs while the last byte is still to come.
    """

    body: bytes
    status: int = 200
    kind: str = "application/json"
    receipt: str = "r-1"
    meanwhile: Callable[[], object] | None = None


@dataclass
class FakeServer:
    """The answers by path, and what was asked."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@contextlib.contextmanager
def fake_server() -> Generator[FakeServer]:
    """Serve on a free port until the end of the body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            made.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = made.answers.get(self.path, Answer(b'{"error": {"message": "nothing here"}}', status=404))
            self.send_response(answer.status)
            self.send_header("content-type", answer.kind)
            self.send_header("content-length", str(len(answer.body) + bool(answer.meanwhile)))
            self.send_header("freehold-receipt", answer.receipt)
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.meanwhile is not None:
                answer.meanwhile()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(b"\n")

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = FakeServer(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
