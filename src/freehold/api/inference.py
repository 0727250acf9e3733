"""The inference routes: decode, run the pipeline, render what it says. The hot path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Generator
from dataclasses import replace

from freehold.api.errors import render, unexpected
from freehold.api.exchange import ClientLeft, Exchange, Headers
from freehold.api.sinks import StreamSink
from freehold.api.surfaces import CHAT, Surface
from freehold.domain.errors.admission import ShuttingDown
from freehold.domain.errors.auth import CredentialsDiffer, KeyUnknown
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import BodyTooLarge, HostNotAllowed, MethodNotAllowed, NotFound
from freehold.domain.errors.server import Stopping
from freehold.domain.identity import Principal
from freehold.domain.ports import IdSource
from freehold.domain.priority import priority_of
from freehold.domain.request import InferenceRequest
from freehold.gateway.pipeline import Pipeline
from freehold.identity.access import Access, authorise
from freehold.serving.overload import Door
from freehold.telemetry.correlation import client_request_id, traceparent

_RESTART_S = 5
_HOSTS_KEPT = 64


class Hosts:
    """The names that this server answers to, against DNS rebinding.

    Args:
        names: In lower case, without port.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._good: set[str | None] = set()

    def check(self, host: str | None) -> None:
        """Let a ``Host`` header pass.

        Raises:
            HostNotAllowed: It names another server.
        """
        if host in self._good:
            return
        name = host or ""
        bare = name.rsplit(":", 1)[0] if not name.endswith("]") else name
        if bare.lower() not in self._names:
            raise HostNotAllowed(host=name)
        if len(self._good) < _HOSTS_KEPT:
            self._good.add(host)


class Running:
    """A call that is being answered: cancels its task when its client leaves or its key is revoked, and says so.

    Attributes:
        key_id: Whose; empty until that is known.
        left: The client has left.
        revoked: The key has been revoked.
    """

    __slots__ = ("_task", "key_id", "left", "revoked")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self.key_id = ""
        self.left = False
        self.revoked = False

    def __call__(self) -> None:
        """The client has left."""
        self.left = True
        self._task.cancel()

    def revoke(self) -> None:
        """Its key opens nothing any more."""
        self.revoked = True
        self._task.cancel()


