"""``freehold feedback``."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, post


def feedback(
    receipt: Annotated[str, Parameter(name="RECEIPT")],
    /,
    *,
    right: bool = False,
    wrong: bool = False,
    gold: bool = False,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Say whether an answer was right. Said again, it replaces what was said before.

    Args:
        receipt: Id of the answer's receipt, or the id that the answer itself has.
        right: It was right.
        wrong: It was wrong.
        gold: It was held against a known answer, and not only looked at.
    """
    if right == wrong:
        raise output.UsageError("Give --right or --wrong.")
    body = {"response_id": receipt, "right": right, "kind": "gold" if gold else "feedback"}
    server = find_server(url=url, key_file=key_file)
    found: dict[str, Any] = post(server, "/v1/feedback", json.dumps(body).encode())
    if as_json:
        output.print_json(found)
    else:
        output.say(f"The answer of {found['receipt']} is noted as {'right' if found['right'] else 'wrong'}.")
    return output.OK
