"""The scripted upstream: an OpenAI-dialect server that echoes the tag of each request and fails as the seed says."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from typing import Any

import httptools

from tests.simulation import faults
from tests.simulation.house import SYSTEM_FINGERPRINT, SimHouse
from tests.simulation.world import Call, World, tag_in

_HTML = b"<html><body>Welcome to the login page</body></html>"
STEADY_S = 0.19
_CREATED = 1_700_000_000


class Upstream:
    """One deployment's server; ``listen`` is what the network asks."""

    def __init__(self, world: World, house: SimHouse, deployment: str) -> None:
        self.world = world
        self.house = house
        self.deployment = deployment
        self.loop: Any = house.loop
        self._dials = 0

    def listen(self) -> tuple[float, asyncio.Protocol | None]:
        self._dials += 1
        name = f"{self.deployment}#{self._dials}"
        chance = self.world.chance(f"dial {name}")
        how = faults.draw(chance, self.world.connect)
        self.world.note(name, f"connect: {how}")
        if how == "stall":
            return -1.0, None
        delay_s = chance.uniform(0.2, 1.5) if how == "slow" else chance.uniform(0.0, 0.01)
        return delay_s, None if how == "refuse" else Conversation(self, name)

    def call(self, body: bytes) -> tuple[Call, random.Random]:
        """A request is here whole: decide what becomes of it, and see whether it may be here at all."""
        tag = tag_in(body)
        seen = self.world.seen
        seen[f"{self.deployment} {tag}"] += 1
        chance = self.world.chance(f"call {self.deployment} {tag} {seen[f'{self.deployment} {tag}']}")
        call = Call(tag, self.deployment, faults.draw(chance, self.world.answer), body, self.loop.time())
        self.world.add_call(call)
        if self.deployment == "big":
            self._check_record(call)
        return call, chance

    def _check_record(self, call: Call) -> None:
        """No record, no egress: each body that is here has a durable intent of its own."""
        intents = self.house.audit.intents.get(self.house.audit.commit(call.body), [])
        durable = [kept for kept in intents if kept.durable_s is not None and kept.durable_s <= call.started_s]
        uses = [
            other for other in self.world.calls_of(call.tag) if other.deployment == "big" and other.body == call.body
        ]
        if len(durable) < len(uses):
            self.world.egress_faults.append(f"{call.tag} reached {self.deployment} without a durable record")


