"""What must hold after every run, whatever went wrong in it. Each check yields what it finds; nothing is good news."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from freehold.api.http1_limits import ServerLimits
from freehold.audit.entry import DONE, INTENT
from freehold.domain.decisions import Outcome
from freehold.domain.errors.admission import Preempted
from freehold.domain.errors.server import Internal
from freehold.domain.receipt import Attempt, Receipt, Role
from tests.simulation import faults
from tests.simulation.house import SimHouse
from tests.simulation.world import TAG, Ask, Call, World, tag_in

AIR_S = 65.0
"""What a client may take to send its body and to read, besides the deadline of its request."""

LEFT_S = 1.0
"""How soon after a client has left its upstream connections are closed (bar: 50 ms, and what the network takes)."""

STALL_S = ServerLimits().stall_s
"""A client that leaves its answer unread for so long may be cut off."""

_ALIVE = re.compile(rb": (ping|queue position=\d+ expected_s=\d+)\n\n")
_DONE = b"data: [DONE]\n\n"
_MODEL = re.compile(rb'"model": ?"([a-z-]+)"')
_ANSWER_STATUS = {200, 400, 401, 429, 500, 502, 503, 504}


class Oracle:
    """Judges one finished run."""

    def __init__(self, world: World, house: SimHouse) -> None:
        self._world = world
        self._house = house
        self._by_id = {receipt.id: receipt for receipt in house.receipts.offered}
        self._id_of = {tag_in(request.messages[-1].text.encode()): request.id for request in house.requests}

    def findings(self) -> Iterator[str]:
        """Everything that does not hold."""
        for ask in self._world.asks:
            for finding in self._of_ask(ask):
                yield f"{finding}: {ask.tag} ({ask.kind}, {ask.route}, stream={ask.stream})"
        yield from self._receipts()
        yield from self._ends()
        yield from (f"I8 {fault}" for fault in self._world.egress_faults)
        yield from (f"I4 {fault}" for fault in self._house.loop.faults)

    # --- I1, I2, I7: what clients saw ------------------------------------------------------------

    def _of_ask(self, ask: Ask) -> Iterator[str]:
        foreign = {found.decode() for found in TAG.findall(bytes(ask.body) + ask.surplus)} - {ask.tag}
        if foreign:
            yield f"I7 an answer holds {sorted(foreign)}"
        if ask.surplus:
            yield f"I1 bytes came behind the answer {ask.surplus[:60]!r}"
        yield from self._departure(ask)
        if ask.left_s is not None or ask.sent_s is None:
            return
        if not ask.ended or ask.ended_s is None or ask.ended_s - ask.sent_s > self._house.total_s + AIR_S:
            yield "I1 no outcome before the deadline"
        elif ask.ended == "complete" and ask.status == 200:
            yield from self._whole(ask)
        elif ask.ended == "complete":
            yield from self._refusal(ask)
        else:
            yield from self._broken(ask)

    def _whole(self, ask: Ask) -> Iterator[str]:
        if ask.kind in faults.REFUSALS:
            yield "I1 answered although it was no good request"
            return
        receipt = self._by_id.get(self._id_of.get(ask.tag, ""))
        answered = receipt.answered_by if receipt is not None else None
        said = answered.deployment if answered is not None else ""
        where = ask.headers.get("freehold-deployment", said)  # it is not known yet when a head must go out early
        if where != said:
            yield f"I7 {where} answered, but the receipt says {said!r}"
        calls = [call for call in self._world.calls_of(ask.tag) if _may_pass(call) and where in ("", call.deployment)]
        read = _read_stream(bytes(ask.body)) if ask.stream else _read_whole(bytes(ask.body))
        if read is None:
            yield f"I2 cannot be read: {bytes(ask.body[-80:])!r}"
            return
        text, places, usage = read
        same = [call for call in calls if call.text == text]
        if not same:
            yield f"I2 not what the upstream sent: {text[:60]!r} from {where!r}"
            return
        # Two tries may have had the same text, and the answer is one of them, all of it.
        yield from min((list(_differences(ask, call, places, usage)) for call in same), key=len)

    def _refusal(self, ask: Ask) -> Iterator[str]:
        try:
            error: Any = json.loads(bytes(ask.body))["error"] if ask.kind != "wrong_method" or ask.body else {}
        except (ValueError, KeyError, TypeError):
            yield f"I1 a refusal that is no error object: {ask.status} {bytes(ask.body[:60])!r}"
            return
        allowed = faults.REFUSALS.get(ask.kind, _ANSWER_STATUS - {200, 400})
        if ask.route == "away" and (ask.restricted or "disk_full" in self._world.disturbed):
            allowed = allowed | {403}
        if self._was_not_seen(ask):
            allowed = allowed | {403}
        if "memory" in self._world.disturbed:
            allowed = allowed | {503}
        if "revoke" in self._world.disturbed:
            allowed = allowed | {401}
        if ask.status not in allowed and not (self._drained(ask) and ask.status == 503):
            yield f"I1 status {ask.status}"
        if error.get("freehold_code") == Internal.code:
            yield "I4 an error that nobody foresaw"
        if ask.kind == "good" and self._must_succeed(ask):
            yield f"I1 refused with {ask.status} {error.get('code')} although all went well"

    def _must_succeed(self, ask: Ask) -> bool:
        """Whether nothing went wrong that could excuse a failure."""
        calls = self._world.calls_of(ask.tag)
        if (ask.batch and self._gave_way(ask)) or self._was_not_seen(ask):
            return False
        went_well = bool(calls) and all(call.whole for call in calls) and not self._world.disturbed
        return went_well and not self._is_out_of_time(ask) and ask.unread_s < STALL_S

    def _was_not_seen(self, ask: Ask) -> bool:
        """Whether detectors could not look through its text."""
        receipt = self._by_id.get(self._id_of.get(ask.tag, ""))
        return receipt is not None and any("not looked through" in each for each in receipt.detours)

    def _gave_way(self, ask: Ask) -> bool:
        """Whether a more urgent request needed its slot."""
        receipt = self._by_id.get(self._id_of.get(ask.tag, ""))
        return receipt is not None and receipt.error_code == Preempted.code

    def _is_out_of_time(self, ask: Ask) -> bool:
        """Whether its deadline had passed when it ended: counted from its last byte, the earliest it can begin."""
        return ask.ended_s is not None and ask.sent_s is not None and ask.ended_s - ask.sent_s >= self._house.total_s

    def _broken(self, ask: Ask) -> Iterator[str]:
        if ask.kind in ("half_head", "half_body", "too_large") and not ask.status:
            if ask.kind == "too_large":
                yield f"I1 refused without a readable answer ({ask.ended})"
            return
        if not ask.status:
            if not self._drained(ask):
                yield f"I1 closed without an answer ({ask.ended})"
            return
        if not ask.stream:
            if ask.unread_s < STALL_S:
                yield f"I1 an answer ended before its end ({ask.ended})"
            return
        body = bytes(ask.body)
        if body.endswith(_DONE):
            yield "I2 [DONE] although the stream is not whole"
        elif ask.unread_s < STALL_S and not _last_is_error(body):
            yield f"I1 a stream broke without an error event: {body[-80:]!r}"
        elif self._must_succeed(ask):
            yield "I1 broken although all went well"

    def _drained(self, ask: Ask) -> bool:
        drain_s = self._world.drain_s
        return drain_s is not None and ask.ended_s is not None and ask.ended_s >= drain_s

    # --- I3: nobody works for a client that is gone ----------------------------------------------

    def _departure(self, ask: Ask) -> Iterator[str]:
        over_s = ask.gone_s if ask.left_s is not None else ask.ended_s
        if over_s is None:
            return
        for call in self._world.calls_of(ask.tag):
            if call.started_s > over_s + LEFT_S:
                yield f"I3 {call.deployment} was called {call.started_s - over_s:.2f} s after its client's end"
            elif call.ended_s is None or call.ended_s > over_s + LEFT_S:
                yield f"I3 {call.deployment} worked on after its client's end ({call.mode})"

    # --- I5: receipts and ledger -----------------------------------------------------------------

    def _receipts(self) -> Iterator[str]:
        kept = Counter(receipt.id for receipt in self._house.receipts.offered)
        asked = Counter(request.id for request in self._house.requests)
        for request_id, count in (asked | kept).items():
            if kept[request_id] != 1 or asked[request_id] != 1:
                yield f"I5 {kept[request_id]} receipts for {asked[request_id]} requests {request_id} ({count})"
        records = Counter(each.record.request_id for each in self._house.audit.kept if each.record.event == "request")
        if "disk_full" not in self._world.disturbed and records != kept:
            yield "I5 the audit log does not hold exactly one record a request"
        for ask in self._world.asks:
            receipt = self._by_id.get(self._id_of.get(ask.tag, ""))
            if receipt is not None:
                yield from (f"{finding}: {ask.tag}" for finding in self._of_receipt(ask, receipt))

    def _of_receipt(self, ask: Ask, receipt: Receipt) -> Iterator[str]:
        if receipt.tenant != ask.tenant:
            yield f"I7 the receipt is {receipt.tenant}'s, not {ask.tenant}'s"
        if ask.ended == "complete" and ask.headers.get("freehold-receipt") != receipt.id:
            yield "I7 the answer names another receipt"
        if ask.ended == "complete" and ask.left_s is None:
            good = ask.status == 200
            if good != (receipt.outcome is Outcome.COMPLETE):
                yield f"I5 status {ask.status}, outcome {receipt.outcome}"
        elif (
            ask.ended in ("eof", "reset")
            and ask.stream
            and receipt.outcome is Outcome.COMPLETE
            and ask.unread_s < STALL_S
        ):
            yield "I5 booked as complete, but the client saw it break"
        entries = [entry for entry in self._house.receipts.entries if entry.request_id == receipt.id]
        places = [entry.attempt_index for entry in entries]
        if places != list(range(len(receipt.attempts))) and not self._world.disturbed & {
            "receipts_full",
            "receipts_locked",
        }:
            yield "I5 the ledger does not hold one entry an attempt"
        yield from self._usage(ask, receipt)
        yield from self._egress(ask, receipt)
        yield from self._doubt(ask, receipt)

    def _egress(self, ask: Ask, receipt: Receipt) -> Iterator[str]:
        kept = self._house.audit.kept
        for attempt in receipt.attempts:
            index = attempt.egress_index
            if attempt.deployment == "big" and attempt.bytes_left and index is None:
                yield "I8 bytes left without an index into the audit log"
            if index is not None and (kept[index].record.event, kept[index].record.request_id) != (INTENT, receipt.id):
                yield "I8 the receipt's index is not its intent's"
        if ask.restricted and any(call.deployment == "big" for call in self._world.calls_of(ask.tag)):
            yield "I8 a restricted text left the device"

    def _doubt(self, ask: Ask, receipt: Receipt) -> Iterator[str]:
        """Nothing of what was not good enough by its first tokens was sent, and only answers are given."""
        answered = receipt.answered_by
        if answered is not None and (answered.role is not Role.ANSWER or _is_turned_away(answered)):
            yield f"I9 the answer is of an attempt that was none ({answered.role}, {answered.outcome})"
        if ask.route != "doubt" and any(each.role is not Role.ANSWER for each in receipt.attempts):
            yield "I9 signals were bought on a route that buys none"
        said = _deployments_of(bytes(ask.body)) if ask.stream else set()
        sent = {each.deployment for each in receipt.attempts if each.role is Role.ANSWER and not _is_turned_away(each)}
        if len(said) > 1 or said - sent:
            yield f"I9 a stream of {sorted(said)}, where only {sorted(sent)} may be sent"

    def _ends(self) -> Iterator[str]:
        """Each intent has its end, unless the disk was full in between."""
        records = [each.record for each in self._house.audit.kept]
        intents = {index for index, record in enumerate(records) if record.event == INTENT}
        ends = Counter(record.detail["intent"] for record in records if record.event == DONE)
        if "disk_full" not in self._world.disturbed and ends != Counter(intents):
            yield f"I8 {len(intents)} intents, {ends.total()} ends"

    def _usage(self, ask: Ask, receipt: Receipt) -> Iterator[str]:
        calls = self._world.calls_of(ask.tag)
        for name in ("home", "big"):
            attempts = [attempt for attempt in receipt.attempts if attempt.deployment == name]
            there = [call for call in calls if call.deployment == name]
            if len(there) > len(attempts):
                yield f"I5 {len(there)} calls of {name}, {len(attempts)} attempts on the receipt"
            done = [attempt for attempt in attempts if attempt.outcome is Outcome.COMPLETE]
            whole = [call for call in there if _may_pass(call)]
            if len(done) > len(whole):
                yield f"I5 {len(done)} complete attempts of {name}, {len(whole)} whole answers"
            booked = Counter((each.usage.input_tokens, each.usage.output_tokens) for each in done)
            reported = Counter((call.input_tokens, call.output_tokens) for call in whole)
            if booked - reported:
                yield f"I5 booked {dict(booked)} at {name}, the upstream reported {dict(reported)}"

    # --- I6: nothing is left ---------------------------------------------------------------------

    def at_rest(self) -> Iterator[str]:
        """Looked at while the gateway runs and nobody asks anything."""
        house = self._house.house
        for name, state in house._admission.states().items():
            if state.running or state.waiting:
                yield f"I6 {state.running} slots of {name} are still taken, {state.waiting} wait"
        if house._pipeline.active():
            yield f"I6 {house._pipeline.active()} requests are still being answered"
        for client in self._house.clients:
            if client.open_connections != client.idle_connections:
                yield f"I6 {client.name}: {client.open_connections} connections, {client.idle_connections} idle"
        known = sum(client.open_connections for client in self._house.clients)
        if known != len(self._world.conversations):
            yield f"I6 upstreams have {len(self._world.conversations)} connections, the gateway knows {known}"
        if connections := len(self._house.server.server_state.connections):
            yield f"I6 {connections} client connections are still open"

    def at_end(self) -> Iterator[str]:
        """Looked at after the gateway has stopped."""
        loop = self._house.loop
        tasks = [task for task in asyncio.all_tasks(loop) if not task.get_name().startswith("sim")]
        if tasks:
            yield f"I6 tasks are left: {sorted(str(task.get_coro()) for task in tasks)}"
        if self._world.conversations:
            yield f"I6 upstreams still have {len(self._world.conversations)} connections"
        timers = [timer for timer in loop.timers() if "tests.simulation" not in _module(timer)]
        if timers:
            yield f"I6 timers are left: {sorted(repr(timer) for timer in timers)}"


def _differences(ask: Ask, call: Call, places: list[int], usage: dict[str, Any] | None) -> Iterator[str]:
    """What in an answer of the same text is not as the upstream sent it."""
    if ask.stream and call.events:
        # Usage that the client did not ask for may be kept from it, with its event or without.
        ends = {len(call.events), len(call.events) - (0 if ask.usage_wanted else 1)}
        if places != list(range(len(places))) or len(places) not in ends:
            yield f"I2 events {places} of {len(call.events)}"
    if b'"sim-' in ask.body and call.events and not _is_verbatim(ask, call):
        yield f"I2 passed through, but not byte for byte: {bytes(ask.body)!r} of {call.sent!r}"
    wanted = ask.usage_wanted or not ask.stream
    if wanted and (usage or {}).get("completion_tokens") != call.output_tokens:
        yield f"I2 usage {usage}"


def _is_verbatim(ask: Ask, call: Call) -> bool:
    """Whether the client got the upstream's own bytes, but for the usage it did not ask for and our signs of life."""
    body = bytes(ask.body)
    while sign := _ALIVE.match(body):
        body = body[sign.end() :]
    return body == (call.sent if ask.usage_wanted else call.sent.replace(call.usage_event, b""))


