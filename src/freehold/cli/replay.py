"""``freehold replay``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.key_ring import DATABASE_FILE
from freehold.cli.learnt import open_learnt
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.domain.certificates import SHARE_MAX, SHARE_MIN
from freehold.domain.errors.replay import NothingToReplay
from freehold.evals.replay.document import as_document
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.own import NOTHING_KEPT, own_tables
from freehold.evals.replay.page import as_page
from freehold.evals.replay.run import replay as replayed
from freehold.evals.replay.schema import Tables
from freehold.evals.replay.tables import read_tables, sets_at
from freehold.evals.replay.text import as_text
from freehold.hostinfo.arrays import find_numpy

_RESAMPLES_MAX = 10_000


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is replayed, and how.

    Attributes:
        weak: The model that is asked first; every sensible one if not given.
        strong: The model that is asked then; every sensible one if not given.
        workload: Only this workload (the column "benchmark").
        split: Only this split; "all" for all. "test" where there is one, else all, if not given.
        score: What decides between the two; auto, the first of the next three that is recorded, if not given.
        helper: A model whose agreement counts; may be given more than once. Two are chosen if not given.
        risk: Largest share of accepted answers that may be wrong, for certificates; 0.1 if not given.
        sure: How sure of that a certificate has to be; 0.9 if not given.
        seed: Of everything that is drawn; the same one gives the same bytes. 0 if not given.
        resamples: For intervals; 200 if not given.
    """

    weak: str = ""
    strong: str = ""
    workload: str = ""
    split: str = ""
    score: Score = Score.AUTO
    helper: tuple[str, ...] = ()
    risk: float = 0.1
    sure: float = 0.9
    seed: int = 0
    resamples: int = 200


_DEFAULT = Asked()


def replay(
    paths: Annotated[tuple[str, ...], Parameter(name="PATH", negative=())] = (),
    /,
    *,
    own: bool = False,
    tenant: str = "",
    asked: Asked = _DEFAULT,
    html: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Say what routers, confidence and certificates would have done on outcomes that were recorded. No model is asked.

    Args:
        paths: Folders of tables, or tables: NAME.queries and NAME.outcomes, .parquet or .jsonl.
        own: Replay what this house has kept of its own answers, too; also while a server runs.
        tenant: With --own: only this tenant's.
        html: File for a report of one page, with plots.
    """
    options = _options(asked)
    if not paths and not own:
        raise output.UsageError("Name the tables to replay, for example a folder of them, or say --own.")
    if tenant and not own:
        raise output.UsageError("--tenant goes with --own.")
    kept = [_own(tenant, options.workload, config)] if own else []
    found = replayed([*kept, *_read(paths)], options, numpy=find_numpy())
    if html:
        _write(Path(html).expanduser(), as_page(found))
    if as_json:
        output.print_json(as_document(found))
    else:
        output.say(as_text(found))
        if html:
            output.note(f"The page is in {html}.")
    return output.OK


def _own(tenant: str, workload: str, config: str) -> Tables:
    """What the data folder keeps.

    Raises:
        NothingToReplay: Nothing.
    """
    if not (data_folder() / DATABASE_FILE).exists():
        raise NothingToReplay(reason=NOTHING_KEPT)
    with open_learnt(config) as learnt:
        return asyncio.run(own_tables(learnt.outcomes, tenant=tenant, workload=workload))


def _read(paths: tuple[str, ...]) -> list[Tables]:
    files = [each for path in paths for each in sets_at(Path(path).expanduser())]
    return [read_tables(each) for each in dict.fromkeys(files)]


def _options(asked: Asked) -> Options:
    for name, number in (("risk", asked.risk), ("sure", asked.sure)):
        if not SHARE_MIN <= number <= SHARE_MAX:
            raise output.UsageError(f"--{name} is {number:g}; it lies between {SHARE_MIN} and {SHARE_MAX}.")
    if not 0 <= asked.resamples <= _RESAMPLES_MAX:
        raise output.UsageError(f"--resamples is {asked.resamples}; 0 to {_RESAMPLES_MAX:,} are taken.")
    if asked.helper and asked.score not in {Score.AUTO, Score.AGREEMENT}:
        raise output.UsageError(f"--helper goes with --score agreement, not with {asked.score}.")
    return Options(
        weak=asked.weak,
        strong=asked.strong,
        workload=asked.workload,
        split=asked.split,
        score=Score.AGREEMENT if asked.helper else asked.score,
        helpers=asked.helper,
        risk=asked.risk,
        sure=asked.sure,
        seed=asked.seed,
        resamples=asked.resamples,
    )


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise output.UsageError(f"{path} cannot be written: {error.strerror}.") from error
