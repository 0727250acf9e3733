"""A certificate that stops holding: alarm, escalation within policy, and certifying anew, in a gateway as a process."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.outcomes import AnswerOutcome
from freehold.engines.openai_compatible import _fingerprint  # pyright: ignore[reportPrivateUsage] - what it would learn
from freehold.routing.calibration import to_json
from freehold.routing.ladder import scored_on
from freehold.storage.database import Database
from freehold.storage.outcomes import SqliteOutcomes
from tests.servers.openai_server import OpenAIServer
from tests.support.histories import an_outcome
from tests.support.routing import calibration
from tests.support.server import Gateway, eventually, running
from tests.support.site import SteadyServer
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = 2
{server}
[calibration]
folder = "{folder}"
[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "lan"
base_url = "{small}"
clearance = "internal"
[deployments.large]
engine = "openai"
model = "scripted-large"
zone = "lan"
base_url = "{large}"
clearance = "internal"
[routes.auto]
deployments = ["small", "large"]
accept_at = 0.5
risk_max = 0.1
shadow_share = 0.2
[learning]
alarm_run_length = 1_000
"""
FRESH = 130


@contextmanager
def house(folder: Path, *, server: str = "") -> Generator[tuple[Gateway, ScoredOn]]:
    """A gateway whose small model is calibrated, and what its scores mean."""
    with in_thread(OpenAIServer()) as small, in_thread(SteadyServer()) as large:
        known = _fingerprint(small.base_url, "scripted-small", "", "fp_scripted")
        fitted = calibration(
            intercept=1.5,
            model_digest=known.stands_for_model,
            engine=known.engine,
            engine_version=known.version,
            template_digest=known.template_sha256,
        )
        calibrations = folder / "calibrations"
        calibrations.mkdir()
        (calibrations / "small.json").write_text(to_json(fitted), encoding="utf-8")
        config = CONFIG.format(server=server, folder=calibrations, small=small.base_url, large=large.base_url)
        with running(config, folder) as gateway:
            yield gateway, scored_on(fitted)


def ask(gateway: Gateway) -> dict[str, Any]:
    """The receipt of one chat, to which both models answer the same."""
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "auto", "messages": messages}
    with gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    return gateway.receipt(reply.headers["freehold-receipt"])


def inject(gateway: Gateway, outcomes: Sequence[AnswerOutcome]) -> None:
    """Outcomes as another process would have written them."""
    database = Database.open(gateway.data / "freehold.db")
    try:
        store = SqliteOutcomes(database)
        store.keep(*outcomes)
        asyncio.run(store.read(most=1))
    finally:
        database.close()


def poll(look: Callable[[], bool], *, for_s: float) -> bool:
    """Whether ``look`` came true meanwhile."""
    try:
        return eventually(look, within_s=for_s)
    except AssertionError:
        return False


def labelled(n: int, meaning: ScoredOn, name: str, *, right: bool = True, accepted: bool = True) -> list[AnswerOutcome]:
    now_ms = time.time_ns() // 1_000_000
    return [
        an_outcome(
            f"{name}-{number}",
            tenant="default",
            scored_on=meaning,
            unix_ms=now_ms + number // 100,
            probability=0.7 + 0.29 * (number % 97) / 97,
            accepted=accepted,
            answered=accepted,
            right=right,
            label_kind=LabelKind.AGREEMENT,
            sought=1.0,
        )
        for number in range(n)
    ]


def standing(gateway: Gateway) -> dict[str, Any]:
    found = gateway.get("/v1/admin/standings")["data"]
    return next((each for each in found if each["deployment"] == "small"), {})


def certify(gateway: Gateway) -> dict[str, Any]:
    with gateway.http() as client:
        reply = client.post("/v1/admin/certificates", json={"name": "auto", "risk": 0.1, "sure": 0.9})
    assert reply.status_code == 200, reply.text
    return reply.json()["data"][0]


