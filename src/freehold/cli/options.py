"""Options that several commands share, written once so that they mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", help="Print JSON instead of text.")]
ConfigFile = Annotated[
    str,
    Parameter(
        name="--config",
        help="Configuration file. Else FREEHOLD_CONFIG, ./freehold.toml, or the one in the data folder.",
    ),
]
Url = Annotated[str, Parameter(name="--url", help="Address of the server. Else the configuration's.")]
KeyFile = Annotated[
    str,
    Parameter(name="--key-file", help="File that holds the API key. Else FREEHOLD_KEY, or the first key."),
]
