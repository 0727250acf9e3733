"""``freehold classify``: train, test and use classifiers of the running server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import RunningServer, find_server, get, json_of, not_running
from freehold.domain.errors.classify import ExamplesUnfit
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.net.fetch import call_local
from freehold.routing.classifier_fit import wilson
from freehold.routing.quality import measure_quality
from freehold.wire.classify import NAME_PATTERN

app = App(name="classify", help="Sort texts by labels, with a probability each; train a classifier from examples.")

_PATH = "/v1/classifiers"
_TIMEOUT_S = 3600.0
"""Fitting seventy labels takes minutes."""
_TEXTS_AT_ONCE = 64


@app.default
def classify(
    name: Annotated[str, Parameter(name="NAME")],
    text: Annotated[str, Parameter(name="TEXT")],
    /,
    *,
    labels: Annotated[tuple[str, ...], Parameter(name="--choice", negative=())] = (),
    label: str = "",
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Classify one text.

    Args:
        name: A classifier, or with --choice a chat model's route.
        text: The text; "-" reads it from standard input.
        labels: A label that a chat model is to choose from; give it once for each.
        label: What the text may be shown to, for example "confidential"; it only ever narrows.
    """
    server = find_server(url=url, key_file=key_file)
    body: dict[str, object] = {"model": name, "input": sys.stdin.read() if text == "-" else text}
    if labels:
        body["labels"] = list(labels)
    answer = _send(server, "POST", "/v1/classify", body, label=label)
    if as_json:
        output.print_json(answer)
        return output.OK
    row = answer["data"][0]
    numbers: dict[str, float] = row["probabilities"] if row["calibrated"] else row["scores"]
    for each, number in numbers.items():
        output.say(f"{number:6.3f}  {each}")
    if row["abstain"]:
        output.note("None of them is probable enough: it abstains.")
    if not row["calibrated"]:
        output.note("These are scores, not probabilities: a classifier trained from examples has those.")
    return output.OK


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a classifier is made.

    Attributes:
        model: A route or deployment of an embedder; with --method logprobs, of a chat model.
        method: embedding (fast; the default) or logprobs (a chat model is asked for each text).
        instructions: What a chat model is told besides the labels.
        threshold: Abstain below this probability.
        risk: Choose the threshold so that at most this share of what it decides is wrong, for example 0.05.
        keep_examples: Keep the texts too; else only the numbers are kept.
        replace: Replace a classifier of that name.
    """

    model: str
    method: Literal["embedding", "logprobs"] = "embedding"
    instructions: str = ""
    threshold: float | None = None
    risk: float | None = None
    keep_examples: bool = False
    replace: bool = False


@app.command(name="train")
def train(
    name: Annotated[str, Parameter(name="NAME")],
    examples: Annotated[str, Parameter(name="EXAMPLES")],
    /,
    *,
    wanted: Wanted,
    label: str = "",
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Train a classifier, and show how good it is on examples that it was not trained on.

    Args:
        name: What you call it.
        examples: File with one JSON object a line: {"text": "…", "label": "…"}. "-" reads standard input.
        label: Label of the examples, for example "confidential"; it only ever narrows.
    """
    server = find_server(url=url, key_file=key_file)
    body: dict[str, object] = {
        "name": name,
        **{option: value for option, value in asdict(wanted).items() if value is not None},
        "examples": [{"text": text, "label": right} for text, right in _examples(examples)],
    }
    made = _send(server, "POST", _PATH, body, label=label)
    if as_json:
        output.print_json(made)
    else:
        output.say(_described(made))
    return output.OK


