"""What the three starter models answered to the shipped questions: recorded once, so that judging is judged in seconds.

The table holds facts, no texts: right or wrong, the signals of the answer and of its first 16 tokens, tokens, time, and
which answers say the same. It is made from the answers that ``freehold calibrate`` keeps, and the shipped calibrations
and certificates are made from it, byte for byte the same each time:

    freehold calibrate small medium large --config bench/routing/ladder.toml --out FOLDER    # hours on two cores
    python -m bench.routing.ladder_outcomes FOLDER                                            # the table, from the answers
    python -m bench.routing.ladder_outcomes                                                   # what ships, from the table
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from freehold.domain.deployment import ModelCard
from freehold.domain.errors.evals import CalibrationImpossible
from freehold.evals.answers import Answer, AnswerFile
from freehold.evals.calibrate import Graded, question_body
from freehold.evals.grade import is_right, normalise
from freehold.evals.pairing import Answered, forecast
from freehold.evals.proof import Proof, prove
from freehold.evals.question import Part, Question, digest
from freehold.evals.questions import shipped_questions
from freehold.routing.calibration import Calibration, from_json, to_json
from freehold.routing.certificate import Aim
from freehold.routing.certificate import to_json as certificate_json
from freehold.routing.fit import Origin, Sample, fit
from freehold.routing.prefix import measure_prefix, scope_of
from freehold.routing.signals import measure
from freehold.wire.openai_request import decode_chat

TABLE = Path(__file__).parent / "data" / "ladder"
"""A file a model, so that each can be kept in the repository."""

SHIPPED = Path(__file__).parents[2] / "src" / "freehold" / "evals"
WORKLOAD = "general"
RISKS = (0.05, 0.10, 0.20)
PREFIXES = (16, 32)
"""Of so many first tokens the signals are recorded too, where an answer has more."""

PREFIX_AUROC_MIN = 0.6
"""A stream is held rather than judged by first tokens that say nothing of the rest."""

_DIGITS = 4
"""Of a signal: what is fitted on is what is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A model of the ladder. ``parameters`` times tokens is what an answer costs, to a factor."""

    name: str
    file: str
    parameters: int


RUNGS = (
    Rung(name="small", file="smollm2-135m-instruct-q4_1", parameters=134_515_008),
    Rung(name="medium", file="qwen2.5-coder-0.5b-instruct-q4_k_m", parameters=494_032_768),
    Rung(name="large", file="qwen2.5-coder-1.5b-instruct-q4_k_m", parameters=1_543_714_304),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One model's answer to one question.

    Attributes:
        right: Whether it is.
        said: Equal numbers for models that say the same to this question.
        input_tokens: Read.
        output_tokens: Written.
        busy_ms: What the engine says that it computed for; other answers beside it are in it.
        signals: Of the whole answer.
        first: By number of tokens: of so many first ones, where it has more.
    """

    right: bool
    said: int
    input_tokens: int
    output_tokens: int
    busy_ms: float
    signals: Mapping[str, float]
    first: Mapping[int, Mapping[str, float]] = field(default_factory=dict[int, Mapping[str, float]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Outcomes by question and model.

    Attributes:
        origins: What the answers of each model came from.
        questions: Those that every model answered, in the order of the shipped set.
        outcomes: By model, in the order of ``questions``.
    """

    origins: dict[str, Origin]
    questions: tuple[Question, ...]
    outcomes: dict[str, list[Outcome]]

    def graded(self, model: str, prefix: int = 0) -> list[Graded]:
        """One model's outcomes as calibration takes them, of whole answers or of prefixes; the texts are not here."""
        blank = Answer(text="", finish_reason=None, logprobs=())
        pairs = zip(self.questions, self.outcomes[model], strict=True)
        return [
            Graded(question=question, answer=blank, signals=dict(signals), right=outcome.right)
            for question, outcome in pairs
            if (signals := outcome.first.get(prefix) if prefix else outcome.signals)
        ]


def read_table(folder: Path = TABLE) -> Table:
    """The recorded outcomes.

    Raises:
        ValueError: They are of other questions than the shipped ones.
    """
    shipped = shipped_questions()
    wanted = digest(shipped)
    origins: dict[str, Origin] = {}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for rung in RUNGS:
        path = folder / f"{rung.name}.jsonl.gz"
        head, *lines = (json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines())
        if head["questions"] != wanted:
            raise ValueError(f"{path.name} is of other questions than the shipped ones; make it again (see the module)")
        origins[rung.name] = Origin(**head["origin"])
        outcomes[rung.name] = {line[0]: _read(head["signals"], line[1:]) for line in lines}
    questions = tuple(each for each in shipped if all(each.id in found for found in outcomes.values()))
    return Table(
        origins=origins,
        questions=questions,
        outcomes={name: [found[each.id] for each in questions] for name, found in outcomes.items()},
    )


def _read(names: Sequence[str], fields: Sequence[Any]) -> Outcome:
    right, said, input_tokens, output_tokens, busy_ms, signals, *first = fields
    return Outcome(
        right=bool(right),
        said=said,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        busy_ms=busy_ms,
        signals=_named(names, signals),
        first={tokens: _named(names, each) for tokens, each in zip(PREFIXES, first, strict=False)},
    )


def write_table(table: Table, folder: Path = TABLE) -> None:
    """Write it, the same bytes for the same outcomes."""
    folder.mkdir(parents=True, exist_ok=True)
    for model, outcomes in table.outcomes.items():
        measured = [signals for each in outcomes for signals in (each.signals, *each.first.values())]
        names = sorted({name for signals in measured for name in signals})
        head = {"questions": digest(shipped_questions()), "origin": _members(table.origins[model]), "signals": names}
        lines = [json.dumps(head)]
        for question, each in zip(table.questions, outcomes, strict=True):
            found = [
                question.id,
                int(each.right),
                each.said,
                each.input_tokens,
                each.output_tokens,
                round(each.busy_ms),
            ]
            found += [_listed(names, signals) for signals in (each.signals, *each.first.values())]
            lines.append(json.dumps(found, separators=(",", ":")))
        (folder / f"{model}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))


def table_of(folder: Path) -> Table:
    """The outcomes from what ``freehold calibrate --out FOLDER`` left there: answers and calibrations.

    Answers to further questions may lie there too.

    Raises:
        ValueError: A question was not answered by every model.
    """
    questions = shipped_questions()
    answers = {rung.name: _answers(folder, rung.name, questions) for rung in RUNGS}
    said = [_classes([answers[rung.name][1][place].text for rung in RUNGS]) for place in range(len(questions))]
    outcomes = {
        rung.name: [
            _outcome(question, answers[rung.name][1][place], said[place][index])
            for place, question in enumerate(questions)
        ]
        for index, rung in enumerate(RUNGS)
    }
    return Table(
        origins={name: origin for name, (origin, _) in answers.items()}, questions=questions, outcomes=outcomes
    )


def _answers(folder: Path, name: str, questions: Sequence[Question]) -> tuple[Origin, list[Answer]]:
    found = from_json((folder / f"{name}-{WORKLOAD}.json").read_text("utf-8"))
    origin = Origin(
        **{each: getattr(found, each) for each in Origin.__slots__} | {"question_digest": digest(questions)}
    )
    kept = AnswerFile(folder / f"{name}-answers.jsonl")
    known = (origin.model_digest, origin.engine, origin.engine_version, origin.template_digest)
    answers = [kept.get(AnswerFile.key(*known, question_body(question, name).decode())) for question in questions]
    if missing := sum(answer is None for answer in answers):
        raise ValueError(f"{name} has not answered {missing} of {len(questions)} questions")
    return origin, [answer for answer in answers if answer is not None]


def _outcome(question: Question, answer: Answer, said: int) -> Outcome:
    request = decode_chat(question_body(question, "x"), request_id="outcome")
    tokens = answer.logprobs
    signals = measure(request, text=answer.text, logprobs=tokens, finish_reason=answer.finish_reason)
    first = {
        most: _rounded(measure_prefix(request, text=answer.text, logprobs=tokens, tokens=most))
        for most in PREFIXES
        if len(tokens) > most
    }
    return Outcome(
        right=is_right(question, answer.text),
        said=said,
        input_tokens=answer.input_tokens,
        output_tokens=len(tokens),
        busy_ms=answer.busy_ms,
        signals=_rounded(signals),
        first=first,
    )


def _classes(texts: Sequence[str]) -> list[int]:
    """Equal numbers for answers that say the same: equal text, or the shorter one whole within the longer."""
    plain = [normalise(text).strip(" .,;:!?\"'") for text in texts]
    found: list[int] = []
    for place, text in enumerate(plain):
        same = next((found[before] for before in range(place) if _is_same(plain[before], text)), len(found))
        found.append(same)
    return found


def _is_same(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return bool(short) and f" {short} " in f" {long} ".translate(str.maketrans(".,;:!?\"'()", " " * 10))


def calibration_of(table: Table, model: str, *, prefix: int = 0, numpy: Any = None) -> Calibration:
    """What ships for one model.

    Raises:
        CalibrationImpossible: Too few of its answers have more than ``prefix`` tokens.
    """
    parts = {part: list[Sample]() for part in Part}
    for each in table.graded(model, prefix):
        parts[each.question.part].append(each.sample)
    origin = replace(table.origins[model], scope=scope_of(prefix)) if prefix else table.origins[model]
    held_out = parts[Part.CERTIFY] + parts[Part.CHECK]
    return fit(parts[Part.FIT], seed=1, origin=origin, held_out=held_out, numpy=numpy)


def proofs_of(table: Table, model: str, calibration: Calibration, *, prefix: int = 0) -> list[Proof]:
    """What can be certified of one model, at 5, 10 and 20 %, each with 90 % confidence."""
    midnight = datetime.fromisoformat(calibration.created).replace(tzinfo=UTC)
    unix_ms = int(midnight.timestamp() * 1000)
    graded = table.graded(model, prefix)
    return [prove(calibration, graded, aim=Aim(risk_max=risk), unix_ms=unix_ms) for risk in RISKS]


def forecast_of(table: Table, lower: str, upper: str, calibration: Calibration, *, numpy: Any = None) -> Calibration:
    """How likely one rung is to be right, from the signals of a lower one's answer."""
    card = ModelCard(name=upper, digest=table.origins[upper].model_digest)
    below = Answered(
        model=ModelCard(name=lower, digest=calibration.model_digest),
        calibration=calibration,
        graded=table.graded(lower),
    )
    above = Answered(model=card, calibration=calibration, graded=table.graded(upper))
    return forecast(below, above, numpy=numpy)


def write_shipped(table: Table, folder: Path = SHIPPED) -> list[str]:
    """Write calibrations and certificates as they ship; says what was made and what could not be."""
    told: list[str] = []
    for name in ("calibrations", "certificates"):
        (folder / name).mkdir(exist_ok=True)
        for old in (folder / name).glob("*.json"):
            old.unlink()
    for rung in RUNGS:
        for prefix in (0, *PREFIXES):
            file = f"{rung.file}-{scope_of(prefix)}" if prefix else rung.file
            try:
                calibration = calibration_of(table, rung.name, prefix=prefix)
            except CalibrationImpossible as error:
                told.append(f"{file}: {error}")
                continue
            if prefix and (calibration.held_out is None or calibration.held_out.auroc < PREFIX_AUROC_MIN):
                told.append(f"{file}: tells right from wrong no better than chance, and is not shipped")
                continue
            (folder / "calibrations" / f"{file}.json").write_text(to_json(calibration), "utf-8")
            for upper in RUNGS[RUNGS.index(rung) + 1 :] if not prefix else ():
                foreseen = forecast_of(table, rung.name, upper.name, calibration)
                (folder / "calibrations" / f"{file}-next-{upper.file}.json").write_text(to_json(foreseen), "utf-8")
                told.append(f"{file}, next {upper.file}: {foreseen.held_out}")
            told.append(f"{file}: {calibration.held_out}")
            for proof in proofs_of(table, rung.name, calibration, prefix=prefix):
                if proof.certificate is not None:
                    named = f"{file}-{round(100 * proof.risk_max):02d}.json"
                    (folder / "certificates" / named).write_text(certificate_json(proof.certificate), "utf-8")
                told.append(f"  {proof.risk_max:.0%}: {'none' if proof.certificate is None else proof.certificate.id}")
    return told


def _rounded(signals: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in signals.items()}


def _listed(names: Sequence[str], signals: Mapping[str, float]) -> list[float | None]:
    values = [signals.get(name) for name in names]
    return [int(value) if value is not None and value == math.floor(value) else value for value in values]


def _named(names: Sequence[str], values: Sequence[float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True) if value is not None}


def _members(origin: Origin) -> dict[str, str]:
    return {name: getattr(origin, name) for name in Origin.__slots__}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the answers are; without it the table is taken")
    chosen = parser.parse_args(arguments)
    if chosen.folder is not None:
        write_table(table_of(chosen.folder))
        print(*(f"{each.name}: {each.stat().st_size:,} bytes" for each in sorted(TABLE.iterdir())), sep="\n")
        return
    print(*write_shipped(read_table()), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
