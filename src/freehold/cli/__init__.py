"""The ``freehold`` command: one command a file, loaded when it is called, and every one of them answers ``--json``."""

from freehold.cli.run import main

__all__ = ["main"]
