"""``freehold vault``: what is in a vault, found, shown, relabelled and erased; and folders kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.app.vault_house import watcher_of
from freehold.cli import output
from freehold.cli.key_ring import this_user
from freehold.cli.options import Json
from freehold.cli.vault_desk import (
    Desk,
    Eyes,
    Said,
    Which,
    at_desk,
    check_readers,
    document_json,
    readers_text,
)
from freehold.cli.vault_progress import counted_of
from freehold.cli.vault_test import vault_test, vault_tune
from freehold.domain.errors.vault import VaultDocumentUnknown
from freehold.domain.vault import Document, Filters, Found, Readers, VaultQuery
from freehold.planner.wording import size
from freehold.vault.ingest_ports import FileDone, Outcome
from freehold.vault.places import is_gone, is_inside, path_of, source_of

app = App(name="vault", help="Private documents: list, search, show, relabel, remove, watch, test, tune.")
app.command(vault_test, name="test")
app.command(vault_tune, name="tune")

Id = Annotated[str, Parameter(name="ID")]
_DEFAULT = Which()
_ALL = Eyes()
_TITLE_CHARACTERS = 48
_FILL_EVERY_S = 2.0


@app.command(name="list")
def list_documents(
    *,
    which: Which = _DEFAULT,
    eyes: Eyes = _ALL,
    source: str = "",
    failed: bool = False,
    limit: int = 1_000,
    as_json: Json = False,
) -> int:
    """List documents.

    Args:
        source: Only those with this in their path or title.
        failed: Only those that could not be read, with the reason.
        limit: So many at most.
    """

    async def work(desk: Desk) -> list[Document]:
        reader, found, after = await desk.reader(eyes), list[Document](), ""
        filters = Filters(sources=(source,) if source else ())
        while page := await desk.vaults.documents(desk.name, reader=reader, filters=filters, after=after):
            found += (each for each in page if each.state == "failed" or not failed)
            after = page[-1].id
            if len(found) >= limit:
                break
        return found[:limit]

    documents = at_desk(which, work)
    if as_json:
        output.print_json([document_json(each) for each in documents])
        return output.OK
    if not documents:
        output.say(_none(source, failed=failed, eyes=eyes))
    elif failed:
        for each in documents:
            output.say(f"{each.id}  {place_text(each)}\n  {each.reason}")
    else:
        output.say(_table(documents))
    if len(documents) == limit:
        output.note(f"These are the first {limit}: --limit shows more.")
    return output.OK


@app.command(name="show")
def show(document_id: Id, /, *, which: Which = _DEFAULT, as_json: Json = False) -> int:
    """Show what is known of a document.

    Args:
        document_id: Its id, from "freehold vault list".
    """
    document = at_desk(which, lambda desk: desk.one(document_id))
    shown = document_json(document)
    if as_json:
        output.print_json(shown)
    else:
        readers = readers_text(document)
        for name, value in (shown | {"readers": readers, "size_bytes": f"{document.size_bytes:,} bytes"}).items():
            if name != "owner" and value not in ("", 0):
                output.say(f"{name.removesuffix('_bytes'):14}  {value}")
    return output.OK


@app.command(name="text")
def text(document_id: Id, /, *, which: Which = _DEFAULT, as_json: Json = False) -> int:
    """Print the text that was read in a document.

    Args:
        document_id: Its id, from "freehold vault list".
    """

    async def work(desk: Desk) -> str:
        reader = await desk.vaults.key_holder(desk.name, desk.tenant)
        found = await desk.vaults.text(desk.name, document_id, reader=reader)
        if found is None:
            raise VaultDocumentUnknown(document=document_id, vault=desk.name)
        return found

    found = at_desk(which, work)
    if as_json:
        output.print_json({"id": document_id, "text": found})
    else:
        output.say(found)
    return output.OK


@app.command(name="search")
def search(
    question: Annotated[str, Parameter(name="QUESTION")],
    /,
    *,
    which: Which = _DEFAULT,
    eyes: Eyes = _ALL,
    limit: int = 5,
    as_json: Json = False,
) -> int:
    """Find passages. With --as only what those may read takes part, as when they ask.

    Args:
        question: What is looked for.
        limit: Passages at most.
    """

    async def work(desk: Desk) -> Found:
        reader = await desk.reader(eyes)
        return await desk.vaults.search(VaultQuery(vault=desk.name, text=question, reader=reader, limit=limit))

    found = at_desk(which, work)
    if as_json:
        output.print_json(_found_json(found))
    elif not found.passages:
        output.say("Nothing was found.")
        if not at_desk(which, _has_any):
            output.note(_none("", failed=False, eyes=_ALL))
    else:
        for number, each in enumerate(found.passages, 1):
            page = f", page {each.page}" if each.page else ""
            output.say(f"[{number}] {each.document.title}{page}  ({each.document.id}, {each.score:.2f})")
            output.say("\n".join(f"    {line}" for line in each.text.strip().splitlines()) + "\n")
    return output.OK


@app.command(name="relabel")
def relabel(
    document_id: Id,
    /,
    *,
    which: Which = _DEFAULT,
    said: Said = Said(),  # noqa: B008 - frozen
    everybody: bool = False,
    as_json: Json = False,
) -> int:
    """Raise a document's label, or say who may read it; it holds from the next search on. A label is never lowered.

    Args:
        document_id: Its id, from "freehold vault list".
        everybody: Everybody of the tenant may read it, as far as its label lets them.
    """
    if everybody and said.reader:
        raise output.UsageError("Say --everybody or --reader, not both.")
    check_readers((*said.reader, *([said.owner] if said.owner else [])))

    async def work(desk: Desk) -> Document:
        before = await desk.one(document_id)
        names = None if everybody else frozenset(said.reader) or before.readers.names
        readers = Readers(level=before.readers.level, names=names, owner=said.owner or before.readers.owner)
        changed = await desk.vaults.relabel(
            desk.name,
            document_id,
            tenant=desk.tenant,
            label=said.label,
            readers=readers,
            by=this_user("vault relabel"),
            by_hand=everybody or bool(said.reader),
        )
        return changed or before

    document = at_desk(which, work)
    if as_json:
        output.print_json(document_json(document))
    else:
        output.say(f"{document.title}: {document.label}, read by {readers_text(document)}.")
    return output.OK


@app.command(name="remove")
def remove(
    *document_ids: Id,
    which: Which = _DEFAULT,
    under: str = "",
    gone: bool = False,
    dry_run: bool = False,
    as_json: Json = False,
) -> int:
    """Erase documents: text, pieces, vectors and what is remembered of them. Files on disk stay as they are.

    What is erased does not come back with its folder until its file changes; "freehold add FILE" brings it back.

    Args:
        document_ids: Ids, from "freehold vault list".
        under: Those of a folder's files.
        gone: Those whose files are not there any more. Also says that a watched folder that stands empty is meant so.
        dry_run: Only say which.
    """
    if not (document_ids or under or gone):
        raise output.UsageError("Say which: ids, --under FOLDER or --gone.")

    async def work(desk: Desk) -> list[Document]:
        named = await _named(desk, document_ids, under)
        missing = await _missing(desk) if gone else []
        for documents, comes_back in ((named, False), (missing, True)):
            ids = [each.id for each in documents]
            if ids and not dry_run:
                await desk.vaults.remove(
                    desk.name, ids, tenant=desk.tenant, by=this_user("vault remove"), comes_back=comes_back
                )
        return list({each.id: each for each in (*named, *missing)}.values())

    documents = at_desk(which, work)
    if as_json:
        output.print_json({"erased": not dry_run, "documents": [document_json(each) for each in documents]})
        return output.OK
    for each in documents:
        output.say(f"{each.id}  {place_text(each)}")
    are = "is" if len(documents) == 1 else "are"
    output.say(f"{counted_of(len(documents), 'document')} {'would be' if dry_run else are} erased.")
    if not dry_run and any(path_of(each.source) and not (gone and is_gone(each.source)) for each in documents):
        output.note("Files stay as they are, and come back when they change, or by their own name: freehold add FILE")
    return output.OK


@app.command(name="status")
def status(*, which: Which = _DEFAULT, as_json: Json = False) -> int:
    """How much is in a vault, what it searches with, and what is missing."""

    async def work(desk: Desk) -> dict[str, Any]:
        path = desk.vaults.path_of(desk.name)
        shown: dict[str, Any] = {
            "vault": desk.name,
            "tenant": desk.tenant,
            "file": str(path),
            # With its log, where most of it is until that is written into the file.
            "file_bytes": sum(
                each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()
            ),
            "folders": {each.name: each.path for each in desk.plan.folders if each.tenant == desk.tenant},
            **dict.fromkeys(("embedder", "reranker", "notice"), ""),
        }
        reader = await desk.vaults.key_holder(desk.name, desk.tenant)
        counts = await desk.vaults.counts(desk.name, reader=reader)
        if path.exists():
            models = (await desk.vaults.open(desk.name, desk.tenant)).models
            shown["embedder"] = "" if models.embedder is None else models.embedder.model
            shown["reranker"] = "" if models.ranker is None else models.ranker.model
            shown["notice"] = models.notice
        return shown | {
            "documents": counts.documents,
            "failed": counts.failed,
            "filling": counts.filling,
            "chunks": counts.chunks,
            "pending": counts.pending,
            "bytes": counts.size_bytes,
        }

    shown = at_desk(which, work)
    if as_json:
        output.print_json(shown)
    else:
        _say_status(shown)
    return output.OK


@app.command(name="watch")
def watch(*, which: Which = _DEFAULT, as_json: Json = False) -> int:
    """Keep the documents of the configuration's folders like their files, until interrupted. A running gateway does so itself."""

    async def work(desk: Desk) -> None:
        if not any(each.watch for each in desk.plan.folders):
            raise output.UsageError(f"The configuration gives the vault {desk.name!r} no folder to watch.")

        def told(done: FileDone) -> None:
            if as_json:
                documents = [document_json(each) for each in done.documents]
                shown = {"source": done.source, "outcome": done.outcome, "reason": done.reason, "documents": documents}
                output.print_json(shown, one_line=True)
            else:
                output.say(f"{done.outcome:10}  {path_of(done.source) or done.source}")
                if done.outcome is Outcome.FAILED:
                    output.say(f"            {done.reason}")

        watcher = await watcher_of(desk.vaults, desk.plan, clock=desk.clock, told=told, by=this_user("vault watch"))
        filling = asyncio.create_task(_keep_filling(desk))
        try:
            await watcher.run()
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

    at_desk(which, work)
    return output.OK


