"""Paths of the file made absolute: a relative one is relative to the folder that the file is in."""

from __future__ import annotations

from pathlib import Path

from freehold.config.schema import Calibration, Config, DeploymentSection, Policy, Server, Telemetry
from freehold.config.schema_vault import VaultSection

_FILE_PREFIX = "file:"
_MODEL_FILE = ".gguf"
_PATH_STARTS = ("/", "./", "../", "~/")


def with_absolute_paths(config: Config, folder: Path) -> Config:
    """The same configuration with every path absolute."""

    def absolute(path: str) -> str:
        return str(folder / Path(path).expanduser()) if path else ""

    def deployment(section: DeploymentSection) -> DeploymentSection:
        update: dict[str, object] = {"ca_file": absolute(section.ca_file), "program": absolute(section.program)}
        if section.api_key is not None and section.api_key.startswith(_FILE_PREFIX):
            update["api_key"] = _FILE_PREFIX + absolute(section.api_key.removeprefix(_FILE_PREFIX))
        if section.engine in {"embedded", "llama-server"} and is_model_path(section.model):
            update["model"] = absolute(section.model)
        if is_model_path(section.draft_model):
            update["draft_model"] = absolute(section.draft_model)
        if section.adapters:
            update["adapters"] = [absolute(each) for each in section.adapters]
        return section.model_copy(update=update)

    def telemetry(section: Telemetry) -> Telemetry:
        update = {"otlp_ca_file": absolute(section.otlp_ca_file)}
        if section.otlp_authorization is not None and section.otlp_authorization.startswith(_FILE_PREFIX):
            path = section.otlp_authorization.removeprefix(_FILE_PREFIX)
            update["otlp_authorization"] = _FILE_PREFIX + absolute(path)
        return section.model_copy(update=update)

    def vault(section: VaultSection) -> VaultSection:
        folders = {
            name: each.model_copy(update={"path": absolute(each.path)}) for name, each in section.folders.items()
        }
        update: dict[str, object] = {"folders": folders}
        if section.key is not None and section.key.startswith(_FILE_PREFIX):
            update["key"] = _FILE_PREFIX + absolute(section.key.removeprefix(_FILE_PREFIX))
        return section.model_copy(update=update)

    server, own = config.server, config.calibration
    return config.model_copy(
        update={
            "server": Server.model_copy(
                server,
                update={"tls_certificate": absolute(server.tls_certificate), "tls_key": absolute(server.tls_key)},
            ),
            "policy": Policy.model_copy(config.policy, update={"rules": absolute(config.policy.rules)}),
            "calibration": Calibration.model_copy(own, update={"folder": absolute(own.folder)}),
            "deployments": {name: deployment(section) for name, section in config.deployments.items()},
            "telemetry": telemetry(config.telemetry),
            "vaults": {name: vault(section) for name, section in config.vaults.items()},
        }
    )


def is_model_path(model: str) -> bool:
    """Whether a model reference is a file of the user's own, not a name or a file of a hub."""
    return model.startswith(_PATH_STARTS) or (model.endswith(_MODEL_FILE) and not model.startswith("hf:"))
