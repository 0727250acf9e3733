"""``freehold add``: files and folders into a vault. They are found by their words at once, by their meaning a little later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from freehold.app.vault_adding import Far, add_paths
from freehold.app.vault_house import watcher_of
from freehold.cli import output
from freehold.cli.key_ring import this_user
from freehold.cli.options import Json
from freehold.cli.vault_desk import Desk, Said, Which, at_desk, document_json, readers_text
from freehold.cli.vault_progress import ShowVectors, counted_of, progress
from freehold.domain.errors.vault import VaultError, VaultNothingAdded
from freehold.vault.ingest import REMOVED
from freehold.vault.ingest_ports import FileDone, Outcome
from freehold.vault.places import path_of

_SHOWN_MAX = 20
_IS_IN = (Outcome.ADDED, Outcome.CHANGED, Outcome.MOVED, Outcome.SAME, Outcome.RELABELLED)


def add(
    *paths: Annotated[str, Parameter(name="PATH")],
    which: Which = Which(),  # noqa: B008 - frozen
    said: Said = Said(),  # noqa: B008 - frozen
    later: bool = False,
    as_json: Json = False,
) -> int:
    """Add files and folders to a vault: PDF, office files, mail, web pages, text, images and what is inside archives.

    What is there already is not read again, and interrupting loses nothing that was done. Without PATH the folders that the
    configuration names are brought up to date. Exit code 1 where nothing is in the vault of all that was named.

    Args:
        paths: Files and folders. Hidden files are left out, links not followed.
        later: Make no vectors now: a running gateway does, or the next add.
    """
    return at_desk(which, lambda desk: _add(desk, paths, said, later=later, as_json=as_json))


@dataclass
class _Summary:
    """What became of everything.

    Attributes:
        outcomes: How many of each.
        failed: What could not be read.
        told: What is now true of documents that were there already, a line each.
        pages: That were read.
        removed: Files that were left out since somebody removed their documents.
        vectors: How many were made.
        notice: What its owner should know.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    failed: list[FileDone] = field(default_factory=list[FileDone])
    told: list[str] = field(default_factory=list[str])
    pages: int = 0
    removed: int = 0
    vectors: int = 0
    notice: str = ""

    def note(self, done: FileDone, said: Said) -> None:
        self.outcomes[done.outcome] += 1
        self.pages += done.pages
        if done.outcome is Outcome.FAILED:
            self.failed.append(done)
        self.removed += done.reason == REMOVED
        if told := _now_true(done, said):
            self.told.append(told)

    def json(self) -> dict[str, Any]:
        return {
            "summary": {str(each): self.outcomes[each] for each in Outcome},
            "pages": self.pages,
            "vectors": self.vectors,
            "notice": self.notice,
        }


async def _add(desk: Desk, paths: Sequence[str], said: Said, *, later: bool, as_json: bool) -> int:
    summary = _Summary()
    with progress(desk.clock, quiet=as_json) as (show, show_vectors):

        def told(done: FileDone) -> None:
            summary.note(done, said)
            if as_json and done.outcome is not Outcome.LEFT_OUT:
                output.print_json(_done_json(done), one_line=True)

        if paths:
            await _add_paths(desk, paths, said, show, told)
        else:
            await _add_folders(desk, told)
        if not later:
            await _add_vectors(desk, summary, show_vectors)
    if as_json:
        output.print_json(summary.json(), one_line=True)
    else:
        _say(summary)
    if summary.failed and not any(summary.outcomes[each] for each in _IS_IN) and paths:
        if as_json:
            return output.FAILED
        raise VaultNothingAdded(files=len(summary.failed), failed=len(summary.failed))
    return output.OK


async def _add_paths(desk: Desk, paths: Sequence[str], said: Said, show: Any, told: Any) -> None:
    terms = said.terms(desk.tenant, "add")
    far: Far | None = None
    async for far in add_paths(desk.vaults, desk.name, [Path(each) for each in paths], terms):
        show(far)
        if far.done is not None:
            told(far.done)