class Conversation(asyncio.Protocol):
    """One connection of an upstream."""

    def __init__(self, upstream: Upstream, name: str) -> None:
        self._upstream = upstream
        self._world = upstream.world
        self._loop = upstream.loop
        self.name = name
        self._pipe: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._call: Call | None = None
        self._is_poisoned = False
        """It has sent what nobody asked for; HTTP/1.1 cannot tell that from the next answer."""
        self._room = asyncio.Event()
        self._room.set()

    # --- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe = transport
        self._world.conversations.add(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._world.conversations.discard(self)
        call = self._call
        self._world.note(self.name, f"connection over{f' in {call.tag}' if call else ''}")
        if call is not None and call.ended_s is None:
            call.ended_s = self._loop.time()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # --- httptools -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._body = bytearray()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        call, chance = self._upstream.call(bytes(self._body))
        self._call = call
        self._world.note(self.name, f"request {call.tag}: {call.mode}")
        self._task = self._loop.create_task(self._answer(call, chance), name=f"sim {self.name}")

    # --- answers ---------------------------------------------------------------------------------

    async def _answer(self, call: Call, chance: random.Random) -> None:
        if call.mode != "steady":
            await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 0.05), chance.uniform(0.0, 1.0))))
        request = json.loads(call.body)
        script = Script(call, request, chance, self._upstream.deployment)
        await getattr(self, f"_{call.mode}")(script)
        call.ended_s = self._loop.time()
        self._call = None
        if self._is_poisoned and call.whole:
            call.whole, call.proven = False, True

    async def _good(self, script: Script) -> None:
        self._write(script.head())
        await self._play(script, script.pieces())
        self._end(script)

    async def _steady(self, script: Script) -> None:
        """Takes as long for every answer."""
        await asyncio.sleep(STEADY_S)
        body = b"".join(script.pieces())
        self._write(script.head(framing=b"content-length: %d\r\n" % len(body)) + body)
        script.call.whole = True

    async def _interim(self, script: Script) -> None:
        for _ in range(script.chance.randint(1, 3)):
            self._write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")
        await self._good(script)

    async def _flood(self, script: Script) -> None:
        script.pad(script.chance.randint(20, 200))
        await self._good(script)

    async def _good_by_close(self, script: Script) -> None:
        self._write(script.head(framing=b"connection: close\r\n"))
        await self._play(script, script.pieces(), chunked=False)
        script.call.whole = True
        self._pipe.close()

    async def _good_json(self, script: Script) -> None:
        """A whole JSON answer, whatever was asked for."""
        body = script.json_body()
        self._write(script.head(kind=b"application/json", framing=b"content-length: %d\r\n" % len(body)) + body)
        script.call.whole = True

    async def _good_then_close(self, script: Script) -> None:
        """Closes a kept connection some time later, perhaps while the next request is on its way."""
        await self._good(script)
        self._loop.call_later(script.chance.choice((0.0, 0.001, 0.05, 1.0, 3.9)), self._pipe.close)

    async def _second_message(self, script: Script) -> None:
        self._write(script.head())
        await self._play(script, script.pieces())
        second = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nfor somebody"
        self._is_poisoned = True
        script.call.proven = True  # refusing it is as right as giving it
        if script.chance.random() < 0.5:
            self._end(script, whole=False, more=second)
        else:
            self._end(script, whole=False)
            self._loop.call_later(script.chance.uniform(0.0, 0.1), self._say_unasked, second)

    def _say_unasked(self, data: bytes) -> None:
        if self._call is None:
            self._write(data)

    async def _silent_first(self, script: Script) -> None:
        await self._loop.create_future()

    async def _reset_before(self, script: Script) -> None:
        self._pipe.abort()

    async def _fin_before(self, script: Script) -> None:
        self._pipe.close()

    async def _status_500(self, script: Script) -> None:
        self._error(b"500 Internal Server Error", b'{"error":{"message":"it broke","type":"server_error"}}')

    async def _status_429(self, script: Script) -> None:
        after = script.chance.choice((b"1", b"7", b"3600", b"absurd"))
        body = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
        self._error(b"429 Too Many Requests", body, b"retry-after: %s\r\n" % after)

    async def _html_200(self, script: Script) -> None:
        self._write(script.head(kind=b"text/html", framing=b"content-length: %d\r\n" % len(_HTML)) + _HTML)

    async def _short_length(self, script: Script) -> None:
        """Announces more than it sends."""
        body = b"".join(script.pieces())
        self._write(script.head(framing=b"content-length: %d\r\n" % (len(body) + 100)))
        await self._play(script, [body], chunked=False)
        script.call.proven = body.rstrip().endswith(b"[DONE]")
        self._pipe.close()

    async def _long_length(self, script: Script) -> None:
        """Sends more than it announces."""
        body = b"".join(script.pieces())
        self._write(script.head(framing=b"content-length: %d\r\n" % (len(body) // 2)))
        await self._play(script, [body], chunked=False)

    async def _error_event(self, script: Script) -> None:
        self._write(script.head())
        pieces = script.pieces()
        broken = b'data: {"error":{"message":"the engine died","type":"server_error"}}\n\n'
        await self._play(script, [*pieces[: script.chance.randrange(len(pieces))], broken])
        self._end(script, whole=False)

    async def _fin_mid(self, script: Script) -> None:
        await self._part(script)
        self._pipe.close()

    async def _reset_mid(self, script: Script) -> None:
        await self._part(script)
        self._pipe.abort()

    async def _garbage_mid(self, script: Script) -> None:
        await self._part(script)
        self._write(script.chance.choice((b"zz\r\nxx", b"\x00\xff\xfe garbage \r\n\r\n", b"-5\r\nhello\r\n")))

    async def _silent_mid(self, script: Script) -> None:
        await self._part(script)
        await self._loop.create_future()

    async def _part(self, script: Script) -> None:
        self._write(script.head())
        pieces = script.pieces()
        await self._play(script, pieces[: script.chance.randrange(len(pieces))])

    async def _play(self, script: Script, pieces: list[bytes], *, chunked: bool = True) -> None:
        pause_s = script.chance.choice((0.0, 0.001, 0.02, 0.5))
        for piece in pieces:
            if pause_s:
                await asyncio.sleep(script.chance.uniform(0.0, 2 * pause_s))
            await self._room.wait()
            self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

    def _end(self, script: Script, *, whole: bool = True, more: bytes = b"") -> None:
        if not self._pipe.is_closing():
            script.call.whole = whole
        self._write(b"0\r\n\r\n" + more)

    def _error(self, status: bytes, body: bytes, fields: bytes = b"") -> None:
        length = b"content-length: %d\r\n" % len(body)
        self._write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\n%s%s\r\n%s" % (status, fields, length, body))

    def _write(self, data: bytes) -> None:
        self._pipe.write(data)


class Script:
    """What an upstream says to one request."""

    def __init__(self, call: Call, request: dict[str, Any], chance: random.Random, deployment: str) -> None:
        self.call = call
        self.chance = chance
        self._streams = bool(request.get("stream"))
        self._logprobs = bool(request.get("logprobs"))
        # Not drawn from the call's chance: what that says of everything else stays as it was.
        self._logprob = (-0.05, -0.35, -0.45, -2.0)[zlib.crc32(f"{call.tag} {deployment}".encode()) % 4]
        self._words = [f"{call.tag}:{place} " for place in range(chance.randint(1, 12))]
        self._model = f"sim-{deployment}"
        self._newline = chance.choice((b"\n", b"\n", b"\r\n"))
        call.input_tokens, call.output_tokens = chance.randint(1, 5_000), chance.randint(1, 5_000)

    def pad(self, words: int) -> None:
        """Say a lot."""
        self._words = [f"{self.call.tag}:{place} {'x' * 1_500} " for place in range(words)]

    def head(self, *, kind: bytes | None = None, framing: bytes = b"transfer-encoding: chunked\r\n") -> bytes:
        kind = kind or (b"text/event-stream" if self._streams else b"application/json")
        return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n" % (kind, framing)

    def pieces(self) -> list[bytes]:
        """The body, event by event."""
        self.call.text = "".join(self._words)
        if not self._streams:
            return [self.json_body()]
        events = [self._chunk({"content": word}, place) for place, word in enumerate(self._words)]
        events.append(self._chunk({}, len(events), finish="stop"))
        usage = {**self._base(len(events)), "choices": [], "usage": self._usage()}
        self.call.events = [*events, usage]
        pieces = [self._event(json.dumps(event).encode()) for event in self.call.events]
        if self.chance.random() < 0.2:
            pieces.insert(self.chance.randrange(len(pieces)), b": still here" + 2 * self._newline)
        pieces.append(self._event(b"[DONE]"))
        self.call.sent, self.call.usage_event = b"".join(pieces), pieces[-2]
        return pieces

    def json_body(self) -> bytes:
        self.call.text = "".join(self._words)
        message = {"role": "assistant", "content": self.call.text}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**self._base(0), "object": "chat.completion", "choices": [choice], "usage": self._usage()}
        self.call.sent = json.dumps(whole).encode()
        return self.call.sent

    def _event(self, data: bytes) -> bytes:
        return b"data: " + data + 2 * self._newline

    def _base(self, place: int) -> dict[str, Any]:
        return {
            "id": f"up-{self.call.tag}",
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": self._model,
            "system_fingerprint": SYSTEM_FINGERPRINT,
            "x_place": place,
        }

    def _chunk(self, delta: dict[str, Any], place: int, *, finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
        if self._logprobs and delta:
            token = {"token": delta["content"], "logprob": self._logprob}
            choice["logprobs"] = {"content": [{**token, "top_logprobs": [token, {"token": "…", "logprob": -3.0}]}]}
        return {**self._base(place), "choices": [choice]}

    def _usage(self) -> dict[str, int]:
        call = self.call
        return {
            "prompt_tokens": call.input_tokens,
            "completion_tokens": call.output_tokens,
            "total_tokens": call.input_tokens + call.output_tokens,
        }
