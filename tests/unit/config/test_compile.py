"""From settings to domain values: what is not said is filled in fail-closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.config.compile import Compiled, DeploymentPlan, compile_config
from freehold.config.load import load
from freehold.domain.deployment import EngineKind, Instead, StreamMode, TokenPrice, Uncalibrated
from freehold.domain.errors.config import SecretUnreadable
from freehold.domain.labels import Level
from freehold.domain.zones import DEVICE
from freehold.engines.llama.settings import LlamaSettings

TEXT = """\
[site]
region = "eu"
regions = ["us"]

[deployments.small]
engine = "embedded"
model = "smollm2-135m"
tools = false

[deployments.office]
engine = "openai"
model = "qwen3-32b"
base_url = "http://10.0.0.20:8000/v1"
zone = "lan"

[deployments.cloud]
engine = "anthropic"
model = "claude-haiku"
base_url = "https://api.example"
api_key = "env:KEY"
zone = "us"

[deployments.bound]
engine = "openai"
model = "m"
base_url = "https://api.example/v1"
zone = "eu"
clearance = "confidential"
kinds = ["pii"]
retention_days = 30
trains = false
contracts = ["dpa"]
evidence = { url = "https://api.example/terms", checked = 2026-01-01, expires = 2027-01-01 }
price = { input_per_mtok = 0.15, output_per_mtok = "0.6", since = 2026-02-01 }

[prices.of-november]
model = "openai/gpt-4o"
since = 2026-11-01
input_per_mtok = 2
output_per_mtok = 8
cached_input_per_mtok = 0.5

[routes.auto]
deployments = ["small", "office", "cloud"]
attempts_max = 3
accept_at = 0.8
uncalibrated = "escalate"
stream = "commit"
when_busy = ["smaller", "overflow-farther"]
label = "internal"

[routes.plain]
deployments = ["small"]

[aliases]
gpt-4o = "auto"

