"""Layers, provenance, digest, and where the file is looked for."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from freehold.config.load import LoadedConfig, data_folder, find_file, load
from freehold.domain.errors.config import ConfigMissing, ConfigUnreadable

SNAPSHOTS = sorted((Path(__file__).parents[2] / "golden" / "config" / "snapshots").glob("*.toml"))
LADDER = """\
[deployments.my-model]
engine = "embedded"
model = "smollm2-135m"

[routes.auto]
deployments = ["my-model"]
"""


def loaded(folder: Path, text: str, **layers: object) -> LoadedConfig:
    file = folder / "freehold.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, **{"environment": {}, **layers})  # type: ignore[arg-type]


def test_without_a_file_everything_is_a_default() -> None:
    found = load(None, environment={})
    assert (found.config.server.host, found.config.server.port) == ("127.0.0.1", 8484)
    assert found.provenance == {}
    assert found.path is None


def test_each_layer_goes_over_the_one_below(tmp_path: Path) -> None:
    text = "[server]\nport = 1\nhost = 'a'\ndrain_s = 3\n"
    found = loaded(
        tmp_path,
        text,
        environment={"FREEHOLD_SERVER__PORT": "2", "FREEHOLD_SERVER__HOST": "b"},
        flags={"server.port": 3},
    )
    assert (found.config.server.port, found.config.server.host, found.config.server.drain_s) == (3, "b", 3)
    assert found.provenance["server.port"] == "flag"
    assert found.provenance["server.host"] == "environment FREEHOLD_SERVER__HOST"
    assert found.provenance["server.drain_s"] == f"{found.path}:4"
    assert "server.log_level" not in found.provenance
    assert found.flags == {"server.port": 3}


def test_environment_values_have_the_type_of_their_setting(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        LADDER,
        environment={
            "FREEHOLD_SERVER__HOSTS": '["a", "b"]',
            "FREEHOLD_DEPLOYMENTS__MY_MODEL__SLOTS": "7",
            "FREEHOLD_DEPLOYMENTS__MY_MODEL__VISION": "true",
            "FREEHOLD_DEPLOYMENTS__MY_MODEL__MODEL": "123",
            "FREEHOLD_LEDGER__PURCHASE_PRICE": "1299.99",
            "FREEHOLD_HOME": "/nowhere",
            "FREEHOLDER__X": "1",
        },
    )
    deployment = found.config.deployments["my-model"]
    assert found.config.server.hosts == ["a", "b"]
    assert (deployment.slots, deployment.vision, deployment.model) == (7, True, "123")
    assert found.config.ledger.purchase_price == Decimal("1299.99")


def test_a_price_is_what_was_typed(tmp_path: Path) -> None:
    for written in ("0.1", '"0.1"'):
        found = loaded(tmp_path, f"[ledger]\npower_price_per_kwh = {written}\n")
        assert found.config.ledger.power_price_per_kwh == Decimal("0.1")


def test_the_digest_is_of_the_values_not_of_the_text(tmp_path: Path) -> None:
    plain = loaded(tmp_path, LADDER)
    same = loaded(tmp_path, "# comment\n" + LADDER + '[server]\nport = 8484\nhost = "127.0.0.1"\n')
    other = loaded(tmp_path, LADDER + "[server]\nport = 8485\n")
    assert plain.digest == same.digest
    assert plain.digest != other.digest
    assert plain.digest.startswith("sha256:")


def test_the_digest_does_not_depend_on_a_secret(tmp_path: Path) -> None:
    text = LADDER + (
        '[deployments.c]\nengine = "openai"\nmodel = "m"\nzone = "world"\nbase_url = "https://a.example"\n'
        'api_key = "env:KEY"\n'
    )
    digests = {loaded(tmp_path, text, environment={"KEY": value}).digest for value in ("one", "two")}
    assert len(digests) == 1


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = """\
[server]
tls_certificate = "tls/server.pem"
tls_key = "/etc/key.pem"

[calibration]
folder = "~/calibrations"

[deployments.own]
engine = "embedded"
model = "models/own.gguf"

[deployments.named]
engine = "embedded"
model = "smollm2-135m"

[deployments.hub]
engine = "embedded"
model = "hf:owner/repo/file.gguf"

[deployments.far]
engine = "openai"
model = "./not-a-path"
zone = "world"
base_url = "https://a.example"
api_key = "file:secrets/key"
ca_file = "ca.pem"

[telemetry]
otlp_endpoint = "http://127.0.0.1:4318"
otlp_authorization = "file:secrets/otlp"
otlp_ca_file = "otlp.pem"
"""
    config = loaded(tmp_path, text).config
    assert config.server.tls_certificate == str(tmp_path / "tls/server.pem")
    assert config.server.tls_key == "/etc/key.pem"
    assert config.calibration.folder == str(Path.home() / "calibrations")
    models = {name: section.model for name, section in config.deployments.items()}
    assert models == {
        "own": str(tmp_path / "models/own.gguf"),
        "named": "smollm2-135m",
        "hub": "hf:owner/repo/file.gguf",
        "far": "./not-a-path",
    }
    assert config.deployments["far"].api_key == f"file:{tmp_path / 'secrets/key'}"
    assert config.deployments["far"].ca_file == str(tmp_path / "ca.pem")
    assert config.deployments["own"].ca_file == ""
    assert config.telemetry.otlp_authorization == f"file:{tmp_path / 'secrets/otlp'}"
    assert config.telemetry.otlp_ca_file == str(tmp_path / "otlp.pem")


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    variables = {"FREEHOLD_HOME": str(home)}
    with pytest.raises(ConfigMissing, match="freehold up"):
        find_file(None, environment=variables)
    in_home, in_folder, named, given = (
        home / "freehold.toml",
        here / "freehold.toml",
        tmp_path / "named.toml",
        tmp_path / "given.toml",
    )
    in_home.touch()
    assert find_file(None, environment=variables) == in_home
    in_folder.touch()
    assert find_file(None, environment=variables) == in_folder
    variables["FREEHOLD_CONFIG"] = str(named)
    with pytest.raises(ConfigMissing, match=r"named\.toml"):
        find_file(None, environment=variables)  # what was named is never replaced by another file
    named.touch()
    assert find_file(None, environment=variables) == named
    given.touch()
    assert find_file(str(given), environment=variables) == given


def test_data_folder() -> None:
    assert data_folder({"FREEHOLD_HOME": "/data"}) == Path("/data")
    assert data_folder({"XDG_DATA_HOME": "/xdg"}) == Path("/xdg/freehold")
    assert data_folder({"HOME": "/home/a", "XDG_DATA_HOME": "relative"}) == Path("/home/a/.local/share/freehold")
    assert data_folder({"HOME": "/home/a"}) == Path("/home/a/.local/share/freehold")


def test_a_file_that_is_gone_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissing):
        load(tmp_path / "none.toml", environment={})
    with pytest.raises(ConfigUnreadable, match="directory"):
        load(tmp_path, environment={})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.touch(mode=0o000)
    with pytest.raises(ConfigUnreadable, match="denied"):
        load(file, environment={})


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda file: file.stem)
def test_configurations_of_earlier_versions_still_load(snapshot: Path) -> None:
    assert load(snapshot, environment={}).config.deployments


def test_there_are_snapshots() -> None:
    assert SNAPSHOTS
