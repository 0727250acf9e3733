"""``freehold version``."""

from __future__ import annotations

import importlib.metadata
import platform

from freehold import __version__
from freehold.cli import output
from freehold.cli.options import Json

_ENGINE = "xllamacpp"


def version(*, as_json: Json = False) -> int:
    """Show the versions of Freehold, of its engine and of Python."""
    try:
        engine = importlib.metadata.version(_ENGINE)
    except importlib.metadata.PackageNotFoundError:
        engine = "not installed"
    if as_json:
        output.print_json({"freehold": __version__, _ENGINE: engine, "python": platform.python_version()})
    else:
        output.say(f"freehold {__version__}, {_ENGINE} {engine} (llama.cpp), Python {platform.python_version()}")
    return output.OK
