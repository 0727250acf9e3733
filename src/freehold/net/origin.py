"""Where an upstream lives: parsed once from configuration, never from a request."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from freehold.domain.errors.config import BaseUrlInvalid

Scheme = Literal["http", "https", "unix"]

_DEFAULT_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[\x21-\x7e]*)?",
    re.IGNORECASE,
)
_PORT_MAX = 65_535
_HOST_MAX = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One destination.

    Attributes:
        scheme: ``http``, ``https`` or ``unix``.
        host: Name in lower case or IP address without brackets; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        socket_path: Absolute path of a Unix socket, else empty.
        base_path: What the configured address puts in front of every path, such as ``/v1``; no slash at its end.
    """

    scheme: Scheme
    host: str = ""
    port: int = 0
    socket_path: str = ""
    base_path: str = ""

    @classmethod
    def parse(cls, base_url: str) -> Origin:
        """The destination that ``base_url`` names.

        Raises:
            BaseUrlInvalid: It is not plainly one ``http``, ``https`` or ``unix`` address.
        """
        if base_url.startswith("unix://"):
            return cls(scheme="unix", socket_path=_socket_path(base_url))
        _refuse_unclear(base_url)
        match = _URL.fullmatch(base_url)
        if match is None:
            raise BaseUrlInvalid(base_url=base_url, reason="it is not of the form scheme://host:port/path")
        scheme: Scheme = "https" if match["scheme"].lower() == "https" else "http"
        port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
        if not 1 <= port <= _PORT_MAX:
            raise BaseUrlInvalid(base_url=base_url, reason=f"port {port} is not between 1 and {_PORT_MAX}")
        return cls(
            scheme=scheme, host=_host(match["host"], base_url), port=port, base_path=(match["path"] or "").rstrip("/")
        )

    @property
    def text(self) -> str:
        """``scheme://host:port`` with the port always written, or ``unix:///path``; what permits and records name."""
        if self.scheme == "unix":
            return f"unix://{self.socket_path}"
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> str:
        """Value of the ``Host`` header (RFC 9110, section 7.2)."""
        if self.scheme == "unix":
            return "localhost"
        return self._bracketed if self.port == _DEFAULT_PORTS[self.scheme] else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _socket_path(base_url: str) -> str:
    path = base_url.removeprefix("unix://")
    if not path.startswith("/") or path == "/":
        raise BaseUrlInvalid(base_url=base_url, reason="the path of a Unix socket is absolute: unix:///path")
    if not path.isprintable():
        raise BaseUrlInvalid(base_url=base_url, reason="the path holds a character that cannot be printed")
    return path


def _refuse_unclear(base_url: str) -> None:
    """Whatever two parsers might read differently is no address."""
    if "@" in base_url:
        # The value is not shown: what stands before the "@" may be a password.
        raise BaseUrlInvalid(base_url="…@…", reason="a credential does not belong in an address")
    for mark, reason in (("?", "it has a query"), ("#", "it has a fragment"), ("\\", "it has a backslash")):
        if mark in base_url:
            raise BaseUrlInvalid(base_url=base_url, reason=reason)
    if not base_url.isascii():
        raise BaseUrlInvalid(base_url=base_url, reason="a host that is not ASCII is written in its xn-- form")


def _host(host: str, base_url: str) -> str:
    """A name, or an address in its one plain form: ``127.1`` and ``0x7f.1`` would be read as numbers by resolvers."""
    name = host.strip("[]").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        if host.startswith("[") and address.version == 4:
            raise BaseUrlInvalid(base_url=base_url, reason="only an IPv6 address stands in brackets")
        return address.compressed
    last = name.rstrip(".").rpartition(".")[2]
    if host.startswith("[") or last.isdigit() or last.startswith("0x"):
        raise BaseUrlInvalid(base_url=base_url, reason="its host is a number but not a plain IP address")
    labels = name.removesuffix(".").split(".")
    if len(name) > _HOST_MAX or not all(0 < len(label) <= 63 for label in labels):
        raise BaseUrlInvalid(base_url=base_url, reason="its host name is not a DNS name")
    return name
