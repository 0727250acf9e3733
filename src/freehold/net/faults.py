"""How what goes wrong on a connection becomes an error of the house, in words that hold no address."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Literal, TypeVar

from freehold.domain.errors.upstream import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)

Reached = Literal["no", "unknown", "yes"]
_E = TypeVar("_E", bound=UpstreamError)

# X509_V_ERR_* of OpenSSL; its own texts may name the host.
_CERTIFICATE_FAULTS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed and not in ca_file",
    19: "is signed by an authority that is not known here",
    20: "is signed by an authority that is not known here",
    21: "is signed by an authority that is not known here",
    62: "is for another host name",
    64: "is for another IP address",
}


class Faults:
    """Makes the errors of one client; ``name`` is the deployment that they blame."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def unreachable(self, reason: str) -> UpstreamUnreachable:
        """No connection came about, so nothing was sent."""
        return _marked(UpstreamUnreachable(deployment=self._name, source=self._name, reason=reason), "no")

    def protocol(self, reason: str, *, reached: Reached = "yes", reused: bool = False) -> UpstreamProtocol:
        """The answer is not one that we accept."""
        error = UpstreamProtocol(deployment=self._name, source=self._name, reason=reason)
        return _marked(error, reached, reused=reused)

    def broken(self, reason: str, *, reached: Reached, reused: bool = False) -> UpstreamBroken:
        """The answer ended before its end."""
        error = UpstreamBroken(deployment=self._name, source=self._name, reason=reason)
        return _marked(error, reached, reused=reused)

    def timeout(self, what: str, seconds: float, *, reached: Reached, reused: bool = False) -> UpstreamTimeout:
        """It did not do ``what`` within ``seconds``."""
        error = UpstreamTimeout(deployment=self._name, source=self._name, what=what, seconds=f"{round(seconds, 2):g}")
        return _marked(error, reached, reused=reused)


def _marked(error: _E, reached: Reached, *, reused: bool = False) -> _E:
    error.reached_model = reached
    error.reused = reused
    return error


def connect_reason(error: OSError) -> str:
    """Why connecting failed, without the address that the operating system's message may hold."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate {_CERTIFICATE_FAULTS.get(error.verify_code, 'was refused')}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason given'})"
    if isinstance(error, socket.gaierror):
        return "its host name has no address"
    return transport_reason(error)


def transport_reason(error: Exception | None) -> str:
    """Why a connection ended; ``None`` is a plain close by the other side."""
    if error is None:
        return "the connection was closed"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number is not None else "the connection was lost"
