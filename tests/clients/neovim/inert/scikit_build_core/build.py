"""What pip asks of a build backend before it keeps a source package."""

from __future__ import annotations

from pathlib import Path

NAME = "llama_cpp_python-0.3.9"


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Nothing."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    """No more than name and version."""
    name, _, version = NAME.partition("-")
    folder = Path(metadata_directory) / f"{NAME}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="ascii")
    return folder.name
