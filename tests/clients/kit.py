"""What a suite is written with. It runs inside a client's own environment: only the standard library is here.

A suite is copied beside this file into an empty folder and run there, with the address and the keys of a gateway in its
environment. It prints one JSON object a case on standard output; a case fails by an exception.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

URL = os.environ.get("FREEHOLD_URL", "")
KEY = os.environ.get("FREEHOLD_KEY", "")
KEY_WITHOUT_SCOPE = os.environ.get("FREEHOLD_KEY_WITHOUT_SCOPE", "")
MODEL = os.environ.get("FREEHOLD_MODEL", "plain")
"""The name to ask for where a case needs nothing special."""
TEXT = "It answers from the scripted server."
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""
FAR = ("192.0.2.1", 443)
"""An address that nobody has (RFC 5737)."""

Case = Callable[[], Any]
CASES: list[tuple[str, Case]] = []


class NotServed(Exception):  # noqa: N818 - no error: it is told and skipped
    """This build of the gateway does not serve what the case is about."""


def case(function: Case) -> Case:
    """A case; what it returns is told beside its name."""
    CASES.append((function.__name__, function))
    return function


@contextmanager
def raises(kind: type[BaseException]) -> Iterator[list[Any]]:
    """The block must raise exactly this; the list then holds it."""
    caught: list[Any] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def left(since_s: float = 0.0) -> dict[str, float]:
    """What a case of cancellation returns: when it left, and when it began to, if that took it long."""
    now_s = time.monotonic()
    return {"left_s": now_s, "since_s": since_s or now_s - 0.05}


@case
def nothing_reaches_beyond_this_machine() -> dict[str, str]:
    """No connection leads out; not every system lets a test enforce that."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(FAR)
        except TimeoutError:
            raise NotServed("no network namespace of its own on this system") from None
        except OSError as error:
            return {"refused": str(error.errno)}
    raise AssertionError("a connection left this machine")


@case
def nothing_of_freehold_can_be_imported() -> None:
    """What is tested is the wire, not a shared library."""
    try:
        import freehold  # noqa: F401
    except ImportError:
        return
    raise AssertionError("freehold is importable here")


def main() -> None:
    """Run every case, or those named on the command line."""
    wanted = set(sys.argv[1:])
    for name, function in CASES:
        if not wanted or name in wanted:
            print(json.dumps(_run(name, function)), flush=True)


def _run(name: str, function: Case) -> dict[str, Any]:
    begun_s = time.monotonic()
    result: dict[str, Any] = {"case": name, "outcome": "passed"}
    try:
        told = function()
        if inspect.isawaitable(told):
            told = asyncio.run(_bounded(told))
        if isinstance(told, dict):
            result["told"] = told
    except NotServed as error:
        result |= {"outcome": "skipped", "why": str(error)}
    except Exception:  # noqa: BLE001 - whatever a client raises is the result
        result |= {"outcome": "failed", "why": traceback.format_exc(limit=-4)}
    return result | {"seconds": round(time.monotonic() - begun_s, 3)}


async def _bounded(work: Any) -> Any:
    return await asyncio.wait_for(work, 30)
