"""What goes by way of a broker's process, and what it refuses: rows of docs/decisions/0036."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.audit.wal import Segment
from freehold.domain.errors.audit import AuditUnwritable, EgressBrokerAway
from freehold.domain.errors.policy import EgressDenied
from freehold.net.brokered.frames import PROTOCOL, Hello, Kind, Permit, frame, said
from freehold.net.brokered.serve import LineLimits
from freehold.net.origin import Origin
from tests.support.brokered_inside import BODY, PATH, SECRET, USERS, Ends, echo, inside, untouched
from tests.support.egress import soon
from tests.support.scripted import CHUNKED, LAST_CHUNK, LOOPS, Peer, Server, chunk, until

# --- what goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_a_call_goes_by_way_of_the_broker_which_adds_the_credential(tmp_path: Path, loop: str) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        for number in range(3):
            reply = await made.ask(client)
            assert (reply.status, reply.headers["server"]) == (200, "scripted")
            assert await reply.read(limit_bytes=1000) == BODY, number
        assert len(server.peers) == 1, "the broker keeps its connections as the server would"
        assert len(made.counter.lines) <= 2, "so does the server: one line for calls, one to look"
        head = server.heads[0].decode()
        assert head.startswith(f"POST {PATH} HTTP/1.1\r\n")
        assert f"authorization: Bearer {SECRET}\r\n" in head
        assert "content-type: application/json\r\n" in head

    inside(tmp_path, scenario, loop=loop)


def test_both_logs_say_the_same_of_it(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        reply = await made.ask(made.client(server.base_url))
        await reply.read(limit_bytes=1000)
        await until(lambda: made.log.size == 2)
        same = ("request", "deployment", "origin", "zone", "label", "body_bytes", "body_commit")
        ours, theirs = made.ours(), made.theirs()
        assert (
            [each["event"] for each in ours] == [each["event"] for each in theirs] == ["egress.intent", "egress.done"]
        )
        assert [ours[0][key] for key in same] == [theirs[0][key] for key in same]
        assert (theirs[1]["outcome"], theirs[1]["bytes"]) == ("complete", len(BODY))

    inside(tmp_path, scenario)


def test_the_record_is_on_the_medium_before_anything_connects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    sync = Segment.sync

    def noted(segment: Segment, *args: int) -> None:
        sync(segment, *args)
        seen.append("synced")

    async def script(server: Server, peer: Peer) -> None:
        seen.append("connected")
        await echo(server, peer)

    async def scenario(made: Ends, server: Server) -> None:
        del seen[:]
        client = made.client(server.base_url)
        permit = await made.permit(client.origin)
        assert seen.count("synced") >= 2, "both logs"
        assert "connected" not in seen
        reply = await client.request(method="POST", path=PATH, body=BODY, permit=permit, deadline_s=soon())
        assert await reply.read(limit_bytes=1000) == BODY

    monkeypatch.setattr(Segment, "sync", noted)
    inside(tmp_path, scenario, script)


@pytest.mark.parametrize("loop", LOOPS)
def test_pieces_come_as_they_are_sent_and_a_slow_reader_stops_the_upstream(tmp_path: Path, loop: str) -> None:
    """Of 32 MiB nobody holds more than the buffers on the way while nobody reads; then all of it arrives, in order."""
    pieces, size = 512, 64 * 1024
    sent: list[int] = []

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"first"))
        await first.wait()
        for number in range(pieces):
            await peer.send(chunk(bytes([number % 256]) * size))
            sent.append(number)
        await peer.send(LAST_CHUNK)
        await peer.gone()

    async def scenario(made: Ends, server: Server) -> None:
        reply = await made.ask(made.client(server.base_url))
        assert await reply.next_piece() == b"first", "before the rest was sent"
        first.set()
        await until(lambda: bool(sent))
        before = -1
        while before != len(sent):
            before = len(sent)
            await asyncio.sleep(0.2)
        assert len(sent) < pieces / 2, "the upstream was held back"
        whole = await reply.read(limit_bytes=pieces * size)
        assert whole == b"".join(bytes([number % 256]) * size for number in range(pieces))

    first = asyncio.Event()
    inside(tmp_path, scenario, script, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_long_bodies_and_many_at_once(tmp_path: Path, loop: str) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)

        async def one(number: int) -> None:
            body = str(number).encode() * 100_000
            reply = await made.ask(client, body, request_id=f"r-{number}")
            assert await reply.read(limit_bytes=10_000_000) == body

        await asyncio.gather(*(one(number) for number in range(40)))
        assert made.counter.held_bytes == 0
        sent = made.desk.state().destinations[0]
        assert (sent.calls, sent.outcomes) == (40, {"complete": 40})

    inside(tmp_path, scenario, loop=loop)


# --- what does not go ---------------------------------------------------------------------------------


def test_a_forged_permit_or_another_ones_sends_nothing(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        other = await made.visitor()
        other.intent(Origin.parse(server.base_url).text)
        others = await other.permit()
        for change in ("seal", "id", "index", "other", "empty"):
            visitor = await made.visitor()
            visitor.intent(Origin.parse(server.base_url).text)
            permit = await visitor.permit()
            shown = {
                "seal": Permit(id=permit.id, index=permit.index, seal="00" * 32),
                "id": Permit(id="id-99", index=permit.index, seal=permit.seal),
                "index": Permit(id=permit.id, index=99, seal=permit.seal),
                "other": Permit(id=permit.id, index=permit.index, seal=others.seal),
                "empty": Permit(id=permit.id, index=permit.index, seal="no hex"),
            }[change]
            visitor.send(shown)
            refused = await visitor.fault()
            assert isinstance(refused, EgressDenied), change
            assert "seal is wrong" in refused.message
        untouched(server)
        await other.close()
        await until(lambda: made.log.size == 12)
        ends_of = [each["outcome"] for each in made.theirs() if each["event"] == "egress.done"]
        assert sorted(ends_of) == ["failed"] * 5 + ["not_sent"]

    inside(tmp_path, scenario)


def test_a_permit_is_good_once_and_only_after_its_intent(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        hello = said(Kind.HELLO, Hello(protocol=PROTOCOL))
        early = await made.visitor()
        early.say(hello)
        early.send(Permit(id="id-1", index=0, seal="00"))
        assert "where none is expected" in (await early.fault()).message
        untouched(server)
        twice = await made.visitor()
        twice.intent(Origin.parse(server.base_url).text)
        permit = await twice.permit()
        twice.send(permit)
        twice.send(permit)
        assert "where none is expected" in (await twice.fault()).message
        await until(lambda: made.counter.running == 0)
        assert len(server.heads) <= 1

    inside(tmp_path, scenario)


def test_an_edited_body_is_refused(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        for edited in (BODY.replace(b"10", b"90"), BODY[::-1]):
            visitor = await made.visitor()
            visitor.intent(Origin.parse(server.base_url).text, body=edited, body_sha256="")
            assert "not the one of its intent" in (await visitor.fault()).message
        untouched(server)
        client = made.client(server.base_url)
        permit = await made.permit(client.origin)
        with pytest.raises(EgressDenied, match="another body"):
            await client.request(method="POST", path=PATH, body=BODY + b" ", permit=permit, deadline_s=soon())
        untouched(server)
        await until(lambda: made.theirs()[-1].get("outcome") == "not_sent")

    inside(tmp_path, scenario)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"origin": "http://127.0.0.1:1"}, "another address for office"),
        ({"deployment": "nobody"}, "knows nothing called nobody"),
        ({"zone": "world"}, "has office in zone 'lan'"),
        ({"label": "confidential"}, r"\(level\)"),
        ({"label": "internal;kinds=secret"}, r"secrets"),
        ({"label": "internal;zones=device"}, r"\(zone\)"),
        ({"label": "harmless"}, "cannot read the label"),
        ({"label": "public;zones=moon"}, "cannot read the label"),
        ({"label": ""}, "cannot read the label"),
    ],
)
def test_the_server_cannot_talk_the_broker_into_a_way_that_is_closed(
    tmp_path: Path, more: dict[str, str], why: str
) -> None:
    """Other places, other zones, and labels that the broker's own rules hold back: refused, and on record."""

    async def scenario(made: Ends, server: Server) -> None:
        visitor = await made.visitor()
        visitor.intent(**({"origin": Origin.parse(server.base_url).text} | more))
        refused = await visitor.fault()
        assert isinstance(refused, EgressDenied)
        with pytest.raises(EgressDenied, match=why):
            raise refused
        untouched(server)
        assert made.desk.state().refused == {"FH-POLICY-003": 1}
        (record,) = made.theirs()
        assert record["event"] == "egress.refused"
        assert record["reason"] == refused.values["reason"]

    inside(tmp_path, scenario)


