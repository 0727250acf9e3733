"""Running a command line: exit codes, errors as messages, and never a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

from freehold import __version__
from freehold.cli import output
from freehold.cli.table import build_app, root_help
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import Internal

_HELP = (["--help"], ["-h"], ["help"])
_VERSION = (["--version"], ["-V"])


def main() -> NoReturn:
    """The entry point of the ``freehold`` program."""
    sys.excepthook = _report_unexpected
    output.take_any_text()
    code = run(sys.argv[1:])
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code: 0 done, 1 failed, 2 not understood, 130 interrupted."""
    given = list(arguments)
    as_json = "--json" in given
    try:
        if not given or given in _HELP:
            output.say(root_help())
            return output.OK
        if given in _VERSION:
            output.say(__version__)
            return output.OK
        return _dispatch(given)
    except output.UsageError as error:
        return _usage(str(error), as_json=as_json)
    except (FreeholdError, output.AnsweredWithError) as error:
        output.report_error(error, as_json=as_json)
        return output.FAILED
    except KeyboardInterrupt:
        output.note("Interrupted.")
        return output.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return output.FAILED


def _dispatch(arguments: list[str]) -> int:
    from cyclopts import CycloptsError  # lazy: root help does without

    try:
        returned = build_app()(
            arguments, result_action="return_value", exit_on_error=False, print_error=False, help_on_error=False
        )
    except CycloptsError as error:
        return _usage(str(error), as_json="--json" in arguments)
    return returned if isinstance(returned, int) else output.OK


def _usage(message: str, *, as_json: bool) -> int:
    if as_json:
        output.print_json({"error": {"message": message, "type": "usage_error", "code": None}})
    else:
        output.note(f'usage: {message} "freehold COMMAND --help" shows what can be said.')
    return output.USAGE


def _report_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nobody foresaw: the details go to a file, the user gets a sentence."""
    from freehold.config.load import data_folder  # lazy: configuration is slow to load
    from freehold.hostinfo.clock import SystemClock, SystemIds  # lazy: only here

    error_id = SystemIds(SystemClock()).new_id()
    text = "".join(traceback.format_exception(kind, error, trace))
    path = data_folder() / f"error-{error_id}.txt"
    try:
        # For its owner alone: what an error says may be words of a document.
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        where = f" Details: {path}"
    except OSError:
        where = f" ({kind.__name__}: {error})"
    internal = Internal(error_id=error_id)
    output.note(f"{internal.code}: {internal.message}{where}")
