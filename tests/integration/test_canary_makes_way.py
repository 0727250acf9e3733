"""A canary that answers makes way for whoever comes, and is asked anew: a gateway as a process, scripted servers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.server import eventually
from tests.support.site import Site, site

MORE = """
[deployments.next]
engine = "openai"
model = "scripted-next"
zone = "device"
base_url = "{small}"
slots = 1
[routes.watched]
deployments = ["large"]
canary = "next"
canary_share = 1.0
"""


def shadows(house: Site, outcome: str) -> list[dict[str, Any]]:
    found = house.gateway.get("/v1/receipts?limit=100")["data"]
    return [each for each in found if each["purpose"] == "shadow" and each["outcome"] == outcome]


def test_whoever_comes_has_the_canary_cancelled_and_it_is_asked_anew(tmp_path: Path) -> None:
    with site(tmp_path, more=MORE) as house:
        house.ask("slow", model="watched")
        eventually(lambda: house.small.exchanges or None, what="the canary's request")
        asked = house.ask("say:hello", model="next")
        assert house.receipt_of(asked)["outcome"] == "complete", "it has the only slot"
        (cut,) = eventually(lambda: shadows(house, "cancelled"), what="the receipt of the one that made way")

        def answers() -> list[dict[str, Any]]:
            house.small.let_go()  # one more piece
            return shadows(house, "complete")

        (whole,) = eventually(answers, what="the same again")
        assert (whole["for_request"], whole["answered_by"]) == (cut["for_request"], "next")
        assert whole["id"] != cut["id"]
        with house.gateway.http() as client:
            assert 'freehold_shadows_total{deployment="next",what="repeated"} 1' in client.get("/metrics").text