def test_nothing_is_asked_that_no_engine_asks(tmp_path: Path) -> None:
    """The credential is the broker's: a server gone bad cannot use it for files, for other models, or under another name."""

    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        for method, path in (
            ("POST", "/v1/files"),
            ("GET", PATH),
            ("POST", f"{PATH}/../files"),
            ("POST", f"{PATH}?x=1"),
        ):
            with pytest.raises(EgressDenied, match="is nothing that office is asked"):
                await made.ask(client, method=method, path=path)
        for headers in (
            (("authorization", "Bearer mine"),),
            (("host", "elsewhere"),),
            (("transfer-encoding", "chunked"),),
            (("x-note", "a text that no record tells of"),),
            (("accept", "x" * 2_000),),
            (("accept", "a\r\nb: c"),),
        ):
            with pytest.raises(EgressDenied):
                await made.ask(client, headers=headers)
        untouched(server)

    inside(tmp_path, scenario)


def test_a_log_that_cannot_be_written_lets_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        sync = Segment.sync

        def fails(segment: Segment, *args: int) -> None:
            if "theirs" in str(segment.path):
                raise OSError(28, "No space left on device")
            sync(segment, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Segment, "sync", fails)
            with pytest.raises(AuditUnwritable, match="that of the egress broker"):
                await made.ask(client)
            await made.way.look()
            assert not made.way.healthy
            assert "cannot be written" in made.way.told()
        untouched(server)
        assert [each["outcome"] for each in made.ours() if each["event"] == "egress.done"] == ["not_sent"]
        await until(lambda: made.log.healthy, within_s=5)
        await (await made.ask(client)).read(limit_bytes=1000)

    inside(tmp_path, scenario)


