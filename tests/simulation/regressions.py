"""Seeds that once found a bug in the program, and which. They are run with every commit.

A seed means another run once the simulation itself is changed, so each bug also has a test of its own beside the room
that it was in.
"""

from __future__ import annotations

SEEDS: dict[int, str] = {
    41: "a refused answer that nobody had asked for left its connection in the pool, and the next caller got the answer"
    " of the one before",
}