def _say_status(shown: dict[str, Any]) -> None:
    documents, chunks = counted_of(shown["documents"], "document"), counted_of(shown["chunks"], "piece")
    output.say(f"{shown['vault']} of {shown['tenant']}: {documents} in {chunks}")
    if not shown["file_bytes"]:
        output.say(f"  file      {shown['file']}: made by the first freehold add")
        return
    output.say(f"  file      {shown['file']} ({size(shown['file_bytes'])})")
    output.say(f"  embedder  {shown['embedder'] or 'none: found by words alone'}")
    output.say(f"  reranker  {shown['reranker'] or 'none'}")
    for name, path in shown["folders"].items():
        is_there = Path(path).is_dir()
        output.say(f"  folder    {name}: {path}{'' if is_there else ' (not there now; its documents stay)'}")
    if shown["pending"] and shown["embedder"]:
        output.say(f"  pending   {counted_of(shown['pending'], 'piece')} without a vector")
    if shown["failed"]:
        output.say(
            f"  failed    {counted_of(shown['failed'], 'document')} that could not be read: freehold vault list --failed"
        )
    if shown["notice"]:
        output.note(shown["notice"])


async def _has_any(desk: Desk) -> bool:
    reader = await desk.vaults.key_holder(desk.name, desk.tenant)
    return bool(await desk.vaults.documents(desk.name, reader=reader, limit=1))


