"""``freehold receipts``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.receipt_line import receipt_line
from freehold.cli.server_call import find_server, get
from freehold.cli.sums import show_sums
from freehold.domain.zones import WORLD

_LIMIT_MAX = 200
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def receipts(
    receipt_id: Annotated[str, Parameter(name="ID")] = "",
    /,
    *,
    limit: int = 20,
    sums: Annotated[bool, Parameter(name="--sum")] = False,
    days: int = 30,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Show what was asked, where it went and what it cost: the newest receipts, or one whole with its reasons.

    Args:
        receipt_id: One receipt.
        limit: Most receipts listed, 1 to 200; 20 if not given.
        sums: Show what all requests came to instead; read from the data folder, also while no server runs.
        days: How far back the sums go; 30 if not given.
    """
    if not 1 <= limit <= _LIMIT_MAX:
        raise output.UsageError(f"--limit is {limit}; 1 to {_LIMIT_MAX} are taken.")
    if sums:
        return show_sums(days=days, as_json=as_json)
    if receipt_id and not _ID.fullmatch(receipt_id):
        raise output.UsageError(f'{receipt_id!r} is no receipt id; "freehold receipts" lists them.')
    server = find_server(url=url, key_file=key_file)
    if receipt_id:
        receipt = get(server, f"/v1/receipts/{receipt_id}")
        if as_json:
            output.print_json(receipt)
        else:
            output.say(receipt_text(receipt))
        return output.OK
    found: list[dict[str, Any]] = get(server, f"/v1/receipts?limit={limit}")["data"]
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("No receipts yet.")
    else:
        rows = [
            (str(each["id"]), str(each["created"]), str(each["route"] or "-"), receipt_line(each)) for each in found
        ]
        output.say(output.table(rows, head=("receipt", "time", "route", "what happened")))
    return output.OK


def receipt_text(receipt: Mapping[str, Any]) -> str:
    """One receipt whole: label and why, each deployment and why, each attempt and why."""
    lines = [
        f"receipt   {receipt['id']}",
        f"time      {receipt['created']}, {receipt['total_ms']:.0f} ms in all",
        f"asked     {receipt['task']} of {receipt['model_asked']!r}, route {receipt['route'] or 'none'}",
        f"outcome   {receipt['outcome']}{_code(receipt)}",
        f"label     {_label(receipt['label'])}",
    ]
    lines += [
        f"          from {source['origin']} ({source['rule']}): {_label(source['label'])}"
        for source in receipt["label_sources"]
    ]
    for decision in receipt["decisions"]:
        said = "allowed" if decision["allowed"] else "denied"
        lines.append(
            ": ".join(filter(None, (f"policy    {decision['deployment']}", said, ", ".join(decision["reasons"]))))
        )
    if retrieved := receipt.get("retrieved"):
        lines += _retrieved(retrieved)
    if removed := receipt.get("removed"):
        lines.append("removed   " + ", ".join(f"{kind} {count}" for kind, count in removed.items()))
    lines += [f"detour    {told}" for told in receipt.get("detours", ())]
    for attempt in receipt["attempts"]:
        lines.append(f"attempt   {_attempt(attempt)}")
        if left_out := attempt.get("left_out"):
            lines.append(f"          {_left_out(left_out)}")
    if detectors := receipt.get("detectors"):
        lines.append(f"looked    {', '.join(detectors)}")
    lines.append(f"audit     {_audit(receipt)}")
    lines.append(f"summary   {receipt_line(receipt)}")
    return "\n".join(lines)


def _retrieved(retrieved: Mapping[str, Any]) -> list[str]:
    """Which documents went in, and which of them caused the label."""
    support = "" if retrieved["support"] is None else f", support {retrieved['support']:.2f}"
    told = ": not in the documents, no model was asked" if retrieved["abstained"] else ""
    generation = f", generation {retrieved['generation']}" if retrieved["generation"] else ""
    lines = [f"vault     {retrieved['vault']}{generation}{support}{told}"]
    for each in retrieved["documents"]:
        caused = "; it raised the label" if each["raised"] else ""
        lines.append(f"          {each['passages']} of document {each['id']}: {each['label']}{caused}")
    lines += [f"          {count} {level} left out" for level, count in retrieved["left_out"].items()]
    return lines


def _label(label: Mapping[str, Any]) -> str:
    """As a label is written; a text that may be processed anywhere has no zones."""
    members = [str(label["level"])]
    if WORLD not in (zones := label.get("zones", (WORLD,))):
        members.append("zones=" + ",".join(zones))
    if kinds := label.get("kinds"):
        members.append("kinds=" + ",".join(kinds))
    if (readers := label.get("readers")) is not None:
        members.append("readers=" + (",".join(readers) or "nobody"))
    if not label.get("trusted", True):
        members.append("trusted=no")
    return ";".join(members)


def _left_out(left_out: Mapping[str, Any]) -> str:
    """What went without what: counts, since the values themselves are nowhere."""
    counted = [f"{count} {kind}" for kind, count in left_out["counts"].items()]
    counted += [f"{count} {done} in the answer" for done, count in left_out["answered"].items()]
    return f"sent after {left_out['act']} as {left_out['label']}: {', '.join(counted)}"


def _code(document: Mapping[str, Any]) -> str:
    return f" ({document['error_code']})" if document.get("error_code") else ""


def _attempt(attempt: Mapping[str, Any]) -> str:
    text = (
        f"{attempt['deployment']} in {attempt['zone']}, model {attempt['model']}: {attempt['outcome']}{_code(attempt)}"
    )
    if attempt.get("role", "answer") != "answer":
        text = f"{attempt['role'].replace('_', ' ')} of {text}"
    confidence, verdict = attempt.get("confidence"), attempt.get("verdict")
    if confidence:
        probability = confidence["probability"]
        shown = confidence["status"] if probability is None else f"{probability:.2f} ({confidence['status']})"
        text += f", confidence {shown}"
    if verdict:
        certified = ", certified" if verdict.get("certificate") else ""
        text += f", {verdict['action']} ({verdict['reason']}{certified})"
    usage = attempt["usage"]
    measured = "" if usage["measured"] else " (estimated)"
    return f"{text}, {usage['input_tokens']} + {usage['output_tokens']} tokens{measured}"


def _audit(receipt: Mapping[str, Any]) -> str:
    index = receipt.get("audit_index")
    if index is None:
        return "not recorded"
    log = f" of {receipt['audit_log']}" if receipt.get("audit_log") else ""
    return f"entry {index}{log}{', with proof (--json)' if receipt.get('proof') else ''}"
