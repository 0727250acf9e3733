"""What a broker lets be asked of a model hub: paths of its protocol, and where it has just pointed to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from freehold.domain.errors.policy import EgressDenied
from freehold.net.brokered.frames import Intent, Permit, Send
from freehold.net.brokered.reads import HubPart, HubReads, asked_line
from freehold.net.client import HttpReply

RANGE = (("range", "bytes=0-9"),)
SIGNED = "/blobs/abc?sig=1"


@dataclass
class Moving:
    now_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return 0


@dataclass(frozen=True)
class Spot:
    name: str = "model hub"
    base_url: str = "https://hub.test/mirror"
    origin: str = "https://hub.test:443"
    hub_part: HubPart | None = HubPart.HUB


HUB = Spot()
STORE = Spot("model storage 1", "https://store.test", "https://store.test:443", HubPart.STORAGE)
OFFICE = Spot("office", "https://office.test/v1", "https://office.test:443", None)


@dataclass
class Desk:
    clock: Moving = field(default_factory=Moving)

    def __post_init__(self) -> None:
        self.reads = HubReads(self.clock)

    def ask(self, spot: Spot, path: str, *, method: str = "GET", headers: tuple[tuple[str, str], ...] = RANGE) -> None:
        asked = asked_line(method, path, headers)
        self.reads.check_intent(spot, asked, b"")
        self.reads.check_sending(spot, asked, _send(path, method=method, headers=headers))

    def point(self, to: str, *, status: int = 302) -> None:
        reply = cast("HttpReply", SimpleNamespace(status=status, headers={"location": to}))
        self.reads.pointed(HUB, _send("/mirror/o/r/resolve/main/f.gguf"), reply)


def _send(path: str, *, method: str = "GET", headers: tuple[tuple[str, str], ...] = RANGE) -> Send:
    return Send(permit=Permit(id="1", index=0, seal=""), method=method, path=path, headers=headers, left_s=1.0)


@pytest.mark.parametrize(
    "path",
    [
        "/o/r/resolve/main/f.gguf",
        "/o/r-1.0/resolve/refs%2Fpr%2F1/deep/er/model-00001-of-00002.safetensors",
        "/api/models/o/r/revision/main?blobs=true",
        "/api/models/o/r",
        "/api/models/o/r/commits/c0ffee",
    ],
)
def test_the_protocol_of_a_hub(path: str) -> None:
    Desk().ask(HUB, "/mirror" + path)
    Desk().ask(HUB, "/mirror" + path, method="HEAD", headers=())


@pytest.mark.parametrize(
    "path",
    [
        "/o/r/resolve/main/f.gguf",  # not below the hub's own path
        "/mirror/o/r/resolve/main/../../x",
        "/mirror/o/r/resolve/main/%2e%2E/x",
        "/mirror/o/r/resolve/main/f.gguf?a=secret",
        "/mirror/o/r/blob/main/f.gguf",
        "/mirror/api/models/o/r?secret",
        "/mirror/api/whoami-v2",
        "/mirror/o/r/resolve/main/" + "a" * 513,
        "/mirror/o/r/resolve/main/a b",
        "/mirror/o/r/resolve/main/a\r\nx: y",
    ],
)
def test_what_is_none_of_it(path: str) -> None:
    with pytest.raises(EgressDenied):
        Desk().ask(HUB, path)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", RANGE),
        ("GET", (("range", "bytes=0-9, 20-29"),)),
        ("GET", (("range", "bytes=-5"),)),
        ("GET", (("authorization", "Bearer x"),)),
        ("GET", (*RANGE, ("accept", "secret"))),
        ("GET", (*RANGE, ("range", "bytes=1-2"))),
    ],
)
def test_nothing_but_a_range_goes_with_it(method: str, headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(EgressDenied):
        Desk().ask(HUB, "/mirror/o/r/resolve/main/f.gguf", method=method, headers=headers)


def test_a_storage_is_asked_where_the_hub_pointed_to_and_for_an_hour() -> None:
    desk = Desk()
    with pytest.raises(EgressDenied, match="has not pointed there"):
        desk.ask(STORE, SIGNED)
    desk.point(f"https://store.test{SIGNED}")
    desk.ask(STORE, SIGNED)
    for other in ("/blobs/abc?sig=2", "/blobs/abc", "/blobs/ab?sig=1"):
        with pytest.raises(EgressDenied):
            desk.ask(STORE, other)
    desk.clock.now_s = 3_599.0
    desk.ask(STORE, SIGNED)
    desk.clock.now_s = 3_600.0
    with pytest.raises(EgressDenied):
        desk.ask(STORE, SIGNED)


def test_only_a_redirect_points_and_only_to_its_own_place() -> None:
    desk = Desk()
    desk.point(f"https://store.test{SIGNED}", status=200)
    desk.point(f"https://other.test{SIGNED}")
    desk.point(f"https://store.test:8443{SIGNED}")
    desk.point("ftp://store.test/blobs/abc?sig=1")
    desk.point("https://user@store.test/blobs/abc?sig=1")
    desk.point("https://[store.test/blobs/abc?sig=1")
    desk.point("")
    with pytest.raises(EgressDenied):
        desk.ask(STORE, SIGNED)
    desk.point("/mirror/api/resolve-cache/models/o/r/c/f.json?etag=x")
    desk.ask(HUB, "/mirror/api/resolve-cache/models/o/r/c/f.json?etag=x")


def test_what_was_pointed_to_is_bounded() -> None:
    desk = Desk()
    for number in range(1_000):
        desk.point(f"https://store.test/{number}")
    desk.ask(STORE, "/999")
    with pytest.raises(EgressDenied):
        desk.ask(STORE, "/700")


def test_what_is_sent_is_what_is_on_record() -> None:
    desk, path = Desk(), "/mirror/o/r/resolve/main/f.gguf"
    with pytest.raises(EgressDenied, match="another read is on record"):
        desk.reads.check_sending(HUB, f"HEAD {path}", _send(path))
    with pytest.raises(EgressDenied, match="no read"):
        desk.reads.check_intent(HUB, f"GET {path}", b"a body")
    with pytest.raises(EgressDenied, match="no read"):
        desk.reads.check_intent(HUB, "", b"")
    with pytest.raises(EgressDenied, match="nothing is read there"):
        desk.reads.check_intent(OFFICE, f"GET {path}", b"")
    desk.reads.check_intent(OFFICE, "", b"a body")


def test_records_keep_no_signature() -> None:
    assert asked_line("GET", SIGNED, RANGE) == "GET /blobs/abc bytes=0-9"
    assert asked_line("HEAD", "/o", ()) == "HEAD /o"


def test_a_frame_without_a_read_is_what_it_was() -> None:
    """A broker of before refuses unknown members, so that one that is empty is left out."""
    values: dict[str, Any] = {
        "request_id": "r", "tenant": "t", "subject": "", "deployment": "d", "origin": "o", "zone": "z", "label": "l",
        "rules": (), "body_bytes": 0, "body_sha256": "", "body_commitment": "",
    }  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(Intent(**values))).keys() == values.keys()
    assert msgspec.json.decode(msgspec.json.encode(Intent(**values, asked="GET /")))["asked"] == "GET /"
