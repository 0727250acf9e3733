from __future__ import annotations

import io

import pytest

from freehold.engines.process.frames import HEAD_BYTES_MAX, LENGTHS, frame, head_of, lengths, messages


def test_a_message_is_read_as_it_was_written() -> None:
    raw = frame({"id": 7, "text": "größer"}, b"\x01\x02")
    head_bytes, body_bytes = lengths(raw[: LENGTHS.size])
    assert head_of(raw[LENGTHS.size : LENGTHS.size + head_bytes]) == {"id": 7, "text": "größer"}
    assert raw[-body_bytes:] == b"\x01\x02"


@pytest.mark.parametrize("absurd", [(HEAD_BYTES_MAX + 1, 0), (1, 2**31)])
def test_a_length_that_no_message_has_is_refused(absurd: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a message of"):
        lengths(LENGTHS.pack(*absurd))


@pytest.mark.parametrize("cut", [1, 3, 9, 12])
def test_a_pipe_that_ends_within_a_message_ends_the_worker(cut: int) -> None:
    whole, other = frame({"id": 1, "text": "a"}), frame({"id": 2, "text": "b"})
    assert [each["id"] for each in messages(io.BytesIO(whole + other[:cut]))] == [1]