def _may_pass(call: Call) -> bool:
    """Whether its answer may be given as a whole one."""
    return call.whole or call.proven


def _module(timer: asyncio.TimerHandle) -> str:
    callback: Any = timer._callback  # type: ignore[attr-defined]
    return str(getattr(callback, "__module__", ""))


Read = tuple[str, list[int], dict[str, Any] | None]


def _read_whole(body: bytes) -> Read | None:
    try:
        payload = json.loads(body)
        return payload["choices"][0]["message"]["content"], [], payload.get("usage")
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _read_stream(body: bytes) -> Read | None:
    """Text, places of the events and usage of a stream that ended well."""
    events = _events(body)
    if not events or events[-1] != b"[DONE]":
        return None
    text, usage, places = "", None, []
    try:
        for event in events[:-1]:
            payload = json.loads(event)
            places.append(payload.get("x_place", -1))
            usage = payload.get("usage") or usage
            for choice in payload["choices"]:
                text += choice["delta"].get("content") or ""
    except (ValueError, KeyError, TypeError):
        return None
    return text, places, usage


def _events(body: bytes) -> list[bytes]:
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return [line[6:] for line in lines if line.startswith(b"data: ")]


def _is_turned_away(attempt: Attempt) -> bool:
    """Whether it was left after its first tokens."""
    return attempt.prefix is not None and attempt.outcome is Outcome.CANCELLED and attempt.verdict is not None


def _deployments_of(body: bytes) -> set[str]:
    """Which deployments' events a stream holds, whole or not; upstreams call themselves ``sim-…``."""
    return {found.decode().removeprefix("sim-") for found in _MODEL.findall(body)}


def _last_is_error(body: bytes) -> bool:
    events = _events(body)
    try:
        return "error" in json.loads(events[-1]) if events else False
    except ValueError:
        return False