[ledger]
currency = "EUR"
"""


def compiled(folder: Path, text: str = TEXT, **environment: str) -> Compiled:
    file = folder / "freehold.toml"
    file.write_text(text, encoding="utf-8")
    variables = environment or {"KEY": "sk-1"}
    return compile_config(load(file, environment=variables), environment=variables)


@pytest.fixture
def plans(tmp_path: Path) -> dict[str, DeploymentPlan]:
    return {plan.deployment.name: plan for plan in compiled(tmp_path).deployments}


def test_own_hardware_may_have_everything(plans: dict[str, DeploymentPlan]) -> None:
    small = plans["small"].deployment
    assert (small.engine, small.zone, small.is_on_device) == (EngineKind.EMBEDDED, DEVICE, True)
    assert small.terms.clearance is Level.RESTRICTED
    assert small.terms.kinds is None
    assert (small.terms.retention_days, small.terms.trains) == (0, False)


def test_the_own_network_is_cleared_for_nothing_unsaid(plans: dict[str, DeploymentPlan]) -> None:
    terms = plans["office"].deployment.terms
    assert (terms.clearance, terms.kinds) == (Level.PUBLIC, frozenset())
    assert (terms.retention_days, terms.trains) == (0, False)


def test_further_out_what_is_not_said_is_the_worst(plans: dict[str, DeploymentPlan]) -> None:
    terms = plans["cloud"].deployment.terms
    assert (terms.clearance, terms.kinds, terms.contracts) == (Level.PUBLIC, frozenset(), frozenset())
    assert terms.trains
    assert terms.retention_days > 365


def test_what_is_said_holds(plans: dict[str, DeploymentPlan]) -> None:
    terms = plans["bound"].deployment.terms
    assert (terms.clearance, terms.kinds) == (Level.CONFIDENTIAL, frozenset({"pii"}))
    assert (terms.retention_days, terms.trains, terms.contracts) == (30, False, frozenset({"dpa"}))
    assert terms.expires_unix_ms == 1_798_761_600_000  # 2027-01-01T00:00Z


def test_prices_become_micro_units(plans: dict[str, DeploymentPlan]) -> None:
    assert plans["bound"].deployment.price == TokenPrice(
        input_micros_per_mtok=150_000,
        output_micros_per_mtok=600_000,
        currency="EUR",
        source="config",
        effective="2026-02-01",
    )
    assert plans["cloud"].deployment.price is None


def test_prices_of_models_have_a_day_and_a_name(tmp_path: Path) -> None:
    (dated,) = compiled(tmp_path).prices
    assert (dated.model, dated.from_unix_ms) == ("openai/gpt-4o", 1_793_491_200_000)  # 2026-11-01T00:00Z
    assert dated.price == TokenPrice(
        input_micros_per_mtok=2_000_000,
        output_micros_per_mtok=8_000_000,
        cached_input_micros_per_mtok=500_000,
        currency="EUR",
        source="config",
        price_version="prices.of-november",
        effective="2026-11-01",
    )


def test_secrets_are_resolved_and_not_shown(plans: dict[str, DeploymentPlan]) -> None:
    assert plans["cloud"].settings.credential == "sk-1"
    assert "sk-1" not in repr(plans["cloud"])
    assert plans["small"].settings.credential == ""


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadable, match=r"deployments\.cloud\.api_key"):
        compiled(tmp_path, OTHER="x")


def test_only_stated_capabilities_count_as_said(plans: dict[str, DeploymentPlan]) -> None:
    assert plans["small"].said == {"tools"}
    assert not plans["small"].deployment.model.tools
    assert plans["office"].said == frozenset()
    assert plans["office"].deployment.model.tools


def test_routes_zones_and_names(tmp_path: Path) -> None:
    found = compiled(tmp_path)
    auto = found.routes["auto"]
    assert auto.deployments == ("small", "office", "cloud")
    assert (auto.attempts_max, auto.accept_at) == (3, 0.8)
    assert (auto.uncalibrated, auto.stream) == (Uncalibrated.ESCALATE, StreamMode.COMMIT)
    assert auto.when_busy == (Instead.SMALLER, Instead.OVERFLOW_FARTHER)
    assert auto.when_down == (Instead.QUEUE,)
    assert found.routes["plain"].stream is StreamMode.HOLD
    assert found.route_labels == {"auto": "internal"}
    assert found.aliases == {"gpt-4o": "auto"}
    assert found.tree.zones == {"device", "lan", "eu", "us", "world"}
    assert found.tree.site_region == "eu"


def test_auto_is_every_deployment_unless_it_means_something_else(tmp_path: Path) -> None:
    deployments = (
        '[deployments.a]\nengine = "embedded"\nmodel = "m"\n[deployments.b]\nengine = "embedded"\nmodel = "n"\n'
    )
    assert compiled(tmp_path, deployments).routes["auto"].deployments == ("a", "b")
    aliased = compiled(tmp_path, deployments + '[aliases]\nauto = "b"\n')
    assert "auto" not in aliased.routes
    assert not compiled(tmp_path, "").routes


def test_there_is_always_a_tenant(tmp_path: Path) -> None:
    assert compiled(tmp_path).tenants == {"default": "internal"}
    named = compiled(tmp_path, TEXT + '[tenants.finance]\nlabel = "confidential"\n')
    assert named.tenants == {"finance": "confidential"}


def test_deployments_keep_the_order_of_the_file(tmp_path: Path) -> None:
    names = [plan.deployment.name for plan in compiled(tmp_path).deployments]
    assert names == ["small", "office", "cloud", "bound"]


@pytest.mark.parametrize(
    ("tenants", "said", "cache"),
    [((), "", "shared"), (("a",), "", "shared"), (("a", "b"), "", "unused"), (("a", "b"), "shared", "shared")],
)
def test_what_a_llama_server_keeps_is_used_again_where_nobody_could_learn_from_it(
    tmp_path: Path, tenants: tuple[str, ...], said: str, cache: str
) -> None:
    text = '[deployments.box]\nengine = "llama-server"\nmodel = "m"\nbase_url = "http://10.0.0.21:8080"\nzone = "lan"\n'
    text += f'prompt_cache = "{said}"\n' if said else ""
    text += "".join(f"[tenants.{name}]\n" for name in tenants)
    (tmp_path / "freehold.toml").write_text(text)
    (plan,) = compile_config(load(tmp_path / "freehold.toml"), environment={}).deployments
    assert plan.settings.prompt_cache.value == cache


@pytest.mark.parametrize("tenants", ["", '[tenants.a]\nlabel = "public"\n[tenants.b]\nlabel = "public"\n'])
@pytest.mark.parametrize("text", ['engine = "embedded"', 'engine = "llama-server"\nprogram = "/opt/llama-server"'])
def test_an_engine_of_ours_keeps_its_own_cache_apart_however_many_tenants_there_are(
    tmp_path: Path, text: str, tenants: str
) -> None:
    (tmp_path / "freehold.toml").write_text(f'[deployments.small]\nmodel = "smollm2-135m"\n{text}\n{tenants}')
    (plan,) = compile_config(load(tmp_path / "freehold.toml"), environment={}).deployments
    assert plan.settings.prompt_cache.value == "unused"
    LlamaSettings(model_path="/models/m.gguf", prompt_cache=plan.settings.prompt_cache)
