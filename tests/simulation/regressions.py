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
    **dict.fromkeys(
        (2798, 3146),
        "the simulation: a client that reads late stopped reading after its answer had come, and did not read the next",
    ),
    **dict.fromkeys(
        (1436, 8855, 9073, 12874, 14632, 18378),
        "the oracle: a deadline that passes before the answer has come, and an answer left unread for longer than is"
        " waited for, excuse the end of a stream",
    ),
    **dict.fromkeys(
        (2899, 3056, 3565, 6617, 16335),
        "the oracle: of two deployments that gave answers of the same text it took the wrong one for the answer's",
    ),
}
