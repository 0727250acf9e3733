"""An environment for each client, made from hashes, and looked through for what could run without being called.

``python -m tests.clients.venvs`` makes them in the user's cache folder, and pulls the models that the tests ask, which run where
no network is. To move a client to another version, change its ``requirements.in``, read what changed, and write its
``requirements.txt`` anew::

    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        requirements.in -o requirements.txt

Where ``overrides.txt`` lies beside it, ``--overrides overrides.txt`` goes along: what is named there is left out, since the
program starts and answers without it (for Open WebUI, what runs models of its own: 5 GB). What is longer than a file of the
repository may be goes on in ``requirements_2.txt``.

LiteLLM stays at 1.106.2: 1.82.7, 1.82.8 and 1.107.0 were trojans.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from tests.models import starter_model

HERE = Path(__file__).parent
CLIENTS = ("openai", "anthropic", "ollama", "litellm", "langchain_openai", "llm")
PROGRAMS = ("open_webui", "chromium", "neovim")
"""Whole programs: a chat in the browser, what drives a browser, an editor. They have no suite: each has a test of its own."""

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")
"""Starter models that clients are tested with."""

START_HOOKS = ("sitecustomize.py", "usercustomize.py")
"""Files that Python runs at its start wherever they lie; ``.pth`` files are the others."""

EXPLAINED = {
    "distutils-precedence.pth": "JjjOniUA5XKl4N5_rtZmHrVp0baW_LoHsN0iPaX10iQ",
}
"""Start hooks that were read and found harmless, by the digest of what was read: setuptools', a dependency of ``llm``."""

_UNLISTED = ("__pycache__", "RECORD", "INSTALLER", "REQUESTED")


def cache_folder() -> Path:
    """In the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "freehold" / "clients"


def pins_of(client: str) -> list[Path]:
    """The files with its pins: long lists are in two, since no file of the repository is large."""
    return sorted((HERE / client).glob("requirements*.txt"))


class ClientVenv:
    """One client's environment. Its folder is named after the pins: other pins, another folder.

    Args:
        client: One of ``CLIENTS`` or ``PROGRAMS``.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self.pins = pins_of(client)
        digest = hashlib.sha256(b"".join(each.read_bytes() for each in self.pins)).hexdigest()[:12]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.folder = cache_folder() / f"{client}-{version}-{digest}"
        self._whole = self.folder / "whole"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @property
    def is_made(self) -> bool:
        """Whether it was made to its end."""
        return self._whole.exists()

    def make(self) -> None:
        """Make it unless it is there. Only wheels are taken: to build one runs its code.

        Raises:
            subprocess.CalledProcessError: A hash is wrong, or a package cannot be had.
        """
        if self.is_made:
            return
        venv.create(self.folder, clear=True, with_pip=False, symlinks=True)
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-qq", "--no-deps"]
        checks = ["--require-hashes", "--only-binary", ":all:", "--no-compile"]
        wanted = [part for each in self.pins for part in ("-r", str(each))]
        subprocess.run([*command, *checks, *wanted], check=True)
        if found := surprises(self.packages):
            raise RuntimeError(f"{self.client}: {'; '.join(found)}")
        self._whole.touch()


def surprises(packages: Path) -> list[str]:
    """What lies in a folder of packages that its packages' own lists do not explain, or that runs at Python's start.

    The trojans of this year came as a ``.pth`` file, also inside a package that listed it: so none is taken that was not read.
    """
    listed, found = _listed(packages), list[str]()
    for path in sorted(each for each in packages.rglob("*") if each.is_file()):
        name = path.relative_to(packages).as_posix()
        if (path.suffix == ".pth" or path.name in START_HOOKS) and EXPLAINED.get(name) != _digest(path):
            found.append(f"{name} runs whenever Python starts")
        elif any(part in _UNLISTED for part in path.parts):
            continue
        elif name not in listed:
            found.append(f"{name} belongs to no package")
        elif listed[name] and listed[name] != _digest(path):
            found.append(f"{name} is not what its package listed")
    return found


def _listed(packages: Path) -> dict[str, str]:
    """Digest by path of every file that some package lists."""
    listed: dict[str, str] = {}
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as lines:
            for name, digest, _ in csv.reader(lines):
                listed[name] = digest.removeprefix("sha256=")
    return listed


def _digest(path: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")


class EditorPlugin:
    """``llama.vim`` as llama.cpp has it among its examples: one file of a source package, which nobody builds.

    pip asks a package's build backend before it keeps a source package. It asks ``neovim/inert`` instead.
    """

    def __init__(self) -> None:
        self._pins = HERE / "neovim" / "plugin.txt"
        digest = hashlib.sha256(self._pins.read_bytes()).hexdigest()[:12]
        self.file = cache_folder() / f"llama.vim-{digest}" / "llama.vim"

    @property
    def is_made(self) -> bool:
        """Whether the file is there."""
        return self.file.exists()

    def make(self) -> None:
        """Fetch it unless it is there.

        Raises:
            subprocess.CalledProcessError: The hash is wrong, or the package cannot be had.
        """
        if self.is_made:
            return
        folder = self.file.parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", ":all:"]
        checks = ["--no-build-isolation", "--require-hashes", "-d", str(folder), "-r", str(self._pins)]
        inert = {**os.environ, "PYTHONPATH": str(HERE / "neovim" / "inert")}
        subprocess.run([*command, *checks], env=inert, check=True)
        (package,) = folder.glob("*.tar.gz")
        with tarfile.open(package) as members:
            found = next(each for each in members if each.name.endswith("/examples/llama.vim"))
            content = members.extractfile(found)
            assert content is not None
            self.file.write_bytes(content.read())
        package.unlink()


def main() -> None:
    """Make all of them, and have the models here.

    Raises:
        pytest.skip.Exception: A model cannot be had; it says why.
    """
    for client in CLIENTS + PROGRAMS:
        found = ClientVenv(client)
        found.make()
        print(f"{client}: {found.folder}")
    plugin = EditorPlugin()
    plugin.make()
    print(f"llama.vim: {plugin.file}")
    for model in MODELS:
        print(f"{model}: {starter_model(model)}")


if __name__ == "__main__":
    main()