@pytest.mark.parametrize("server", ["", "workers = 2"], ids=["alone", "two workers"])
def test_alarm_escalation_and_certifying_anew(tmp_path: Path, server: str) -> None:
    with house(tmp_path, server=server) as (gateway, meaning):
        for _ in range(6):
            ask(gateway)  # a server's answers say what it is, to each worker
        inject(gateway, labelled(400, meaning, "before"))
        certified = certify(gateway)
        assert certified["certificate"], certified
        assert certified["least_escalated"]["value"] == 0.0
        name = certified["certificate"]["id"]

        def accepted_by() -> str:
            """Whose promise the small model's answer has; empty for none, or where it was escalated."""
            receipt = ask(gateway)
            return receipt["attempts"][0]["verdict"]["certificate"] if receipt["answered_by"] == "small" else ""

        eventually(lambda: all(accepted_by() == name for _ in range(4)), what="the certificate in force", within_s=60)
        assert standing(gateway)["expected_delay"]["requests"] > standing(gateway)["expected_delay"]["labels"] > 0

        inject(gateway, labelled(40, meaning, "wrong", right=False))
        eventually(lambda: standing(gateway)["alarm"], what="the alarm", within_s=60)
        assert standing(gateway)["certificate"] is None
        eventually(
            lambda: all(ask(gateway)["answered_by"] == "large" for _ in range(4)), what="escalation", within_s=60
        )
        log = eventually(lambda: gateway.log if "alarm: small" in gateway.log else "", what="the log")
        assert "more than 10.0% of accepted answers seem to be wrong" in log
        with gateway.http() as client:
            told = r'freehold_certificate_alarms\{(worker="0",)?deployment="small"\} 1\n'
            eventually(lambda: re.search(told, client.get("/metrics").text), what="the metric", within_s=60)

        def recorded() -> bool:
            log = b"".join(path.read_bytes() for path in gateway.audit_folder.rglob("*") if path.is_file())
            return b'"certificate.void"' in log and b'"certificate.alarm"' in log

        eventually(recorded, what="the audit log", within_s=60)

        # Answers of this test's own escalations are labelled too, and may spoil a sample; then the next one is awaited.
        batches = iter(range(20))

        def is_certified_anew() -> bool:
            number = next(batches, None)
            assert number is not None, "no sample did"
            inject(gateway, labelled(FRESH * (number + 1), meaning, f"fresh-{number}", accepted=False))
            return poll(lambda: not standing(gateway)["alarm"], for_s=6)

        eventually(is_certified_anew, what="certifying anew", within_s=100)
        again = standing(gateway)["certificate"]["id"]
        assert again != name
        eventually(lambda: accepted_by() == again, what="the new certificate in force", within_s=60)


def test_an_alarm_survives_a_restart_and_ends_with_what_was_erased(tmp_path: Path) -> None:
    with house(tmp_path) as (gateway, meaning):
        ask(gateway)
        inject(gateway, labelled(400, meaning, "before"))
        assert certify(gateway)["certificate"]
        inject(gateway, labelled(40, meaning, "wrong", right=False))
        eventually(lambda: standing(gateway)["alarm"], what="the alarm", within_s=60)
        gateway.stop()
        with running(gateway.config.read_text(encoding="utf-8"), tmp_path) as again:
            assert standing(again)["alarm"]
            assert b"before-17" in b"".join(path.read_bytes() for path in again.data.glob("freehold.db*"))
            eventually(lambda: ask(again)["answered_by"] == "large", what="escalation", within_s=60)
            with again.http() as client:
                erased = client.delete("/v1/admin/outcomes?tenant=default").json()
            assert erased["outcomes"] > 400
            files = [path for path in again.data.rglob("*") if path.is_file()]
            assert [path for path in files if b"before-17" in path.read_bytes()] == []
            assert standing(again).get("alarm", "") == ""
            eventually(lambda: ask(again)["answered_by"] == "small", what="that all is forgotten", within_s=60)
