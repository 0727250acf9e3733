"""Writing a request's head: the connection's own fields, the configured ones, and the few of the request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from freehold.domain.errors.policy import EgressDenied
from freehold.net.origin import Origin

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*")

# What frames a message or belongs to one hop; whoever writes these could smuggle a second request.
_RESERVED = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "expect",
        "te",
        "trailer",
        "accept-encoding",
        "proxy-authorization",
        "proxy-connection",
    }
)


class HeadWriter:
    """Encodes heads for one origin.

    Args:
        origin: Where they go; gives the ``Host`` field.
        headers: Fields of every request, the credential among them.

    Raises:
        EgressDenied: A configured field would break out of its line or belongs to the connection.
    """

    __slots__ = ("_fixed", "_known", "_known_as", "_origin", "_taken")

    def __init__(self, origin: Origin, headers: Sequence[tuple[str, str]]) -> None:
        self._origin = origin.text
        self._taken = _RESERVED
        self._known_as: tuple[str, str, Sequence[tuple[str, str]]] | None = None
        self._known = b""
        lines = self._lines(headers)
        self._taken = _RESERVED | {name.lower() for name, _ in headers}
        agent = "" if "user-agent" in self._taken else "user-agent: freehold\r\n"
        self._fixed = f" HTTP/1.1\r\nhost: {origin.host_header}\r\naccept-encoding: identity\r\n{agent}{lines}"

    def head(self, method: str, path: str, headers: Sequence[tuple[str, str]], body_bytes: int) -> bytes:
        """The head of one request.

        Raises:
            EgressDenied: Method, path or a field would break out of its place, or a field would replace one of ours.
        """
        known = self._known_as
        if known is None or known[2] is not headers or known[1] != path or known[0] != method:
            # Callers hand over the same again and again: what was checked once need not be checked anew.
            self._known = self._checked(method, path, headers)
            self._known_as = (method, path, headers) if isinstance(headers, tuple) else None
        if body_bytes or method in _WITH_BODY:
            return b"%bcontent-length: %d\r\n\r\n" % (self._known, body_bytes)
        return self._known + b"\r\n"

    def _checked(self, method: str, path: str, headers: Sequence[tuple[str, str]]) -> bytes:
        if method not in _METHODS:
            raise EgressDenied(origin=self._origin, reason=f"the method {method!r} is not used here")
        if _PATH.fullmatch(path) is None:
            raise EgressDenied(origin=self._origin, reason="the path is not plain ASCII starting with a slash")
        return f"{method} {path}{self._fixed}{self._lines(headers)}".encode("latin-1")

    def _lines(self, headers: Sequence[tuple[str, str]]) -> str:
        lines = ""
        for name, value in headers:
            # Values are never shown: they may be credentials.
            if _NAME.fullmatch(name) is None:
                raise EgressDenied(origin=self._origin, reason=f"{name!r} is not the name of a header field")
            if _VALUE.fullmatch(value) is None:
                raise EgressDenied(origin=self._origin, reason=f"the header field {name!r} holds a forbidden character")
            if name.lower() in self._taken:
                raise EgressDenied(origin=self._origin, reason=f"the header field {name!r} belongs to the connection")
            lines += f"{name}: {value}\r\n"
        return lines