class Inference:
    """Serves inference calls.

    Args:
        pipeline: Answers them.
        ids: Ids of requests, which are also their receipts'.
        hosts: Names of this server.
        routes: Surface by raw path.
        access: What a key must be allowed to do.
        body_limit_bytes: Longest body.
        door: Refuses what there is no room for.
        refused: Told the code of an error that ended a request before it could have a receipt.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        ids: IdSource,
        hosts: Hosts,
        routes: dict[bytes, Surface],
        access: Access,
        body_limit_bytes: int,
        door: Door,
        refused: Callable[[str], None],
    ) -> None:
        self._pipeline = pipeline
        self._ids = ids
        self._hosts = hosts
        self._routes = routes
        self._access = access
        self._body_limit_bytes = body_limit_bytes
        self._door = door
        self._refused = refused
        self._running: set[Running] = set()

    def end_revoked(self, good: Collection[str]) -> None:
        """End what runs for keys that are not among the good ones: a stream breaks off, an answer is refused.

        Args:
            good: Ids of all keys that open something.
        """
        for running in self._running:
            # Once: a second cancellation would disturb what the first one puts in order.
            if running.key_id and running.key_id not in good and not running.revoked:
                running.revoke()

    @contextlib.contextmanager
    def ending(self, key_id: str) -> Generator[None]:
        """Have what runs inside, for a view, end where this key opens nothing any more.

        Raises:
            KeyUnknown: It did.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("needs a task")
        running = Running(task)
        running.key_id = key_id
        self._running.add(running)
        try:
            yield
        except asyncio.CancelledError:
            if not running.revoked or task.uncancel():
                raise
            raise KeyUnknown from None
        finally:
            self._running.discard(running)

    async def infer(self, exchange: Exchange) -> None:
        """Answer one call, whatever happens. The receipt's id is the request's, and is in every answer's headers."""
        request_id = self._ids.new_id()
        surface = self._routes.get(exchange.raw_path, CHAT)
        sink: StreamSink | None = None
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("needs a task")
        running = Running(task)
        self._running.add(running)
        has_receipt = False
        try:
            self._check(exchange)
            principal = self._authorised(exchange)
            running.key_id = principal.key_id
            raw = await exchange.body(limit_bytes=self._body_limit_bytes)
            request = self._decoded(surface, raw, exchange, request_id)
            self._pass_door(request)
            exchange.on_gone(running)
            has_receipt = True
            if request.stream:
                sink = surface.stream(exchange, request)
                await self._pipeline.answer(request, principal, sink)
            else:
                await self._pipeline.answer(request, principal, surface.whole(exchange, request))
        except ClientLeft:
            return
        except asyncio.CancelledError:
            task.uncancel()
            if running.revoked:
                refuse(exchange, sink, KeyUnknown(), request_id, surface)
            elif not running.left:
                refuse(exchange, sink, Stopping(retry_after_s=_RESTART_S, retry_s=_RESTART_S), request_id, surface)
        except FreeholdError as error:
            if not has_receipt:
                self._refused(error.code)
            refuse(exchange, sink, error, request_id, surface)
        except Exception as error:  # noqa: BLE001 - the outermost boundary: a fault of ours becomes a 500 with an id
            refuse(exchange, sink, unexpected(error, error_id=request_id), request_id, surface)
        finally:
            self._running.discard(running)
            if sink is not None:
                sink.close()

    def _check(self, exchange: Exchange) -> None:
        self._hosts.check(exchange.header(b"host"))
        if self._door.level:
            self._door.check_arrival()
        if exchange.raw_path not in self._routes:
            raise NotFound(path=exchange.raw_path.decode("latin-1"))
        if exchange.method != "POST":
            raise MethodNotAllowed(path=exchange.raw_path.decode("latin-1"), method=exchange.method, allowed="POST")

    def _pass_door(self, request: InferenceRequest) -> None:
        if self._door.level:
            self._door.check(priority=request.priority, stream=request.stream)

    def _authorised(self, exchange: Exchange) -> Principal:
        principal = self._pipeline.authenticate(credential_of(exchange.header))
        authorise(principal, self._access)
        return principal

    def _decoded(self, surface: Surface, raw: bytes, exchange: Exchange, request_id: str) -> InferenceRequest:
        said = exchange.header
        request = surface.decode(
            raw,
            request_id=request_id,
            label_header=said(b"freehold-label"),
            include_receipt=said(b"freehold-include-receipt") == "true",
        )
        if surface.field:
            request = surface.with_field(request, said(surface.field))
        trace, name, urgency = said(b"traceparent"), said(b"x-request-id"), said(b"freehold-priority")
        tier, external = request.fields.get("service_tier"), said(b"freehold-untrusted")
        if trace is None and name is None and urgency is None and tier is None and external is None:
            return request
        return replace(
            request,
            traceparent=traceparent(trace),
            client_request_id=client_request_id(name),
            priority=priority_of(urgency, tier),
            is_external=external not in (None, "false"),
        )


def credential_of(header: Callable[[bytes], str | None]) -> str | None:
    """The credential of ``Authorization: Bearer``, or of ``x-api-key``, as clients of either kind send it.

    Raises:
        CredentialsDiffer: Both are there and do not say the same.
    """
    value, other = header(b"authorization"), header(b"x-api-key")
    if not value:
        return other
    scheme, _, credential = value.partition(" ")
    said = credential.strip() if scheme.lower() == "bearer" else None
    if other and other != said:
        raise CredentialsDiffer
    return said


def refuse(
    exchange: Exchange, sink: StreamSink | None, error: FreeholdError, request_id: str, surface: Surface
) -> None:
    """Tell the client of an error: with its status where nothing was sent yet, else by breaking the stream off."""
    if sink is not None and sink.started_sending:
        sink.break_off(error)
        return
    status, body, headers = refusal(error, request_id=request_id, surface=surface)
    if name := client_request_id(exchange.header(b"x-request-id")):
        headers.append((b"x-request-id", name.encode()))
    exchange.reply(status, headers, body, close=isinstance(error, (BodyTooLarge, Stopping, ShuttingDown)))


def refusal(error: FreeholdError, *, request_id: str, surface: Surface = CHAT) -> tuple[int, bytes, Headers]:
    """A refused call as HTTP, with its receipt's id."""
    status, body, headers = render(error, error_id=request_id, envelope=surface.envelope)
    headers.append((b"freehold-receipt", request_id.encode()))
    if surface.id_field:
        headers.append((surface.id_field, request_id.encode()))
    return status, body, headers