async def _keep_filling(desk: Desk) -> None:
    while True:
        async for _ in desk.vaults.fill(desk.name):
            pass
        await asyncio.sleep(_FILL_EVERY_S)


async def _named(desk: Desk, ids: Sequence[str], under: str) -> list[Document]:
    """The documents that a command line names.

    Raises:
        VaultDocumentUnknown: There is none of an id.
    """
    found = [await desk.one(each) for each in ids]
    if under:
        root = _absolute(under)
        below = await desk.vaults.held(desk.name, tenant=desk.tenant, under=source_of(root))
        found += (each for each in below if _is_under(each, root))
    return list({each.id: each for each in found}.values())


async def _missing(desk: Desk) -> list[Document]:
    """Documents whose files are not there any more."""
    documents = await desk.vaults.held(desk.name, tenant=desk.tenant, under="file://")
    missing = await asyncio.to_thread(lambda: [each for each in documents if is_gone(each.source)])
    return [each for each in missing if not is_inside(each.source)]


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _is_under(document: Document, root: Path) -> bool:
    path = path_of(document.source)
    return path is not None and path.is_relative_to(root)


def _none(source: str, *, failed: bool, eyes: Eyes) -> str:
    if source:
        return f"No document has {source!r} in its path or title."
    if failed:
        return "Every document could be read."
    if eyes != _ALL:
        return "There are no documents for this reader."
    return "There are no documents. For example: freehold add ~/Documents"


def _table(documents: Sequence[Document]) -> str:
    rows = [
        (
            each.id,
            each.title if len(each.title) <= _TITLE_CHARACTERS else each.title[: _TITLE_CHARACTERS - 1] + "…",
            str(each.pages or "-"),
            each.state,
            each.label.partition(";")[0],
            readers_text(each),
        )
        for each in documents
    ]
    return output.table(rows, head=("id", "title", "pages", "state", "label", "readers"))


def place_text(document: Document) -> str:
    """Where a document came from, as people write it."""
    path = path_of(document.source)
    inside = document.source.partition("#")[2]
    return document.source if path is None else f"{path}#{inside}" if inside else str(path)


def _found_json(found: Found) -> dict[str, Any]:
    return {
        "support": found.support,
        "generation": found.generation,
        "passages": [
            {
                "document": document_json(each.document),
                "start": each.start,
                "end": each.end,
                "page": each.page,
                "heading": list(each.heading),
                "text": each.text,
                "score": each.score,
            }
            for each in found.passages
        ],
    }