@app.command(name="test")
def test(
    name: Annotated[str, Parameter(name="NAME")],
    examples: Annotated[str, Parameter(name="EXAMPLES")],
    /,
    *,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Hold a classifier against examples that it was not trained on.

    Args:
        name: The classifier.
        examples: File with one JSON object a line: {"text": "…", "label": "…"}. "-" reads standard input.
    """
    server = find_server(url=url, key_file=key_file)
    told = list(_examples(examples))
    rows: list[dict[str, Any]] = []
    for low in range(0, len(told), _TEXTS_AT_ONCE):
        texts = [text for text, _ in told[low : low + _TEXTS_AT_ONCE]]
        rows += _send(server, "POST", "/v1/classify", {"model": name, "input": texts})["data"]
    right = [row["label"] == wanted for row, (_, wanted) in zip(rows, told, strict=True)]
    quality = measure_quality([row["probability"] for row in rows], right)
    accuracy = wilson(sum(right), len(right))
    taken = [is_right for row, is_right in zip(rows, right, strict=True) if not row["abstain"]]
    summary: dict[str, object] = {
        "examples": len(right),
        "accuracy": {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high},
        "ece": quality.ece,
        "auroc_of_right": quality.auroc,
        "abstained": len(right) - len(taken),
        "accuracy_of_the_rest": sum(taken) / len(taken) if taken else None,
    }
    if as_json:
        output.print_json(summary)
        return output.OK
    output.say(
        f"{len(right)} examples: {accuracy.value:.1%} right ({accuracy.low:.1%} to {accuracy.high:.1%}), "
        f"calibration error {quality.ece:.3f}"
    )
    if len(taken) < len(right):
        rest = f"{sum(taken) / len(taken):.1%} right" if taken else "nothing left"
        output.say(f"It abstained from {len(right) - len(taken)}; of the rest, {rest}.")
    return output.OK


@app.command(name="list")
def list_classifiers(*, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """List your tenant's classifiers."""
    found: list[dict[str, Any]] = get(find_server(url=url, key_file=key_file), _PATH)["data"]
    if as_json:
        output.print_json(found)
    elif not found:
        output.say('There are no classifiers yet. "freehold classify train NAME EXAMPLES --model MODEL" makes one.')
    else:
        rows = [
            (
                str(each["id"]),
                str(each["method"]),
                str(each["model"]),
                str(len(each["labels"])),
                str(each["cross_validated"]["examples"]),
                f"{each['cross_validated']['accuracy']['value']:.1%}",
                f"{each['cross_validated']['ece']['value']:.3f}",
            )
            for each in found
        ]
        head = ("name", "method", "model", "labels", "examples", "right", "calibration error")
        output.say(output.table(rows, head=head))
    return output.OK


@app.command(name="show")
def show(
    name: Annotated[str, Parameter(name="NAME")], /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False
) -> int:
    """Show one classifier: what it was trained on, and how good it is.

    Args:
        name: The classifier.
    """
    found = get(find_server(url=url, key_file=key_file), _path(name))
    if as_json:
        output.print_json(found)
    else:
        output.say(_described(found))
    return output.OK


@app.command(name="remove")
def remove(
    name: Annotated[str, Parameter(name="NAME")], /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False
) -> int:
    """Remove a classifier for good, with all that is kept of it.

    Args:
        name: The classifier.
    """
    server = find_server(url=url, key_file=key_file)
    removed = _send(server, "DELETE", _path(name))
    if as_json:
        output.print_json(removed)
    else:
        output.say(f"The classifier {name} is removed.")
    return output.OK


def _path(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise output.UsageError(f'{name!r} is no name of a classifier; "freehold classify list" lists them.')
    return f"{_PATH}/{name}"


def _described(found: dict[str, Any]) -> str:
    crossed = found["cross_validated"]
    accuracy, ece = crossed["accuracy"], crossed["ece"]
    lines = [
        f"{found['id']}: {found['method']} on {found['model']} ({found['trained_with']['model']})",
        f"right               {_share(accuracy)} of {crossed['examples']} examples, each left out of training once",
        f"calibration error   {ece['value']:.3f} ({ece['low']:.3f} to {ece['high']:.3f})",
        f"abstains            {_abstains(found)}",
        f"label               {found['label']}",
    ]
    lines += [f"  {each['label']}: {each['examples']} examples" for each in found["labels"]]
    lines += [f"Note: {warning}." for warning in found["warnings"]]
    return "\n".join(lines)


def _share(interval: dict[str, float]) -> str:
    return f"{interval['value']:.1%} ({interval['low']:.1%} to {interval['high']:.1%})"


def _abstains(found: dict[str, Any]) -> str:
    if not found["threshold"]:
        return "never"
    why = f", so that at most {found['risk']:.0%} of the rest is wrong" if found["risk"] else ""
    return f"below {found['threshold']:.3f}{why}"


def _examples(source: str) -> Iterable[tuple[str, str]]:
    """Text and label of each line of a file.

    Raises:
        ExamplesUnfit: It cannot be read, or a line is no example.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesUnfit(reason=f"{source} cannot be read ({error})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield _example(line, number)


def _example(line: str, number: int) -> tuple[str, str]:
    try:
        value: object = json.loads(line)
    except ValueError as error:
        raise ExamplesUnfit(reason=f"line {number} is not JSON ({error})") from error
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    text, label = fields.get("text"), fields.get("label")
    if not isinstance(text, str) or not isinstance(label, str):
        raise ExamplesUnfit(reason=f'line {number} is not an object with the texts "text" and "label"')
    return text, label


def _send(server: RunningServer, method: str, path: str, body: object = None, *, label: str = "") -> dict[str, Any]:
    headers: Sequence[tuple[str, str]] = [*server.headers, *([("freehold-label", label)] if label else [])]
    try:
        answer = asyncio.run(
            call_local(
                server.url,
                method=method,
                path=path,
                headers=headers,
                body=b"" if body is None else json.dumps(body, ensure_ascii=False).encode(),
                timeout_s=_TIMEOUT_S,
                ca_file=server.ca_file,
            )
        )
    except UpstreamUnreachable as error:
        raise not_running(server.url, error) from error
    return json_of(server.url, answer)
