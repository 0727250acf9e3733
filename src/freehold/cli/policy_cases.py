"""``freehold policy test``: cases that a site writes about its rules, for people and for pipelines."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree as ET

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.policy_site import site_of
from freehold.domain.errors.policy import CasesUnreadable
from freehold.hostinfo.clock import SystemClock
from freehold.policy.cases import Case, Result, counts, read_cases, run_case


def test(
    files: Annotated[tuple[str, ...], Parameter(name="FILE", negative=())],
    /,
    *,
    junit: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Hold the rules against cases: which label may go to which deployment or route. Ends with 1 where one fails.

    Args:
        files: TOML files of cases; docs/how-to/policy.md has an example.
        junit: File to write the results to as JUnit XML, for pipelines.
    """
    site, unix_ms = site_of(compiled_or_default(config)), SystemClock().unix_ms()
    # All are read before one is run: a file that cannot be read is no reason for half a report.
    read = {path: _cases(path) for path in files}
    found = {path: [run_case(case, site, unix_ms=unix_ms) for case in cases] for path, cases in read.items()}
    if junit:
        Path(junit).expanduser().write_text(junit_xml(found), encoding="utf-8")
    held, failed = counts([each for results in found.values() for each in results])
    if as_json:
        rows = [
            {"file": path, "case": each.case.name, "holds": each.holds, "failure": each.failure}
            for path, results in found.items()
            for each in results
        ]
        output.print_json({"held": held, "failed": failed, "cases": rows})
    else:
        for path, results in found.items():
            for each in results:
                output.say(f"{'ok  ' if each.holds else 'FAIL'}  {path}: {each.case.name}")
                if not each.holds:
                    output.say(f"      {each.failure}")
        output.say(f"{held:,} held, {failed:,} failed.")
    return output.FAILED if failed else output.OK


def junit_xml(found: Mapping[str, Sequence[Result]]) -> str:
    """Results as JUnit XML: a suite for each file, a test case for each case."""
    root = ET.Element("testsuites", name="freehold policy")
    for path, results in found.items():
        held, failed = counts(results)
        suite = ET.SubElement(
            root, "testsuite", name=_printable(path), tests=str(held + failed), failures=str(failed), errors="0"
        )
        for each in results:
            case = ET.SubElement(suite, "testcase", classname=_printable(path), name=_printable(each.case.name))
            if not each.holds:
                ET.SubElement(case, "failure", message=_printable(each.failure))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """Text as XML may hold it."""
    return "".join(each if each.isprintable() else " " for each in text)


def _cases(path: str) -> tuple[Case, ...]:
    try:
        document: dict[str, Any] = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise CasesUnreadable(path=path, reason=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise CasesUnreadable(path=path, reason="it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise CasesUnreadable(path=path, reason=f"this is not TOML: {error}") from error
    return read_cases(document, path=path)
