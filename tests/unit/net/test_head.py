import pytest

from freehold.domain.errors.policy import EgressDenied
from freehold.net.head import HeadWriter
from freehold.net.origin import Origin

ORIGIN = Origin.parse("https://api.test/v1")


def test_a_head_to_the_byte() -> None:
    writer = HeadWriter(ORIGIN, (("authorization", "Bearer k"),))
    assert writer.head("POST", "/v1/x?y=1", (("content-type", "application/json"),), 12) == (
        b"POST /v1/x?y=1 HTTP/1.1\r\n"
        b"host: api.test\r\n"
        b"accept-encoding: identity\r\n"
        b"user-agent: freehold\r\n"
        b"authorization: Bearer k\r\n"
        b"content-type: application/json\r\n"
        b"content-length: 12\r\n\r\n"
    )


def test_the_length_is_told_where_a_body_is_or_could_be() -> None:
    writer = HeadWriter(ORIGIN, ())
    assert b"content-length" not in writer.head("GET", "/", (), 0)
    assert b"content-length: 0\r\n" in writer.head("POST", "/", (), 0)
    assert b"content-length: 3\r\n" in writer.head("DELETE", "/", (), 3)


def test_a_configured_user_agent_replaces_ours() -> None:
    head = HeadWriter(ORIGIN, (("User-Agent", "mine"),)).head("GET", "/", (), 0)
    assert head.lower().count(b"user-agent") == 1
    assert b"mine" in head


def test_letters_beyond_ascii_go_as_latin_1_or_not_at_all() -> None:
    writer = HeadWriter(ORIGIN, ())
    assert b"x: \xfc\r\n" in writer.head("GET", "/", (("x", "ü"),), 0)
    with pytest.raises(EgressDenied, match="forbidden character"):
        writer.head("GET", "/", (("x", "€"),), 0)


@pytest.mark.parametrize(
    "header",
    [("host", "x"), ("Content-Length", "1"), ("Connection", "close"), ("a b", "x"), ("", "x"), ("x", "a\r\nb: c")],
)
def test_configured_fields_are_checked_too(header: tuple[str, str]) -> None:
    with pytest.raises(EgressDenied):
        HeadWriter(ORIGIN, (header,))
