"""A configuration goes to another process and comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.config.compile import compile_config
from freehold.config.handover import hand_over, take_over
from freehold.config.load import config_digest, load
from freehold.domain.errors.config import ConfigInvalid
from tools.example_config import uncommented
from tools.generate_reference import ROOT

EXAMPLE = (ROOT / "freehold.example.toml").read_text("utf-8")
REMOTE = "[deployments.far]\nengine = 'openai'\nmodel = 'm'\nzone = 'lan'\nbase_url = 'http://10.0.0.1/v1'\n"
OURS = "[deployments.near]\nengine = 'embedded'\nmodel = 'm'\n"
PROGRAM = "[deployments.own]\nengine = 'llama-server'\nmodel = 'm'\nprogram = '/bin/true'\n"


@pytest.mark.parametrize("text", [EXAMPLE, uncommented(EXAMPLE)])
def test_a_configuration_survives_the_way(tmp_path: Path, text: str) -> None:
    path = tmp_path / "freehold.toml"
    path.write_text(text, encoding="utf-8")
    loaded = load(path, environment={"FREEHOLD_SERVER__DRAIN_S": "7"}, flags={"server.port": 9000})
    taken = take_over(json.loads(json.dumps(hand_over(loaded))))
    assert taken == loaded
    assert config_digest(taken.config) == loaded.digest
    variables = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}
    if text == EXAMPLE:
        assert compile_config(taken, environment=variables) == compile_config(loaded, environment=variables)


@pytest.mark.parametrize(("workers", "deployments"), [(1, OURS + PROGRAM + REMOTE), (0, REMOTE), (8, REMOTE), (8, "")])
def test_workers_that_can_work(tmp_path: Path, workers: int, deployments: str) -> None:
    path = tmp_path / "freehold.toml"
    path.write_text(f"[server]\nworkers = {workers}\n{deployments}", encoding="utf-8")
    assert load(path, environment={}).config.server.workers == workers


@pytest.mark.parametrize("workers", [0, 2])
def test_an_engine_of_ours_serves_one_process(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "freehold.toml"
    path.write_text(f"[server]\nworkers = {workers}\n{OURS}{PROGRAM}{REMOTE}", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load(path, environment={})
    near, own = caught.value.mistakes
    assert near.startswith("line 4: deployments.near.engine: ")
    assert "set workers = 1" in near
    assert "deployments.own.engine" in own
