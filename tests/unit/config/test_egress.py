"""``[egress]``: whose credentials are read, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.app.broker_places import places_of
from freehold.app.check import problems
from freehold.config.compile import compile_config
from freehold.config.load import LoadedConfig, load
from freehold.domain.errors.config import ConfigInvalid, SecretUnreadable
from freehold.net.brokered.reads import HubPart

CONFIG = """
[deployments.near]
engine = "openai"
model = "m"
zone = "device"
base_url = "http://127.0.0.1:1/v1"
api_key = "env:NEAR"
[deployments.far]
engine = "openai"
model = "m"
zone = "world"
base_url = "https://far.test/v1"
api_key = "env:FAR"
"""
PLACE = 'broker = "unix:///run/x"\n'
BROKER = '[egress]\nbroker = "unix:///run/broker.sock"\n'


def _loaded(folder: Path, text: str) -> LoadedConfig:
    path = folder / "freehold.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_where_a_broker_connects_only_it_reads_the_credentials_of_what_is_far(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, CONFIG + BROKER)
    near = {"NEAR": "near-key"}
    compiled = compile_config(loaded, environment=near)
    assert compiled.broker == "unix:///run/broker.sock"
    assert [plan.settings.credential for plan in compiled.deployments] == ["near-key", ""]
    assert problems(loaded, environment=near) == []
    with pytest.raises(SecretUnreadable):
        compile_config(loaded, environment=near, as_broker=True)
    broker = compile_config(loaded, environment=near | {"FAR": "far-key"}, as_broker=True)
    assert [plan.settings.credential for plan in broker.deployments] == ["near-key", "far-key"]
    assert broker.broker == "", "the broker is not its own server"


def test_without_one_the_server_reads_them_all(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, CONFIG)
    with pytest.raises(SecretUnreadable):
        compile_config(loaded, environment={"NEAR": "near-key"})
    assert compile_config(loaded, environment={"NEAR": "n", "FAR": "f"}).broker == ""


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ('broker = "http://127.0.0.1:1"', "write unix://"),
        ('broker = "unix://run/x"', "write unix://"),
        ('broker = "/run/x"', "write unix://"),
        ('broker = "unix:///run/a b"', "write unix://"),
        ('users = ["freehold"]', "set broker"),
        ('broker = "unix:///run/x"\nusers = ["-1"]', "no name or number"),
        ('broker = "unix:///run/x"\nusers = ["a b"]', "no name or number"),
        ('brokr = "unix:///run/x"', "broker"),
        ('hub = ["https://hub.test"]', "set broker"),
        (f'{PLACE}hub = ["http://hub.test"]', "must not leave the network in clear"),
        (f'{PLACE}hub = ["https://user:secret@hub.test"]', "no user, no query"),
        (f'{PLACE}hub = ["https://hub.test?x"]', "no user, no query"),
        (f'{PLACE}hub = ["hub.test"]', "write http"),
        (f'{PLACE}hub = ["unix:///hub"]', "zone must be 'device'"),
        (f'{PLACE}hub = ["http://127.0.0.1:1"]\nhub_zone = "device"', "beyond this device"),
        (f'{PLACE}hub = ["https://hub.test"]\nhub_zone = "wrld"', "none of this site's zones"),
        (f'{PLACE}hub = ["https://hub.test"]\n[hub]\nendpoint = "https://other.test"', "must be the hub"),
    ],
)
def test_mistakes(tmp_path: Path, section: str, told: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        _loaded(tmp_path, f"[egress]\n{section}\n")
    assert told in "\n".join(refused.value.mistakes)


def test_a_hub_is_read_where_it_is_named(tmp_path: Path) -> None:
    """The broker's places: the hub, then its storage; none of them where none is named, whatever ``[hub]`` says."""
    text = (
        BROKER
        + 'hub = ["https://hub.test/mirror/", "https://store.test"]\n[hub]\nendpoint = "https://hub.test/mirror"\n'
    )
    loaded = _loaded(tmp_path, text)
    found = list(places_of(loaded, compile_config(loaded, environment={}, as_broker=True), {}))
    assert [(each.name, each.origin, each.zone, each.hub_part) for each in found] == [
        ("model hub", "https://hub.test:443", "world", HubPart.HUB),
        ("model storage 1", "https://store.test:443", "world", HubPart.STORAGE),
    ]
    assert not any(each.paths or each.headers or each.deployment for each in found)
    loaded = _loaded(tmp_path, BROKER + '[hub]\nendpoint = "https://hub.test"\n')
    assert list(places_of(loaded, compile_config(loaded, environment={}, as_broker=True), {})) == []
