"""Forms with a file, in whatever pieces they come."""

from __future__ import annotations

import asyncio

import pytest

from freehold.api.exchange import ClientLeft
from freehold.api.upload import read_form
from freehold.domain.errors.file import FileFormInvalid, FileTooLarge

CONTENT = b'{"a": 1}\r\n--B\r\n--almost\r\n'


def part(head: bytes, body: bytes) -> bytes:
    return b"--BOUND\r\ncontent-disposition: form-data; " + head + b"\r\n\r\n" + body + b"\r\n"


FORM = part(b'name="purpose"', b"batch") + part(b'name="file"; filename="a \\"b\\".jsonl"', CONTENT) + b"--BOUND--\r\n"


class Kept:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def read(pieces, *, most=1_000, kind="multipart/form-data; boundary=BOUND", left=False):
    events = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    if left:
        events.append({"type": "http.disconnect"})
    else:
        events.append({"type": "http.request", "body": b"", "more_body": False})
    rest = iter(events)

    async def receive():
        return next(rest)

    target = Kept()
    scope = {"headers": [(b"content-type", kind.encode())]}
    form = asyncio.run(read_form(scope, receive, target, file_bytes_max=most))
    return form, target.data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000])
def test_a_form_in_any_pieces(size):
    form, content = read([FORM[place : place + size] for place in range(0, len(FORM), size)])
    assert (form.fields, form.filename, content) == ({"purpose": "batch"}, 'a "b".jsonl', CONTENT)


@pytest.mark.parametrize("cut", range(1, len(FORM), 5))
def test_a_form_that_ends_too_early_is_no_form(cut):
    with pytest.raises((FileFormInvalid, FileTooLarge)):
        read([FORM[:cut]])


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (FORM, "application/json"),
        (FORM, "multipart/form-data"),
        (FORM, "multipart/form-data; boundary=" + "x" * 300),
        (b"not a form", "multipart/form-data; boundary=BOUND"),
        (part(b'name="purpose"', b"batch") + b"--BOUND--\r\n", "multipart/form-data; boundary=BOUND"),
        (part(b'name="file"', b"x") * 2 + b"--BOUND--\r\n", "multipart/form-data; boundary=BOUND"),
        (part(b'name="purpose"', b"x") * 2 + b"--BOUND--\r\n", "multipart/form-data; boundary=BOUND"),
        (part(b'filename="x"', b"x") + b"--BOUND--\r\n", "multipart/form-data; boundary=BOUND"),
        (part(b'name="purpose"', b"x" * 70_000) + b"--BOUND--\r\n", "multipart/form-data; boundary=BOUND"),
        (b"".join(part(b'name="%d"' % n, b"x") for n in range(40)), "multipart/form-data; boundary=BOUND"),
        (b"--BOUND\r\n" + b"x-a: b\r\n" * 5_000, "multipart/form-data; boundary=BOUND"),
        (b"--BOUND\r\n" + b"x" * 100_000, "multipart/form-data; boundary=BOUND"),
    ],
)
def test_what_is_no_form_is_refused(form, kind):
    with pytest.raises(FileFormInvalid):
        read([form[place : place + 4_096] for place in range(0, len(form), 4_096)], kind=kind)


def test_a_form_that_pads_for_ever_is_refused():
    with pytest.raises(FileFormInvalid, match="beside the file"):
        read([FORM, *([b"x" * 65_536] * 20)])


def test_a_file_that_is_too_long_is_refused_before_it_is_kept():
    with pytest.raises(FileTooLarge):
        read([FORM], most=len(CONTENT) - 1)
    assert read([FORM], most=len(CONTENT))[1] == CONTENT


def test_a_client_that_leaves():
    with pytest.raises(ClientLeft):
        read([FORM[:100]], left=True)
