"""``freehold vault test`` and ``freehold vault tune``: how well a vault answers its owner's own questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from freehold.app.vault_opening import Opened
from freehold.cli import output
from freehold.cli.options import Json
from freehold.cli.vault_desk import Desk, Eyes, Which, at_desk
from freehold.domain.vault import Reader, SearchSettings
from freehold.evals.vault_measure import Measuring, Searching
from freehold.evals.vault_questions import VaultQuestion, digest_of, not_there, read_questions
from freehold.evals.vault_report import SHOWN, Report, encoded, fall_json, falls, read_report, report_of
from freehold.evals.vault_ways import (
    Compared,
    Remembering,
    best,
    chosen,
    compare,
    judged,
    name_of,
    name_of_present,
    ways,
)
from freehold.vault.search import VaultSearch
from freehold.vault.settings_file import save_settings, settings_path
from freehold.vault.tuning import Tuned

_QUESTIONS_LEAST = 20
"""To choose on: of fewer chance makes the choice."""
_NAMED_MAX = 5


def vault_test(
    questions: str,
    /,
    *,
    which: Which = Which(),  # noqa: B008 - frozen
    eyes: Eyes = Eyes(),  # noqa: B008 - frozen
    save: str = "",
    against: str = "",
    as_json: Json = False,
) -> int:
    """Measure what a vault finds for questions whose answers are known, in every way in which it could search.

    Exit code 1 where, with --against, a figure of the way in use fell below the interval it had then. For pipelines too.

    Args:
        questions: File of questions, one JSON object a line: {"question": …, "relevant": [{"source": …, "quote": …}]}.
        save: Keep the figures in this file, to compare with later.
        against: Compare with figures that were kept.
    """
    asked = read_questions(Path(questions))
    before = read_report(Path(against), questions=digest_of(asked)) if against else None
    found, report = at_desk(which, lambda desk: _measured(desk, asked, eyes, quiet=as_json))
    fell = falls(report, before) if before is not None else ()
    if save:
        Path(save).write_bytes(encoded(report))
    if as_json:
        output.print_json({**_json(report), "fell": [fall_json(each) for each in fell]})
    else:
        _say(found, report)
        for each in fell:
            output.say(f"{each.figure} fell: {each.was:.3f} (at least {each.low:.3f}) then, {each.now:.3f} now.")
        if before is not None and not fell:
            output.say(f"No figure of {report.present} fell below what it was in {against}.")
    return output.FAILED if fell else output.OK


def vault_tune(
    questions: str,
    /,
    *,
    which: Which = Which(),  # noqa: B008 - frozen
    dry_run: bool = False,
    as_json: Json = False,
) -> int:
    """Choose how a vault searches by questions whose answers are known, and keep that beside the vault.

    Fusion, share of words and reranking are chosen by nDCG@10. What is gained is measured on questions that were not
    chosen on; where that could be chance, everything stays as it is. A running gateway takes it up within seconds.

    Args:
        questions: File of questions, as "freehold vault test" takes it.
        dry_run: Say what would be chosen, and keep nothing.
    """
    asked = read_questions(Path(questions))
    count = sum(bool(each.relevant) for each in asked)
    if count < _QUESTIONS_LEAST:
        raise output.UsageError(f"{count} questions with an answer are too few to choose on; write {_QUESTIONS_LEAST}.")
    return at_desk(which, lambda desk: _tuned(desk, asked, dry_run=dry_run, as_json=as_json))


async def _check(desk: Desk, asked: tuple[VaultQuestion, ...]) -> None:
    """See that there is something to measure, and tell of answers that nobody can find.

    Raises:
        UsageError: The vault is empty.
    """
    documents = await desk.vaults.held(desk.name, tenant=desk.tenant)
    if not documents:
        raise output.UsageError(f"The vault {desk.name!r} has no documents to find; freehold add PATH adds some.")
    missing = [each.source or each.document for each in not_there(asked, documents)]
    if missing:
        more = f" and {len(missing) - _NAMED_MAX} more" if len(missing) > _NAMED_MAX else ""
        output.note(
            f"Not in this vault, and so never found: {', '.join(missing[:_NAMED_MAX])}{more}."
            ' A "source" is the end of a document\'s path, or its title.'
        )


async def _measured(
    desk: Desk, asked: tuple[VaultQuestion, ...], eyes: Eyes, *, quiet: bool
) -> tuple[list[Compared], Report]:
    await _check(desk, asked)
    opened = await desk.vaults.open(desk.name, desk.tenant)
    reader = await desk.reader(eyes)
    models = _models(desk, opened)
    await _warm(opened)
    present, vectors = opened.settings, models.embedder is not None
    measuring = Measuring(
        vault=desk.name,
        reader=reader,
        texts=lambda document: opened.store.text(document, reader=reader),
        clock=desk.clock,
    )
    ranker = "" if models.ranker is None else models.ranker.model
    pending = (await desk.vaults.counts(desk.name, reader=reader)).pending
    if vectors and pending:
        output.note(f"{pending} pieces have no vectors yet, and are found by their words alone.")
    found: list[Compared] = []
    async for each in compare(
        asked,
        ways(present, vectors=vectors, ranker=ranker),
        search_with=_search_with(opened, models),
        measuring=measuring,
        saved_s=models.saved_s,
    ):
        found.append(each)
        if not quiet:
            output.note(f"{each.name}: {len(asked)} questions asked.")
    used = name_of_present(present, vectors=vectors)
    report = report_of(found, vault=desk.name, questions=digest_of(asked), count=len(asked), present=used)
    return found, report


def _models(desk: Desk, opened: Opened) -> Remembering:
    return Remembering(embedder=opened.models.embedder, ranker=opened.models.ranker, clock=desk.clock)


async def _warm(opened: Opened) -> None:
    """Start the models, which the first question of a running gateway does not wait for either."""
    if opened.models.embedder is not None:
        await opened.models.embedder.query("Is it there?")
    if opened.models.ranker is not None:
        await opened.models.ranker.scores("Is it there?", ["It is there."])


def _search_with(opened: Opened, models: Remembering) -> Callable[[SearchSettings], Searching]:
    def made(settings: SearchSettings) -> Searching:
        # Without share nothing of a half is asked for, which is what that way would cost.
        embedder = models.embedder if settings.words < 1.0 or settings.fusion != "minmax" else None
        settings = settings if embedder is not None else replace(settings, embedder="")
        return VaultSearch(
            opened.store, embedder=embedder, ranker=models.ranker if settings.reranker else None, settings=settings
        )

    return made


async def _tuned(desk: Desk, asked: tuple[VaultQuestion, ...], *, dry_run: bool, as_json: bool) -> int:
    await _check(desk, asked)
    opened = await desk.vaults.open(desk.name, desk.tenant)
    reader: Reader = await desk.reader(Eyes())
    models = _models(desk, opened)
    found = best(
        await judged(asked, opened.store, reader=reader, present=opened.settings, models=models),
        present=opened.settings,
    )
    ranker = "" if models.ranker is None else models.ranker.model
    settings = chosen(opened.settings, found.choice, ranker=ranker)
    path = settings_path(desk.vaults.path_of(desk.name))
    is_kept = found.pays and not dry_run
    if is_kept:
        measured = {"ndcg_before": found.before, "ndcg_after": found.after, "questions": float(found.questions)}
        save_settings(path, settings, measured=measured)
    now = name_of(opened.settings, is_reranked=bool(opened.settings.reranker))
    then = name_of(settings, is_reranked=bool(settings.reranker))
    if as_json:
        output.print_json(
            {
                "present": now,
                "best": then,
                "ndcg_before": found.before,
                "ndcg_after": found.after,
                "gain": [found.gain_low, found.gain_high],
                "questions": found.questions,
                "pays": found.pays,
                "kept": str(path) if is_kept else None,
            }
        )
        return output.OK
    output.say(_tuned_text(found, now=now, then=then))
    if is_kept:
        output.say(f"Kept in {path}.")
    elif not found.pays and now != then:
        output.say("That could be chance: the vault searches as before.")
    return output.OK


def _tuned_text(found: Tuned, *, now: str, then: str) -> str:
    """What was tried came to."""
    finds = f"{now} finds with nDCG@10 {found.before:.3f} on {found.questions} questions"
    if now == then:
        return f"{finds}; no other way finds better, and the vault searches as before."
    return (
        f"{finds}; {then} is the best of all.\n"
        f"Choosing so gives {found.after:.3f} on questions that were not chosen on:"
        f" a gain of {found.gain_low:+.3f} to {found.gain_high:+.3f}."
    )


def _json(report: Report) -> dict[str, object]:
    import msgspec

    return msgspec.to_builtins(report)


def _say(found: list[Compared], report: Report) -> None:
    shown = [name for name in SHOWN if any(name in each.figures.figures for each in found)]
    rows: list[tuple[str, ...]] = []
    for each in found:
        figures = each.figures
        cells = [f"{figures.figures[name].value:.3f}" if name in figures.figures else "" for name in shown]
        mark = " *" if each.name == report.present else ""
        rows.append((each.name + mark, *cells, f"{figures.p50_ms:.0f} / {figures.p95_ms:.0f} ms"))
    output.say(output.table(rows, head=("search by", *shown, "p50 / p95")))
    used = report.ways[report.present].figures
    ranges = ", ".join(f"{name} {used[name].low:.3f} to {used[name].high:.3f}" for name in shown if name in used)
    output.say(f"* in use. Of {report.count} questions, 95 % of resamples lie in: {ranges}.")
    if any(not each.figures.is_calibrated for each in found) and "abstained" in shown:
        output.say("abstained and answered are at the threshold that is best on these very questions.")
