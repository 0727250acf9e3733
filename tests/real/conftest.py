"""The suite against real servers: on demand, since they take gigabytes and minutes. ``just test-real`` runs it."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.real.house import WAYS, House, Way, house
from tests.real.report import Report
from tests.real.servers import LlamaServer, RealServer, VllmServer
from tools.real_servers import RealServers, default_servers

VARIABLE = "FREEHOLD_TEST_REAL"
"""Set where the servers are set up and the suite is wanted: 1, or the name of the one server to start."""

_REPORT = Report()


@pytest.fixture(scope="session")
def setup() -> RealServers:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-real (sets the servers up, then {VARIABLE}=1)")
    return default_servers()


@pytest.fixture(scope="session")
def real_house(setup: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    folder = tmp_path_factory.mktemp("real")
    vllm, llama = VllmServer(setup, folder), LlamaServer(setup, folder)
    wanted = os.environ[VARIABLE]
    servers: list[RealServer] = [server for server in (vllm, llama) if wanted in ("1", server.name)]
    try:
        for server in servers:
            server.start()
            _REPORT.note(f"{server.name}: from start to first health, s", round(server.ready_after_s, 1))
        _REPORT.begin([server.version for server in servers])
        with house(folder, vllm, llama) as running:
            yield running
    finally:
        for server in servers:
            server.close()


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@pytest.fixture
def report() -> Report:
    """Where measurements go."""
    return _REPORT


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _REPORT.count(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was measured, and keep it where the whole suite was asked."""
    if os.environ.get(VARIABLE):
        terminalreporter.write_line("\n".join(["", *_REPORT.lines()]))
        if not (config.option.keyword or config.option.markexpr):
            _REPORT.keep()
