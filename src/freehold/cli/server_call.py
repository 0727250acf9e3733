"""Talking to the running server: its address, the key, and its errors."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from freehold.cli import output
from freehold.config.load import data_folder, find_file, load
from freehold.config.schema import Server
from freehold.domain.errors.config import ConfigMissing
from freehold.domain.errors.server import NotRunning
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.net.fetch import LocalAnswer, call_local

FIRST_KEY_FILE = "first-key"
KEY_VARIABLE = "FREEHOLD_KEY"

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, never bound
_OK_MAX = 299
_VIEW_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """Where the server is, and the headers of a call.

    Attributes:
        url: Address without ``/v1``.
        ca_file: PEM file to trust; ``None`` for the system's authorities.
        headers: With the key in them, where there is one.
    """

    url: str
    ca_file: str | None
    headers: tuple[tuple[str, str], ...]


def find_server(*, url: str, key_file: str) -> RunningServer:
    """The server of a command line; nothing is called yet.

    Raises:
        ConfigInvalid: The configuration holds mistakes, and no address was given.
        KeyFileUnusable: The key's file cannot be read, or others can read it.
    """
    ca_file: str | None = None
    if not url:
        server = _configured()
        url, ca_file = url_of(server), server.tls_certificate or None
    key = _key(key_file)
    # Without a key the server says what is missing, and where no server is, that is what matters.
    authorization = (("authorization", f"Bearer {key}"),) if key else ()
    headers = (*authorization, ("content-type", "application/json"))
    return RunningServer(url=url.rstrip("/").removesuffix("/v1"), ca_file=ca_file, headers=headers)


def url_of(server: Server) -> str:
    """The address that a program on this machine reaches the configured server at."""
    scheme = "https" if server.tls_certificate else "http"
    host = _ANY_ADDRESS.get(server.host, server.host)
    return f"{scheme}://[{host}]:{server.port}" if ":" in host else f"{scheme}://{host}:{server.port}"


def get(server: RunningServer, path: str) -> dict[str, Any]:
    """A view of the server as JSON values.

    Raises:
        NotRunning: Nothing answers there.
        AnsweredWithError: It answered with an error.
    """
    return _call(server, "GET", path)


def post(server: RunningServer, path: str, body: bytes = b"", *, timeout_s: float = _VIEW_TIMEOUT_S) -> dict[str, Any]:
    """Have the server do something; what it says of it. Errors as ``get``."""
    return _call(server, "POST", path, body, timeout_s=timeout_s)


def _call(
    server: RunningServer, method: str, path: str, body: bytes = b"", *, timeout_s: float = _VIEW_TIMEOUT_S
) -> dict[str, Any]:
    try:
        answer = asyncio.run(
            call_local(
                server.url,
                method=method,
                path=path,
                headers=server.headers,
                body=body,
                timeout_s=timeout_s,
                ca_file=server.ca_file,
            )
        )
    except UpstreamUnreachable as error:
        raise not_running(server.url, error) from error
    return json_of(server.url, answer)


def json_of(url: str, answer: LocalAnswer) -> dict[str, Any]:
    """The JSON object of a good answer.

    Raises:
        AnsweredWithError: The answer is an error envelope.
        NotRunning: It is no answer of Freehold.
    """
    try:
        document: object = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotRunning(url=url, reason=f"the answer there (status {answer.status}) is not JSON")
    values = cast("dict[str, Any]", document)
    if answer.status > _OK_MAX:
        if not isinstance(values.get("error"), Mapping):
            raise NotRunning(url=url, reason=f"another program answers there (status {answer.status})")
        raise output.AnsweredWithError(values)
    return values


def not_running(url: str, error: UpstreamUnreachable) -> NotRunning:
    """The error for a server that cannot be reached."""
    return NotRunning(url=url, reason=str(error.values.get("reason") or error.message))


def _configured() -> Server:
    try:
        path = find_file(None)
    except ConfigMissing:
        path = None
    return load(path).config.server


def _key(key_file: str) -> str | None:
    from freehold.identity.first_key import read_secret  # lazy: pulls in the database's modules

    if not key_file and (given := os.environ.get(KEY_VARIABLE, "").strip()):
        return given
    path = Path(key_file).expanduser() if key_file else data_folder() / FIRST_KEY_FILE
    key = read_secret(path)
    if key is None and key_file:
        raise output.UsageError(f"There is no key file {key_file!r}.")
    return key
