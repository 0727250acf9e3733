"""Where addresses lead, and which a link may have."""

from __future__ import annotations

import pytest

from freehold.policy.links import Hosts, host_of, hosts_of, in_punycode, inert, shown, spots, spots_in_code

HOSTS = Hosts(names=frozenset({"corp.test", "*.wiki.test"}))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evil.test/a", "evil.test"),
        ("https://corp.test@evil.test/a", "evil.test"),
        ("https://corp.test\\@evil.test", "corp.test"),
        ("//evil.test/a", "evil.test"),
        ("http:evil.test", "evil.test"),
        ("https:/\\evil.test:8080/", "evil.test"),
        ("ht\ntps://ev\til.test", "evil.test"),
        ("https://%65vil.test", "evil.test"),
        ("https://evil\u3002test", "evil.test"),
        ("https://EVIL.test.", "evil.test"),
        ("https://[::1]/", "[::1]"),
        ("https://ap\u0440le.test", "xn--aple-h6d.test"),
        ("mailto:a@evil.test?body=x", "evil.test"),
        ("javascript:alert(1)", ""),
        ("/a/b", ""),
        ("#top", ""),
    ],
)
def test_a_host_is_read_as_a_browser_does(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "https://corp.test",
        "https://corp.test/",
        "http://corp.test:8080/docs/readme.md?page=2#top",
        "https://a.wiki.test/x?since=2026-11-30",
        "https://corp.test/img/logo.png",
        "https://corp.test/a/SGVsbG8gd29ybGQgdGhpcw",
    ],
)
def test_a_plain_link_to_an_allowed_host_stays(url: str) -> None:
    assert HOSTS.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/",
        "https://wiki.test/",
        "https://evilcorp.test/",
        "https://corp.test.evil.test/",
        "https://corp.test@evil.test/",
        "//corp.test/",
        "/relative",
        "ftp://corp.test/",
        "https://corp.test\\.evil.test/",
        "https://corp.t\u0435st/",
        "https://corp.test/redirect?url=https%3A%2F%2Fevil.test%2F1",
        "https://corp.test/redirect?url=https%253A%252F%252Fevil.test%252F1",
        "https://corp.test/redirect?to=//evil.test/1",
        "https://corp.test/redirect?to=evil.test/1",
        "https://corp.test/redirect?to=evil.test",
        "https://corp.test/r/evil.test/1",
        "https://corp.test/r/evil.rs/1",
        "https://corp.test/r?u=aHR0cHM6Ly9ldmlsLnRlc3Qv",
        "https://corp.test/go#javascript:alert(1)",
        "https://corp.test/r?u=%" + "25" * 12 + "2F",
        "https://corp.test/" + "a" * 3000,
    ],
)
def test_what_could_lead_elsewhere_does_not(url: str) -> None:
    assert not HOSTS.allows(url)


def test_hosts_are_those_that_people_named_and_those_listed() -> None:
    found = hosts_of(
        ["See https://news.test/a and docs.test, write to b@mail.test."], ["*.Corp.test", "b\u00fccher.test"]
    )
    assert found.names == {"news.test", "docs.test", "*.corp.test", "xn--bcher-kva.test"}


def test_a_long_word_costs_nothing_much() -> None:
    assert hosts_of(["a" * 1_000_000 + ".com"]).names == frozenset()
    (spot,) = spots("a" * 30_000 + ".com", Hosts())
    assert (spot.start, spot.end, spot.bare) == (0, 30_004, True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing here, e.g. at 10:30 or and/or", []),
        ("the file README.md and main.py", []),
        ("see evil.test now", [("evil.test", True)]),
        ("(see evil.test).", [("evil.test", True)]),
        ("see corp.test/docs now", []),
        ("see evil.test/docs now", [("evil.test/docs", False)]),
        ("a@evil.test", [("a@evil.test", True)]),
        ("a@corp.test", [("a@corp.test", True)]),
        ("x://y", [("x://y", False)]),
        ("javascript:alert(1)", [("javascript:alert(1)", False)]),
        ("README.md,k.evil.test", [("README.md,k.evil.test", True)]),
        ("corp.test,k.evil.test", [("corp.test,k.evil.test", True)]),
        ("k.evil.rs", [("k.evil.rs", True)]),
        ("//evil.test/x", [("//evil.test/x", False)]),
        ("\\url{//evil.test/x}", [("\\url{//evil.test/x}", False)]),
        ("10.0.0.1", [("10.0.0.1", True)]),
        ("evil\uff0etest/x", [("evil\uff0etest/x", False)]),
    ],
)
def test_what_a_program_could_make_a_link_of(text: str, found: list[tuple[str, bool]]) -> None:
    assert [(text[each.start : each.end], each.bare) for each in spots(text, HOSTS)] == found


def test_of_code_only_whole_addresses() -> None:
    code = "import a.b.c\nx = obj.call(y)  # github.test/user\nget('https://evil.test/x')"
    assert [code[each.start : each.end] for each in spots_in_code(code, HOSTS)] == ["https://evil.test/x"]
    assert spots(inert("https://evil.test/a.test/b"), Hosts()) == ()


def test_a_host_is_shown_so_that_it_tells_whose_it_is_and_no_more() -> None:
    assert shown("secret.of.ours.evil.test") == "\u2026evil[.]test"
    assert shown("a.b.co.uk") == "\u2026b[.]co[.]uk"
    assert shown("10.0.0.1") == "10[.]0[.]0[.]1"
    assert in_punycode("x y.test") == ""
