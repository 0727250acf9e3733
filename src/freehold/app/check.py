"""What a configuration refers to and only this machine can say: secrets, files, rules, and labels on its zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from freehold.app.model_trust import verifier_key
from freehold.app.rules import rulebook_of
from freehold.config.checks import zone_tree
from freehold.config.compile import Compiled, compile_config
from freehold.config.lines import KeyPath, dotted
from freehold.config.load import LoadedConfig
from freehold.config.paths import is_model_path
from freehold.config.secrets import read_secret
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.config import SecretUnreadable
from freehold.domain.errors.model import ModelNotInstalled, ModelUnknown
from freehold.domain.errors.model_versions import SignatureMissing, SigningKeyUnusable
from freehold.domain.errors.policy import PolicyError, RulesInvalid
from freehold.domain.zones import DEVICE
from freehold.policy.text import parse_label
from freehold.serving.gguf_types import MAGIC
from freehold.serving.registry import ModelRegistry

_LLAMA = frozenset({"embedded", "llama-server"})
_OURS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER, EngineKind.ONNX})

UNDECLARED_TOOLS = (
    "none is declared, so from the second turn of an agent on every call waits for a human; say what each does:"
    ' [tools.NAME] effect = "none" or "read", and trusted = true'
)


def problems(loaded: LoadedConfig, *, environment: Mapping[str, str]) -> list[str]:
    """Everything that would keep a gateway from starting with this configuration, one line each, all at once.

    Args:
        loaded: A configuration whose values hold by themselves.
        environment: Variables in which ``env:`` secrets are looked for.

    Returns:
        Lines that begin with ``FILE:LINE`` where the value came from the file; empty where nothing is wrong. A
        secret itself is in none of them.
    """
    found = [
        *_secrets(loaded, environment),
        *_files(loaded),
        *_models(loaded),
        *_labels(loaded),
        *_keys(loaded),
        *_rules(loaded, environment),
    ]
    return [f"{loaded.provenance.get(dotted(path), 'default')}: {dotted(path)}: {text}" for path, text in found]


def remark_on_tools(compiled: Compiled) -> str:
    """What operators of agents should know of a configuration that says nothing of tools; empty where it does, or none runs."""
    if compiled.trust.tools:
        return ""
    models = [each.deployment.model for each in compiled.deployments if each.deployment.engine is not EngineKind.ONNX]
    return UNDECLARED_TOOLS if any(model.tools and not model.embeds and not model.reranks for model in models) else ""


def model_problems(loaded: LoadedConfig, compiled: Compiled, registry: ModelRegistry) -> tuple[list[str], list[str]]:
    """What is wrong with the models that deployments of ours name, going by what is installed on this machine.

    Args:
        loaded: A configuration without ``problems``.
        compiled: The same in domain values.
        registry: The models of this machine, as far as the configuration trusts them.

    Returns:
        Mistakes, and remarks: a model that is not installed keeps a server from starting here, though not where it was pulled,
        and a machine that only checks has pulled nothing.
    """
    mistakes: list[str] = []
    remarks: list[str] = []
    for path, name in _named_models(compiled):
        where = f"{loaded.provenance.get(dotted(path), 'default')}: {dotted(path)}: "
        try:
            registry.check_signed(registry.resolve(name))
        except (ModelNotInstalled, ModelUnknown) as error:
            remarks.append(f"{where}a server does not start here: {error.message}")
        except FreeholdError as error:
            mistakes.append(f"{where}{error.message}")
    mistakes += _unvouched(loaded, compiled, registry)
    return mistakes, remarks


def _unvouched(loaded: LoadedConfig, compiled: Compiled, registry: ModelRegistry) -> Iterator[str]:
    """Adapters without a digest, where signatures are asked for: nobody can sign one."""
    for plan in compiled.deployments:
        for adapter in plan.settings.options.adapters:
            path = dotted(("deployments", plan.deployment.name, "adapters"))
            try:
                if not adapter.sha256:
                    registry.trust.check("", "", name=adapter.name)
            except SignatureMissing:
                where = f"{loaded.provenance.get(path, 'default')}: {path}"
                yield f"{where}: {adapter.path} is not used: nobody can sign an adapter; name its digest in adapter_digests"


def _named_models(compiled: Compiled) -> Iterator[tuple[KeyPath, str]]:
    for plan in compiled.deployments:
        if plan.deployment.engine not in _OURS or plan.settings.base_url:
            continue
        path = ("deployments", plan.deployment.name)
        yield (*path, "model"), plan.deployment.model.name
        if draft := plan.settings.options.draft_model:
            yield (*path, "draft_model"), draft


def _secrets(loaded: LoadedConfig, environment: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    for name, section in loaded.config.deployments.items():
        if section.api_key is None or (loaded.config.egress.broker and section.zone not in {None, DEVICE}):
            continue  # a credential that only the broker's process reads is told of when that starts
        path = ("deployments", name, "api_key")
        try:
            read_secret(section.api_key, key=dotted(path), environment=environment)
        except FreeholdError as error:
            yield path, f"{section.api_key} cannot be read: {error.values.get('reason', error.message)}"


def _files(loaded: LoadedConfig) -> Iterator[tuple[KeyPath, str]]:
    server = loaded.config.server
    named: dict[KeyPath, str] = {
        ("server", "tls_certificate"): server.tls_certificate,
        ("server", "tls_key"): server.tls_key,
    }
    for name, section in loaded.config.deployments.items():
        named["deployments", name, "ca_file"] = section.ca_file
        named["deployments", name, "program"] = section.program
    for path, file in named.items():
        if file and not Path(file).is_file():
            yield path, f"there is no file {file}"
    folder = loaded.config.calibration.folder
    if folder and not Path(folder).is_dir():
        yield ("calibration", "folder"), f"there is no folder {folder}"


def _models(loaded: LoadedConfig) -> Iterator[tuple[KeyPath, str]]:
    """Files of models that are named by their paths. What is named otherwise is pulled, and told of where it is used."""
    for name, section in loaded.config.deployments.items():
        if section.engine not in _LLAMA or section.base_url:
            continue
        named = [(key, getattr(section, key)) for key in ("model", "draft_model")]
        files = [(key, text) for key, text in named if is_model_path(text)]
        files += [("adapters", each.partition("@")[0]) for each in section.adapters]
        for key, file in files:
            if reason := _no_gguf(Path(file)):
                yield ("deployments", name, key), reason


def _no_gguf(path: Path) -> str:
    """Why there can be no model or adapter in a file, by its beginning; empty where there can."""
    if not path.is_file():
        return f"there is no file {path}"
    try:
        with path.open("rb") as stream:
            begins = stream.read(len(MAGIC))
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return "" if begins == MAGIC else f"{path} is no GGUF file"


def _labels(loaded: LoadedConfig) -> Iterator[tuple[KeyPath, str]]:
    tree = zone_tree(loaded.config)
    labels: dict[KeyPath, str] = {
        ("tenants", name, "label"): tenant.label for name, tenant in loaded.config.tenants.items()
    }
    labels |= {("routes", name, "label"): route.label for name, route in loaded.config.routes.items() if route.label}
    for path, text in labels.items():
        try:
            parse_label(text, tree)
        except FreeholdError as error:
            yield path, f"{text!r} cannot be read: {error.values.get('reason', error.message)}"


def _keys(loaded: LoadedConfig) -> Iterator[tuple[KeyPath, str]]:
    for text in loaded.config.models.trusted_keys:
        try:
            verifier_key(text)
        except SigningKeyUnusable as error:
            yield ("models", "trusted_keys"), f"{text[:80]!r} is no public key: {error.values.get('reason', '')}"


def _rules(loaded: LoadedConfig, environment: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    try:
        rulebook_of(compile_config(loaded, environment=environment))
    except SecretUnreadable:
        return  # told above; the rules are looked at once it is there
    except PolicyError as error:
        for line in error.mistakes if isinstance(error, RulesInvalid) else (error.message,):
            yield ("policy", "rules"), line
