"""Signatures on models and bundles: whose count, what is refused, and that nothing wrong reaches an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.app.model_trust import KeyTrust, TrustNow, make_key, read_key, signed_by, trust_of, verifier_key
from freehold.cli.run import run
from freehold.config.compile import ModelTrustPlan, compile_config
from freehold.config.load import load
from freehold.domain.errors.engine import ModelUnvouched
from freehold.domain.errors.model_versions import BundleUnsigned, SignatureMissing, SignatureWrong, SigningKeyUnusable
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from freehold.serving.signed import manifest_text
from tests.support.gguf_files import tiny_model
from tests.unit.serving.test_registry import digest, install

NAME = "hf:o/r/f.gguf"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def registry(home: Path) -> ModelRegistry:
    found = ModelRegistry(home / "models")
    install(found, NAME)
    return found


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key("models.example.org", tmp_path / "own.key")
    return tmp_path / "own.key"


def trusting(registry: ModelRegistry, *keys: Path, unsigned: bool = False) -> ModelRegistry:
    registry.trust = KeyTrust(keys=tuple(read_key(each).verifier for each in keys), unsigned=unsigned)
    return registry


def test_what_somebody_trusted_signed_is_loaded(registry: ModelRegistry, key: Path) -> None:
    assert run(("models", "sign", NAME, "--key", str(key))) == 0
    assert trusting(registry, key).load(NAME).header.layers == 2
    assert registry.load(f"{NAME}@sha256:{digest(tiny_model())}").header.layers == 2


def test_what_nobody_signed_is_refused_where_that_is_asked_for(registry: ModelRegistry, key: Path) -> None:
    with pytest.raises(SignatureMissing):
        trusting(registry, key).load(NAME)
    assert trusting(registry, key, unsigned=True).load(NAME)


def test_a_files_of_ones_own_is_refused_too(registry: ModelRegistry, key: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(tiny_model())
    with pytest.raises(SignatureMissing):
        trusting(registry, key).load(str(own))


def test_somebody_else_counts_as_nobody(registry: ModelRegistry, key: Path, tmp_path: Path) -> None:
    make_key("models.example.org", tmp_path / "other.key")
    assert run(("models", "sign", NAME, "--key", str(tmp_path / "other.key"))) == 0
    with pytest.raises(SignatureMissing):
        trusting(registry, key).load(NAME)


def test_a_key_that_comes_or_goes_holds_for_files_that_were_checked_before(registry: ModelRegistry, key: Path) -> None:
    files = registry.checked_files(registry.load(NAME).model, of="small")
    files.check()
    trusting(registry, key)
    with pytest.raises(ModelUnvouched, match="nobody whom the configuration trusts has signed it"):
        files.check()
    assert run(("models", "sign", NAME, "--key", str(key))) == 0
    files.check()
    trusting(registry)
    with pytest.raises(ModelUnvouched):
        files.check()
    trusting(registry, key)
    files.check()


def test_what_the_configuration_states_at_the_moment_counts(registry: ModelRegistry, key: Path) -> None:
    plan = ModelTrustPlan()
    registry.trust = TrustNow(lambda: plan)
    files = registry.checked_files(registry.load(NAME).model, of="small")
    files.check()
    plan = ModelTrustPlan(keys=(read_key(key).verifier.text,), unsigned=False)
    with pytest.raises(ModelUnvouched):
        files.check()


@pytest.mark.parametrize("unsigned", [True, False])
@pytest.mark.parametrize("harm", ["signature", "text", "other content", "garbage", "other name"])
def test_a_wrong_signature_is_refused_in_any_case(
    registry: ModelRegistry, key: Path, harm: str, *, unsigned: bool
) -> None:
    sha256 = digest(tiny_model())
    manifest = registry.shelf.read(sha256)
    assert manifest is not None
    note = signed_by(manifest_text(manifest, NAME), [read_key(key)])
    first = note.rindex(" ") + 12
    harmed = {
        "signature": note[:first] + ("A" if note[first] != "A" else "B") + note[first + 1 :],
        "text": note.replace("MIT", "BSD"),
        "other content": signed_by(manifest_text(manifest, NAME).replace(sha256, "0" * 64), [read_key(key)]),
        "garbage": "no note",
        "other name": signed_by(manifest_text(manifest, "other"), [read_key(key)]),
    }
    registry.signatures.keep(NAME, sha256, harmed[harm])
    with pytest.raises(SignatureWrong):
        trusting(registry, key, unsigned=unsigned).load(NAME)


def test_a_switch_asks_for_the_signature_of_the_new_version(registry: ModelRegistry, key: Path) -> None:
    content = tiny_model(name="Two.")
    fetched = registry.folder / "fetched"
    fetched.write_bytes(content)
    registry.install_beside(fetched, name=NAME, sha256=digest(content), facts=Facts(license="", origin="", unix_ms=1))
    assert run(("models", "sign", NAME, "--key", str(key))) == 0
    vkey = read_key(key).verifier.text
    Path("freehold.toml").write_text(f'[models]\ntrusted_keys = ["{vkey}"]\n')
    assert run(("models", "switch", NAME, "--without-canary")) == 1, "nobody signed that one"
    assert registry.find(NAME).sha256 == digest(tiny_model())
    assert run(("models", "sign", NAME, "--key", str(key), "--to", digest(content))) == 0
    assert run(("models", "switch", NAME, "--without-canary")) == 0


def test_values_cannot_pretend_to_be_other_lines(registry: ModelRegistry) -> None:
    manifest = registry.shelf.read(digest(tiny_model()))
    assert manifest is not None
    from dataclasses import replace

    text = manifest_text(replace(manifest, license='x"\n\nsha256 "y'), NAME)
    assert len(text.splitlines()) == 8
    assert "\n\n" not in text


def test_keys_are_the_owners_alone(tmp_path: Path, key: Path) -> None:
    assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(SigningKeyUnusable):
        make_key("x", key)
    key.chmod(0o644)
    with pytest.raises(SigningKeyUnusable, match="others can read it"):
        read_key(key)
    for wrong in ("", "x", "PRIVATE+KEY+x+00000000+AAAA"):
        (tmp_path / "wrong").write_text(wrong)
        (tmp_path / "wrong").chmod(0o600)
        with pytest.raises(SigningKeyUnusable):
            read_key(tmp_path / "wrong")
    with pytest.raises(SigningKeyUnusable):
        read_key(tmp_path / "none")
    with pytest.raises(SigningKeyUnusable):
        verifier_key("x+y+z")
    with pytest.raises(SigningKeyUnusable):
        make_key("two words", tmp_path / "k")


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("", ModelTrustPlan()),
        ('[models]\ntrusted_keys = ["K"]', ModelTrustPlan(keys=("K",), unsigned=False)),
        (
            '[models]\ntrusted_keys = ["K"]\nunsigned = "allow"',
            ModelTrustPlan(keys=("K",), unsigned=True, says_unsigned=True),
        ),
        ('[models]\nunsigned = "refuse"', ModelTrustPlan(unsigned=False)),
    ],
)
def test_unsigned_is_allowed_only_where_the_setting_says_so_once_there_are_keys(
    tmp_path: Path, text: str, plan: ModelTrustPlan
) -> None:
    path = tmp_path / "f.toml"
    path.write_text(text)
    assert compile_config(load(path), environment={}).models == plan
    if plan.keys:
        with pytest.raises(SigningKeyUnusable):
            trust_of(plan)


def test_a_bundle_is_taken_by_its_signature(home: Path, registry: ModelRegistry, key: Path, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert run(("models", "sign", NAME, "--key", str(key))) == 0
    bundle, plain = str(tmp_path / "b.tar"), str(tmp_path / "plain.tar")
    assert run(("bundle", "export", bundle, "--no-wheels", "--key", str(key))) == 0
    assert run(("bundle", "export", plain, "--no-wheels")) == 0
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "far"))
    far = ModelRegistry(tmp_path / "far" / "models")
    vkey = read_key(key).verifier.text
    capsys.readouterr()
    for arguments in ((bundle,), (plain, "--key", vkey)):
        assert run(("bundle", "import", *arguments)) == 1
        assert BundleUnsigned.code in capsys.readouterr().err
        assert far.installed() == ()
    make_key("models.example.org", tmp_path / "other.key")
    assert run(("bundle", "import", bundle, "--key", read_key(tmp_path / "other.key").verifier.text)) == 1
    assert run(("bundle", "import", bundle, "--key", vkey)) == 0
    assert trusting(far, key).load(NAME).header.layers == 2, "the model's own signature came along"
    content = Path(bundle).read_bytes()
    Path(bundle).write_bytes(content.replace(b'"origin": "test"', b'"origin": "best"', 1))
    capsys.readouterr()
    assert run(("bundle", "import", bundle, "--key", vkey)) == 1
    assert SignatureWrong.code in capsys.readouterr().err
    assert run(("bundle", "import", plain, "--unsigned")) == 0