def test_a_server_log_that_cannot_be_written_lets_nothing_out_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        sync = Segment.sync

        def fails(segment: Segment, *args: int) -> None:
            if "ours" in str(segment.path):
                raise OSError(28, "No space left on device")
            sync(segment, *args)

        monkeypatch.setattr(Segment, "sync", fails)
        with pytest.raises(AuditUnwritable):
            await made.ask(client)
        untouched(server)
        monkeypatch.undo()
        await until(lambda: made.own.healthy and made.counter.running == 0, within_s=5)
        assert {each["outcome"] for each in made.theirs() if each["event"] == "egress.done"} <= {"not_sent"}

    inside(tmp_path, scenario)


def test_strangers_are_not_let_in(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        visitor = await made.visitor()
        visitor.say(frame(Kind.STATUS))
        assert "is none of [egress] users" in (await visitor.fault()).message
        with pytest.raises(EgressDenied, match="none of"):
            await made.way.look()
        assert not made.way.healthy
        with pytest.raises((EgressDenied, EgressBrokerAway)):
            await made.ask(made.client(server.base_url))
        untouched(server)

    inside(tmp_path, scenario, lines=LineLimits(users=frozenset({next(iter(USERS)) + 1}), body_bytes=1000))


@pytest.mark.parametrize(
    ("said_first", "why"),
    [
        (said(Kind.HELLO, Hello(protocol=PROTOCOL + 1)), "speaks protocol 2"),
        (frame(Kind.STATUS), "did not say which protocol"),
        (frame(Kind.HELLO, b"{}"), "is not a hello"),
        (b"POST / HTTP/1.1\r\nhost: broker\r\n\r\n", "frame of"),
        (b"\x01\xff\xff\xff\xff", "frame of"),
    ],
)
def test_another_protocol_is_refused(tmp_path: Path, said_first: bytes, why: str) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        visitor = await made.visitor()
        visitor.say(said_first)
        assert why in (await visitor.fault()).message
        untouched(server)

    inside(tmp_path, scenario)


def test_bodies_are_bounded_one_by_one_and_together(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        long = await made.visitor()
        long.intent(made.way.place, body=b"x" * 1001)
        assert "at most 1000 are taken" in (await long.fault()).message
        waiting = await made.visitor()
        waiting.intent(made.way.place, body=b"x", body_bytes=900)
        await until(lambda: made.counter.held_bytes == 900)
        third = await made.visitor()
        third.intent(made.way.place, body=b"x", body_bytes=900)
        assert isinstance(await third.fault(), EgressBrokerAway)
        await waiting.close()
        await until(lambda: made.counter.held_bytes == 0)
        untouched(server)

    inside(tmp_path, scenario, lines=LineLimits(users=USERS, body_bytes=1000, held_bytes=1500))
