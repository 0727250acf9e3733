"""Clients: each asks a few times over a connection that it keeps, waits for its answer, or leaves in the middle."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from typing import Any

import httptools

from tests.simulation import faults
from tests.simulation.house import DOUBTING, HOST, ROUTES, TENANTS, SimHouse
from tests.simulation.stores import secret_of
from tests.simulation.world import Ask, World

GIVE_UP_S = 150.0
"""When a client that stays counts as never answered: more than all deadlines of the gateway together."""


class Line(asyncio.Protocol):
    """A client's connection; one request at a time."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.pipe: Any = None
        self.ask: Ask | None = None
        self.news: asyncio.Future[None] | None = None
        self.is_over = False
        self.keeps = True
        self._parser: Any = None

    def expect(self, ask: Ask) -> asyncio.Future[None]:
        """The next answer is to this; the future is done once it has ended, whichever way."""
        self.ask = ask
        self._parser = httptools.HttpResponseParser(self)
        self.news = self._loop.create_future()
        if self.is_over:
            self._finish("eof")
        return self.news

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.pipe = transport

    def data_received(self, data: bytes) -> None:
        if self.ask is None or self.ask.ended:
            if self.ask is not None:
                self.ask.surplus += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.ask.surplus += repr(error).encode() + data
            self._finish("garbage")

    def eof_received(self) -> bool | None:
        self.is_over = True
        self._finish("eof")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._finish("eof" if exc is None else "reset")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.ask is not None:
            self.ask.headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.ask is not None:
            self.ask.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.ask is not None and not self.ask.ended:
            self.ask.body += body

    def on_message_complete(self) -> None:
        if self.ask is not None and self.ask.status >= 200:
            self.keeps = self._parser.should_keep_alive()
            self._finish("complete")

    def _finish(self, how: str) -> None:
        ask = self.ask
        if ask is not None and not ask.ended and ask.left_s is None:
            ask.ended, ask.ended_s = how, self._loop.time()
        if self.news is not None and not self.news.done():
            self.news.set_result(None)


