"""Seeds that once found a bug in the program or in the simulation, and which. They are run with every commit.

A seed means another run once the simulation itself is changed, so each bug also has a test of its own beside the room
that it was in.
"""

from __future__ import annotations

SEEDS: dict[int, str] = {
    41: "a refused answer that nobody had asked for left its connection in the pool, and the next caller got the answer"
    " of the one before",
    **dict.fromkeys(
        (4744, 8188, 10733, 11120, 15314, 16836),
        "a view that was answered before its body was whole ended the connection without having said so, and the next"
        " request on it got no answer",
    ),
}

OPEN: dict[int, str] = {
    **dict.fromkeys((2899, 3056, 3565, 6617, 16335), "passed through, but not byte for byte, after a climb and a ping"),
    **dict.fromkeys((1436, 8855, 9073, 12874, 14632, 18378), "a stream is broken although all went well"),
    **dict.fromkeys((2798, 3146), "a body that is too large is refused by a reset, without a readable answer"),
}
"""Of the seeds 0..20000 those that are not clean: whether the program or the oracle is wrong is not known yet. Whoever
makes one clean moves it to ``SEEDS``, since its test fails from then on."""
