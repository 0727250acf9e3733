"""What could not be looked through stays on this device: rows of the table in docs/decisions/0034, with real gateways."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.processes import children_of
from tests.support.server import eventually
from tests.support.site import Site, refusal, site

LOOKED_AT = """
[deployments.far]
engine = "openai"
model = "scripted-far"
zone = "lan"
base_url = "{trap}"
clearance = "confidential"
kinds = ["pii", "phi", "pci"]
vision = true
context_tokens = 1_000_000
[deployments.home]
engine = "openai"
model = "scripted-home"
zone = "device"
base_url = "{small}"
context_tokens = 1_000_000
[routes.out]
deployments = ["home", "far"]
uncalibrated = "escalate"
[detect]
{detect}
"""
_SLOW = "there is nothing in here that anybody would look for. " * 8_000
_PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}


@pytest.mark.parametrize(
    ("detect", "content", "why"),
    [
        ("within_ms = 10", _SLOW, "the time was over"),
        ("within_ms = 60000", [{"type": "text", "text": "sum up"}, _PDF], "a file in it was not read"),
        ("within_ms = 60000", "A" * 20_000, "it holds data that nobody can read"),
    ],
    ids=["time-out", "unread attachment", "hidden data"],
)
def test_what_could_not_be_looked_through_stays_on_this_device(
    tmp_path: Path, trap: OpenAIServer, detect: str, content: Any, why: str
) -> None:
    more = LOOKED_AT.format(trap=trap.base_url, detect=detect, small="{small}")
    with site(tmp_path, more=more) as house:
        told = refusal(house, content, model="far")
        assert told["freehold_code"] == "FH-POLICY-001"
        receipt = house.gateway.receipt(told["receipt"])
        assert [each["rules"] for each in receipt["decisions"]] == [["scan"]]
        assert any(why in each for each in receipt["detours"])
        if isinstance(content, str):
            assert house.ask(content, model="out").headers["freehold-deployment"] == "home"


def test_a_detector_that_hangs_lets_nothing_out_and_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    more = LOOKED_AT.format(trap="{small}", detect="within_ms = 2000", small="{small}")
    with site(tmp_path, more=more) as house:
        eventually(lambda: _passes(house, "hello"), what="a detector that looks")
        asked = len(house.small.exchanges)
        child = _detector_of(house.gateway.pid)
        os.kill(child, signal.SIGSTOP)
        assert refusal(house, "something new", model="far")["freehold_code"] == "FH-POLICY-001"
        assert len(house.small.exchanges) == asked
        os.kill(child, signal.SIGKILL)
        eventually(lambda: _passes(house, "something that no detector has seen"), what="another detector")
        assert _detector_of(house.gateway.pid) != child


def _passes(house: Site, text: str) -> bool:
    try:
        return TEXT in house.ask(text, model="far").text
    except openai.PermissionDeniedError:
        return False


def _detector_of(gateway: int) -> int:
    (found,) = children_of(gateway, b"scan_worker")
    return found