class Client:
    """One client of the run."""

    def __init__(self, world: World, house: SimHouse, number: int) -> None:
        self._world = world
        self._house = house
        self._loop: Any = house.loop
        self._number = number
        self._chance = world.chance(f"client {number}")
        self._line: Line | None = None

    async def run(self) -> None:
        chance = self._chance
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        for turn in range(chance.randint(1, 3)):
            ask = self._ask(turn)
            line = await self._connected()
            if line is None:
                return
            await self._serve(ask, line)
            if ask.left_s is not None or not ask.ended:
                return
            await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 0.2), chance.uniform(0.0, 5.0))))
        if self._line is not None:
            self._line.pipe.close()

    async def once(self, ask: Ask) -> None:
        """Ask one thing over a connection of its own."""
        line = await self._connected()
        if line is not None:
            await self._serve(ask, line)
            line.pipe.close()

    def _ask(self, turn: int) -> Ask:
        chance = self._chance
        ask = Ask(
            tag=f"tag-{self._number}-{turn}",
            tenant=chance.choice(TENANTS),
            kind=faults.draw(chance, faults.ASK),
            route=chance.choice(ROUTES),
            stream=chance.random() < 0.6,
            restricted=chance.random() < 0.1,
            usage_wanted=chance.random() < 0.5,
        )
        # Not drawn from the client's chance: what that says of everything else stays as it was.
        lot = zlib.crc32(f"{ask.tag} {ask.tenant} {ask.route} {ask.stream}".encode())
        ask.batch = lot % 4 == 0
        if ask.route in ("ladder", "commit", "spill") and lot // 4 % 8 < 4:
            ask.route = DOUBTING[lot // 4 % 2]
        if chance.random() < 0.25:
            ask.patience_s = chance.choice(
                (0.0, chance.uniform(0, 0.05), chance.uniform(0, 1.0), chance.uniform(0, 8.0))
            )
            ask.leaves_by = chance.choice(("fin", "rst"))
        elif chance.random() < 0.06:
            ask.reads_late = True
        return ask

    async def _connected(self) -> Line | None:
        if self._line is not None and not self._line.is_over and self._line.keeps:
            return self._line
        if self._line is not None:
            self._line.pipe.close()
        line = Line(self._loop)
        pipe = self._house.connect(line, f"client{self._number}")
        if pipe is None:
            self._world.note(f"client{self._number}", "nobody listens")
            return None
        line.connection_made(pipe)
        pipe.begin()
        self._line = line
        return line

    async def _serve(self, ask: Ask, line: Line) -> None:
        """Send the request, then wait for its end or leave."""
        self._world.asks.append(ask)
        self._world.note(f"client{self._number}", f"asks {ask.tag}: {ask.kind} {ask.route} stream={ask.stream}")
        ended = line.expect(ask)
        await self._send(ask, line, request_bytes(ask, self._chance))
        unread_s = self._chance.uniform(0.5, 50.0) if ask.reads_late else 0.0
        if unread_s and not ask.ended:  # what is read already cannot be left unread, and the next answer is read
            ask.unread_s = unread_s
            line.pipe.pause_reading()
            self._loop.call_later(unread_s, line.pipe.resume_reading)
        patience_s = GIVE_UP_S if ask.patience_s is None else ask.patience_s
        await asyncio.wait({ended}, timeout=patience_s)
        if not ended.done() and ask.patience_s is not None:
            self._leave(ask, line)
        what = ask.ended or ("left" if ask.left_s is not None else "got nothing")
        self._world.note(f"client{self._number}", f"{ask.tag}: {what} {ask.status or ''}")

    async def _send(self, ask: Ask, line: Line, data: bytes) -> None:
        chance = self._chance
        if chance.random() < 0.8:
            line.pipe.write(data)
            ask.sent_s = self._loop.time()
            return
        for start in range(0, len(data), step := chance.randint(50, 2_000)):
            line.pipe.write(data[start : start + step])
            ask.sent_s = self._loop.time()
            await asyncio.sleep(chance.uniform(0.0, 0.1))

    def _leave(self, ask: Ask, line: Line) -> None:
        ask.left_s = self._loop.time()
        if ask.leaves_by == "fin":
            line.pipe.close()
        else:
            line.pipe.abort()


def request_bytes(ask: Ask, chance: random.Random) -> bytes:
    """The request of ``ask`` as it is sent: all of it, unless it is to stay half."""
    content = f"{ask.tag} of {ask.tenant} {ask.said}{'y' * chance.choice((0, 10, 3_000))}"
    fields: dict[str, Any] = {
        "model": "no-such-model" if ask.kind == "unknown_model" else ask.route,
        "messages": [{"role": "user", "content": content}],
        "stream": ask.stream,
        "x_unknown": {"kept": 123456789012345678901234567890},
    }
    if ask.stream and ask.usage_wanted:
        fields["stream_options"] = {"include_usage": True}
    body = json.dumps(fields).encode()
    if ask.kind == "bad_json":
        body = chance.choice((body[:-1], b"[]", b'{"model": NaN}', b"\xff", body.replace(b'"user"', b"7")))
    if ask.kind == "too_large":
        body = body.replace(b"yyy", b"z" * 100) + b" " * 200_000
    secret = secret_of("nobody" if ask.kind == "wrong_key" else ask.tenant)
    lines = [
        b"%s /v1/chat/completions HTTP/1.1" % (b"GET" if ask.kind == "wrong_method" else b"POST"),
        b"host: " + (b"elsewhere" if ask.kind == "wrong_host" else HOST),
        b"content-type: application/json",
    ]
    sent = body
    if ask.kind != "too_large" and chance.random() < 0.1:
        lines.append(b"transfer-encoding: chunked")
        cut = chance.randrange(1, max(2, len(body)))
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part) + b"0\r\n\r\n"
    else:
        lines.append(b"content-length: %d" % len(body))
    if chance.random() < 0.03:
        lines.append(b"expect: 100-continue")
    if ask.kind != "no_key":
        lines.append(b"authorization: Bearer " + secret.encode())
    if ask.batch:
        lines.append(b"freehold-priority: batch")
    if ask.restricted:
        lines.append(b"freehold-label: restricted;zones=device")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if ask.kind == "half_head":
        return head[: chance.randrange(1, len(head) - 1)]
    if ask.kind == "half_body":
        return head + sent[: chance.randrange(0, len(sent) - 1)]
    return head + sent