async def _add_folders(desk: Desk, told: Any) -> None:
    if not desk.plan.folders:
        raise output.UsageError(f"Say what to add: the configuration gives the vault {desk.name!r} no folders.")
    watcher = await watcher_of(
        desk.vaults, desk.plan, clock=desk.clock, told=told, by=this_user("add"), watched_only=False
    )
    await watcher.rescan()
    for folder in sorted(watcher.held):
        output.note(f"{folder}: no files are there all at once; what the vault has of it stays.")


async def _add_vectors(desk: Desk, summary: _Summary, show: ShowVectors) -> None:
    """Vectors of everything that has none; what fails is said, and made the next time."""
    opened = await desk.vaults.open(desk.name, desk.tenant)
    summary.notice = opened.models.notice
    holder = await desk.vaults.key_holder(desk.name, desk.tenant)
    total = (await desk.vaults.counts(desk.name, reader=holder)).pending
    if opened.models.embedder is None or not total:
        return
    try:
        async for done in desk.vaults.fill(desk.name):
            summary.vectors = done
            show(done, max(total, done))
        if summary.vectors == 0:
            summary.notice = "Another process makes the vectors."
    except VaultError as error:
        summary.notice = error.message


def _done_json(done: FileDone) -> dict[str, Any]:
    return {
        "source": done.source,
        "outcome": str(done.outcome),
        "reason": done.reason,
        "documents": [document_json(each) for each in done.documents],
    }


def _now_true(done: FileDone, said: Said) -> str:
    """Who reads a document that was there already, where that changed or is not what was said; empty elsewhere."""
    if not done.documents or done.outcome in (Outcome.ADDED, Outcome.ERASED):
        return ""
    document = done.documents[0]
    told = f"{document.title}: {document.label}, read by {readers_text(document)}."
    if said.reader and document.readers.names != frozenset(said.reader):
        wanted = " ".join(f"--reader {each}" for each in said.reader)
        return f"{told} Adding widens nothing: freehold vault relabel {document.id} {wanted}"
    is_named = bool(said.label or said.reader or said.owner)
    return told if done.outcome is Outcome.RELABELLED or (is_named and done.outcome is Outcome.CHANGED) else ""


def _say_some(lines: Sequence[str]) -> None:
    for each in lines[:_SHOWN_MAX]:
        output.say(f"  {each}")
    if len(lines) > _SHOWN_MAX:
        output.say(f'  and {len(lines) - _SHOWN_MAX} more: "freehold vault list" shows them all.')


def _say(summary: _Summary) -> None:
    counted = [f"{summary.outcomes[each]} {_WORDS[each]}" for each in Outcome if summary.outcomes[each]]
    output.say((", ".join(counted) or "Nothing changed") + f"; {counted_of(summary.pages, 'page')} read.")
    _say_some(summary.told)
    if summary.removed:
        files = counted_of(summary.removed, "file")
        output.say(
            f"  {files} left out: removed from the vault by hand, and unchanged since. freehold add FILE brings one back."
        )
    for done in summary.failed[:_SHOWN_MAX]:
        output.say(f"  {path_of(done.source) or done.source}\n    {done.reason}")
    if len(summary.failed) > _SHOWN_MAX:
        output.say(f'  and {len(summary.failed) - _SHOWN_MAX} more: "freehold vault list --failed" shows them all.')
    if summary.notice:
        output.note(summary.notice)


_WORDS = {
    Outcome.ADDED: "added",
    Outcome.CHANGED: "changed",
    Outcome.MOVED: "moved",
    Outcome.SAME: "there already",
    Outcome.RELABELLED: "relabelled",
    Outcome.ERASED: "erased",
    Outcome.FAILED: "failed",
    Outcome.LEFT_OUT: "left out",
}
