import pytest

from freehold.domain.errors.config import BaseUrlInvalid
from freehold.net.origin import Origin


@pytest.mark.parametrize(
    ("base_url", "text", "base_path", "host_header"),
    [
        ("https://api.example.com/v1", "https://api.example.com:443", "/v1", "api.example.com"),
        ("HTTPS://API.Example.COM:443/v1/", "https://api.example.com:443", "/v1", "api.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "", "127.0.0.1:8080"),
        ("http://localhost/", "http://localhost:80", "", "localhost"),
        ("http://[::1]:8080/v1", "http://[::1]:8080", "/v1", "[::1]:8080"),
        ("http://[0:0::1]", "http://[::1]:80", "", "[::1]"),
        ("https://xn--bcher-kva.example/a/b", "https://xn--bcher-kva.example:443", "/a/b", "xn--bcher-kva.example"),
        ("http://my_host.local:1", "http://my_host.local:1", "", "my_host.local:1"),
        ("unix:///run/freehold/a.sock", "unix:///run/freehold/a.sock", "", "localhost"),
    ],
)
def test_what_is_plain_is_read(base_url: str, text: str, base_path: str, host_header: str) -> None:
    origin = Origin.parse(base_url)
    assert (origin.text, origin.base_path, origin.host_header) == (text, base_path, host_header)


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("", "form"),
        ("example.com", "form"),
        ("ftp://example.com", "form"),
        ("http://", "form"),
        ("http:///v1", "form"),
        ("http://a b", "form"),
        ("http://example.com:", "form"),
        ("http://example.com:http", "form"),
        ("http://example.com\r\nx", "form"),
        ("http://example.com%2e", "form"),
        ("http://example.com:0", "port 0"),
        ("http://example.com:65536", "port 65536"),
        ("http://user:secret@example.com", "credential"),
        ("http://example.com@127.0.0.1", "credential"),
        ("http://example.com?x", "query"),
        ("http://example.com/#x", "fragment"),
        ("http://example.com\\@127.0.0.1", "credential"),
        ("http://example.com\\x", "backslash"),
        ("http://bücher.example", "xn--"),
        ("http://2130706433", "number"),
        ("http://127.1", "number"),
        ("http://0x7f.1", "number"),
        ("http://0x7f000001", "number"),
        ("http://0177.0.0.1", "number"),
        ("http://1.2.3.4.", "number"),
        ("http://1.2.3.256", "number"),
        ("http://[1.2.3.4]", "brackets"),
        ("http://[::1", "form"),
        ("http://a..b", "DNS"),
        ("http://.", "DNS"),
        (f"http://{'a' * 64}.test", "DNS"),
        (f"http://{'a.' * 150}test", "DNS"),
        ("unix://run/x", "absolute"),
        ("unix:///", "absolute"),
        ("unix:///a\nb", "printed"),
    ],
)
def test_what_two_parsers_might_read_differently_is_refused(base_url: str, words: str) -> None:
    with pytest.raises(BaseUrlInvalid, match=words) as caught:
        Origin.parse(base_url)
    assert "secret" not in caught.value.message
