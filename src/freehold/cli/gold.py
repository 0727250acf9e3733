"""``freehold gold``: questions with known answers of one's own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.learnt import open_learnt
from freehold.cli.options import ConfigFile, Json, KeyFile, Url
from freehold.cli.server_call import find_server, post
from freehold.domain.errors.evals import QuestionsUnreadable
from freehold.evals.questions import parse_questions

app = App(name="gold", help="Questions with known answers: add, list, remove, and ask them.")

_ANSWER_S = 600.0


@app.command
def add(
    file: Annotated[str, Parameter(name="FILE")],
    /,
    *,
    workload: str = "general",
    tenant: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Keep the questions of a file, in the database of this machine. One of the same id is replaced.

    Args:
        file: One JSON object a line with "id", "prompt", "grade" (contains, choice, number or json) and "answers".
        workload: Kind of task that they stand for; "general" if not given.
        tenant: Whose they are; the only tenant if not given.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
        questions = parse_questions(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise QuestionsUnreadable(path=file, reason=str(error)) from error
    lines = {str(each["id"]): json.dumps(each) for each in map(json.loads, filter(str.strip, text.splitlines()))}
    with open_learnt(config) as learnt:
        owner = learnt.tenant(tenant)
        asyncio.run(learnt.certificates.put_gold(lines, tenant=owner, workload=workload))
    if as_json:
        output.print_json({"tenant": owner, "workload": workload, "questions": len(questions)})
    else:
        output.say(f"{len(questions):,} questions of {owner} stand for the workload {workload}.")
    return output.OK


@app.command(name="list")
def list_gold(*, tenant: str = "", config: ConfigFile = "", as_json: Json = False) -> int:
    """List how many questions there are.

    Args:
        tenant: Only this tenant's.
    """
    with open_learnt(config) as learnt:
        found = asyncio.run(learnt.certificates.gold(tenant=tenant))
    counted = Counter((owner, workload) for owner, workload, _, _ in found)
    if as_json:
        rows = [{"tenant": each[0], "workload": each[1], "questions": count} for each, count in sorted(counted.items())]
        output.print_json(rows)
    elif not counted:
        output.say('There are no gold questions. "freehold gold add FILE" keeps some.')
    else:
        rows = [(*each, f"{count:,}") for each, count in sorted(counted.items())]
        output.say(output.table(rows, head=("tenant", "workload", "questions")))
    return output.OK


@app.command
def remove(
    workload: Annotated[str, Parameter(name="WORKLOAD")],
    /,
    *,
    question: str = "",
    tenant: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Remove the questions of a workload, or one of them. What was learnt from them stays.

    Args:
        workload: Which.
        question: Id of the one to remove.
        tenant: Whose they are; the only tenant if not given.
    """
    with open_learnt(config) as learnt:
        owner = learnt.tenant(tenant)
        removed = asyncio.run(learnt.certificates.remove_gold(tenant=owner, workload=workload, question_id=question))
    if as_json:
        output.print_json({"tenant": owner, "workload": workload, "removed": removed})
    else:
        output.say(f"{removed:,} questions are removed.")
    return output.OK


@app.command(name="run")
def run_gold(
    model: Annotated[str, Parameter(name="ROUTE")] = "auto",
    /,
    *,
    workload: str = "general",
    tenant: str = "",
    config: ConfigFile = "",
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Ask the running server the questions of a workload, at the lowest priority, and label the answers.

    They are requests of the key's tenant, with receipts. Then "freehold certify" has known answers to go by.

    Args:
        model: The route, or the deployment on its own; "auto" if not given.
        workload: Whose questions; "general" if not given.
        tenant: Whose they are; the only tenant if not given.
    """
    with open_learnt(config) as learnt:
        found = asyncio.run(learnt.certificates.gold(tenant=learnt.tenant(tenant), workload=workload))
    if not found:
        raise output.UsageError(f'There are no gold questions for {workload}. "freehold gold add FILE" keeps some.')
    server = find_server(url=url, key_file=key_file)
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for place, (_, _, _, document) in enumerate(found, start=1):
        body = json.dumps({"model": model, "question": json.loads(document)}).encode()
        answer: dict[str, Any] = post(server, "/v1/gold", body, timeout_s=_ANSWER_S)
        for outcome in answer["outcomes"]:
            asked[outcome["deployment"]] += 1
            right[outcome["deployment"]] += bool(outcome["right"])
        if not as_json and (place % 25 == 0 or place == len(found)):
            output.note(f"{place} of {len(found)} questions asked")
    rows = [{"deployment": name, "asked": count, "right": right[name]} for name, count in sorted(asked.items())]
    if as_json:
        output.print_json(rows)
    else:
        shown = [
            (name, f"{count:,}", f"{right[name]:,}", f"{right[name] / count:.1%}") for name, count in asked.items()
        ]
        output.say(output.table(shown, head=("deployment", "asked", "right", "share")))
    return output.OK
