"""What keeps a gateway from starting is told all at once, with its line, and without a secret."""

from __future__ import annotations

from pathlib import Path

from freehold.app.check import model_problems, problems
from freehold.app.model_trust import KeyTrust
from freehold.config.compile import compile_config
from freehold.config.load import LoadedConfig, load
from freehold.serving.registry import ModelRegistry
from tests.support.gguf_files import OWN_FILES, tiny_model

LADDER = """\
[deployments.near]
engine = "openai"
model = "m"
zone = "lan"
base_url = "https://near.test/v1"
api_key = "env:NEAR_KEY"
ca_file = "authority.pem"

[deployments."far.off"]
engine = "openai"
model = "m"
zone = "world"
base_url = "https://far.test/v1"
api_key = "file:far-key"

[routes.auto]
deployments = ["near", "far.off"]
label = "secrett"

[tenants.default]
label = "internal;zones=moon"

[calibration]
folder = "calibrations"
"""


def loaded(folder: Path) -> LoadedConfig:
    file = folder / "freehold.toml"
    file.write_text(LADDER, encoding="utf-8")
    return load(file, environment={})


def test_everything_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    found = [line.replace(f"{tmp_path}/", "") for line in problems(loaded(tmp_path), environment={})]
    assert [line.split(": ")[:2] for line in found] == [
        ["freehold.toml:6", "deployments.near.api_key"],
        ["freehold.toml:14", 'deployments."far.off".api_key'],
        ["freehold.toml:7", "deployments.near.ca_file"],
        ["freehold.toml:24", "calibration.folder"],
        ["freehold.toml:21", "tenants.default.label"],
        ["freehold.toml:18", "routes.auto.label"],
    ]
    assert "NEAR_KEY is not set" in found[0]
    assert "No such file" in found[1]
    assert found[2].endswith("there is no file authority.pem")
    assert "'moon' is not one of this site's zones" in found[4]
    assert "'secrett' is not a level" in found[5]


def test_nothing_is_told_where_nothing_is_wrong(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    (tmp_path / "authority.pem").touch()
    (tmp_path / "calibrations").mkdir()
    key = tmp_path / "far-key"
    key.write_text("sk-live-1")
    key.chmod(0o600)
    text = (tmp_path / "freehold.toml").read_text().replace("secrett", "restricted").replace("moon", "lan")
    (tmp_path / "freehold.toml").write_text(text)
    assert problems(load(config.path, environment={}), environment={"NEAR_KEY": "sk-live-2"}) == []


def test_a_secret_is_in_no_line(tmp_path: Path) -> None:
    key = tmp_path / "far-key"
    key.write_text("sk-live-of-the-far-one")
    key.chmod(0o644)
    told = "\n".join(problems(loaded(tmp_path), environment={"NEAR_KEY": "sk-live\nnear"}))
    assert "others can read it" in told
    assert "printable ASCII" in told
    assert "sk-live" not in told


def test_a_value_from_a_flag_says_so(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text("", encoding="utf-8")
    config = load(file, environment={}, flags={"server.tls_certificate": "/nowhere.pem", "server.tls_key": "/no.key"})
    assert problems(config, environment={}) == [
        "flag: server.tls_certificate: there is no file /nowhere.pem",
        "flag: server.tls_key: there is no file /no.key",
    ]


def test_files_of_models_and_adapters_are_looked_for_and_pulled_ones_are_not(tmp_path: Path) -> None:
    """A machine that only checks has pulled nothing."""
    file = tmp_path / "freehold.toml"
    file.write_text(OWN_FILES.format(adapters='["gone.gguf@0.5", "picture.gguf"]'), encoding="utf-8")
    (tmp_path / "picture.gguf").write_bytes(b"\x89PNG\r\n")
    config = load(file, environment={})
    assert [line.replace(f"{tmp_path}/", "") for line in problems(config, environment={})] == [
        "freehold.toml:3: deployments.own.model: there is no file own.gguf",
        "freehold.toml:4: deployments.own.adapters: there is no file gone.gguf",
        "freehold.toml:4: deployments.own.adapters: picture.gguf is no GGUF file",
    ]
    for name in ("own.gguf", "gone.gguf", "picture.gguf"):
        (tmp_path / name).write_bytes(tiny_model())
    assert problems(config, environment={}) == []


def test_files_of_ones_own_that_nobody_vouched_for_are_told_where_signatures_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text(OWN_FILES.format(adapters='["gone.gguf@0.5"]'), encoding="utf-8")
    for name in ("own.gguf", "gone.gguf"):
        (tmp_path / name).write_bytes(tiny_model())
    config = load(file, environment={})
    compiled, registry = compile_config(config, environment={}), ModelRegistry(tmp_path / "models")
    mistakes, remarks = model_problems(config, compiled, registry)
    assert mistakes == []
    assert [line.split(": ")[1] for line in remarks] == ["deployments.pulled.model"]
    registry.trust = KeyTrust(keys=(), unsigned=False)
    mistakes, _ = model_problems(config, compiled, registry)
    assert [line.replace(f"{tmp_path}/", "").partition(" is not used: nobody ")[0] for line in mistakes] == [
        "freehold.toml:3: deployments.own.model: 'own'",
        "freehold.toml:4: deployments.own.adapters: gone.gguf",
    ]
