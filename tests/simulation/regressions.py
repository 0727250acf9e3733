"""Seeds that once found a bug in the program, and which. They are run with every commit.

A seed means another run once the simulation itself is changed, so each bug also has a test of its own beside the room
that it was in.
"""

from __future__ import annotations

SEEDS: dict[int, str] = {
    34: "a ladder whose last deployment broke in mid-stream went on with the answer held from the first one",
    13: "a request whose audit record could not be written left no receipt",
    8: "after a body that came too slowly was refused, the next request on the connection was never answered",
    924: "an answer that came before its request's body was whole did not say that the connection closes behind it",
}
