"""``freehold explain``: the page of an error, offline."""

from __future__ import annotations

import difflib

from freehold.cli import output
from freehold.cli.options import Json
from freehold.domain.errors import (
    admission,
    audit,
    auth,
    batch,
    classify,
    config,
    detect,
    engine,
    evals,
    feedback,
    file,
    limits,
    model,
    model_versions,
    placement,
    planner,
    policy,
    release,
    replay,
    request,
    server,
    untrusted,
    upstream,
    vault,
)
from freehold.domain.errors.base import FreeholdError, catalogue, message_shape, page

FAMILIES = (
    admission,
    audit,
    auth,
    batch,
    classify,
    config,
    detect,
    engine,
    evals,
    feedback,
    file,
    limits,
    model,
    model_versions,
    placement,
    planner,
    policy,
    release,
    replay,
    request,
    server,
    untrusted,
    upstream,
    vault,
)
"""Imported so that the catalogue is whole."""

_NEAR_MAX = 5


def explain(code: str = "", /, *, as_json: Json = False) -> int:
    """Show what an error means, what to do about it, and how it looks on the wire.

    Args:
        code: For example FH-POLICY-001; without one, all codes are listed.
    """
    known = catalogue()
    if not code:
        return _all(known, as_json=as_json)
    wanted = code.strip().upper()
    error = known.get(wanted)
    if error is None:
        near = difflib.get_close_matches(wanted, known, n=_NEAR_MAX, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise output.UsageError(f'There is no error code {code!r}.{hint} "freehold explain" lists all.')
    if as_json:
        output.print_json(_document(error))
    else:
        output.say(page_text(error))
    return output.OK


def page_text(error: type[FreeholdError]) -> str:
    """The page of one error."""
    retry = "may succeed later" if error.retryable else "fails again until something is changed"
    lines = [
        f"{error.code}  {error.__name__}",
        "",
        message_shape(error),
        "",
        page(error),
        "",
        f"HTTP {error.status}, type {error.type}; the same request {retry}.",
    ]
    return "\n".join(lines)


def _all(known: dict[str, type[FreeholdError]], *, as_json: bool) -> int:
    if as_json:
        output.print_json([_document(error) for error in known.values()])
    else:
        rows = [(code, error.__name__, str(error.status)) for code, error in known.items()]
        output.say(output.table(rows, head=("code", "name", "HTTP")))
    return output.OK


def _document(error: type[FreeholdError]) -> dict[str, object]:
    return {
        "code": error.code,
        "name": error.__name__,
        "message": message_shape(error),
        "page": page(error),
        "status": error.status,
        "type": error.type,
        "retryable": error.retryable,
    }
