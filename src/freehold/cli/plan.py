"""``freehold plan``."""

from __future__ import annotations

from freehold.cli import output
from freehold.cli.machine_speed import this_machine
from freehold.cli.options import Json
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.planner import wording
from freehold.planner.choose import ModelOption
from freehold.planner.devices import SHEETS
from freehold.planner.plan import Served, Wanted, plan, plan_here


def plan_hardware(
    *,
    ctx: int = 8_192,
    prompt: int = 1_024,
    users: int = 1,
    tok_s: float = 10.0,
    first_token: float = 0.0,
    model: str = "",
    as_json: Json = False,
) -> int:
    """Say which model, in which quantisation, on which hardware serves a workload, how fast, and how sure that is.

    Args:
        ctx: Tokens of one request, prompt and answer together.
        prompt: Tokens of a usual prompt.
        users: Requests at once.
        tok_s: Least tokens a second for each of them.
        first_token: Longest that one waits for its beginning, in seconds; any time if not given.
        model: Only this model of the catalogue.
    """
    if min(ctx, prompt, users) < 1 or tok_s <= 0 or first_token < 0:
        raise output.UsageError("--ctx, --prompt, --users and --tok-s are above 0.")
    if prompt > ctx:
        raise output.UsageError(f"--prompt is {prompt}, more than --ctx, which is {ctx}.")
    entries = registry_of(data_folder()).catalogue.entries
    chosen = [
        each for each in entries.values() if each.chat and each.onnx is None and (not model or each.name == model)
    ]
    if not chosen:
        names = ", ".join(each.name for each in entries.values() if each.chat)
        raise output.UsageError(f"--model {model!r} is no model of the catalogue that writes; there is: {names}.")
    options = [
        ModelOption(name=each.name, parameters=each.parameters, shape=each.model_shape)
        for each in chosen
        if each.context_tokens >= ctx
    ]
    wanted = Wanted(context_tokens=ctx, prompt_tokens=prompt, users=users, tok_per_s=tok_s, first_token_s=first_token)
    profile, told = this_machine(data_folder())
    here = plan_here(options, profile, wanted)
    found = ((here,) if here is not None else ()) + plan(options, SHEETS, wanted)
    quantisations = {each.name: each.quantisation for each in chosen}
    if as_json:
        output.print_json([{**_document(each, quantisations), "this_machine": each is here} for each in found])
    elif not found:
        output.say("No device of the table serves that. Fewer users, less context, or a slower answer would do.")
    else:
        output.say(_text(found, quantisations, here, users))
        output.say(
            f"This machine: {told if here is not None else 'no model of the catalogue is that fast on its processor'}."
        )
    return output.OK if found else output.FAILED


def _text(found: tuple[Served, ...], quantisations: dict[str, str], here: Served | None, users: int) -> str:
    rows = [
        (
            "this machine" if each is here else each.device.name,
            f"{each.option.name} {quantisations[each.option.name]}",
            f"{wording.size(each.report.needs_bytes)} of {wording.size(each.report.free_bytes)}",
            f"{each.each.tok_per_s:.0f} ({each.each.low:.0f} to {each.each.high:.0f})",
            f"{each.together:.0f} ({each.each.low * users:.0f} to {each.each.high * users:.0f})",
            f"{each.first_token_s:.1f} s (at most {each.first_token_high_s:.1f})",
            "yes" if each.surely else "likely",
        )
        for each in found
    ]
    head = ("device", "largest model", "memory", "tok/s each", "together", "first token", "enough")
    return "\n".join(
        [
            output.table(rows, head=head),
            "",
            "Computed from makers' sheets and 720 published runs; on nine of ten devices the speed is in the interval.",
            'A device that you have says more: run "freehold fit" there. What one costs: "freehold repatriate".',
        ]
    )


def _document(each: Served, quantisations: dict[str, str]) -> dict[str, object]:
    return {
        "device": each.device.name,
        "model": each.option.name,
        "quantisation": quantisations[each.option.name],
        "needs_bytes": each.report.needs_bytes,
        "free_bytes": each.report.free_bytes,
        "tok_per_s": round(each.each.tok_per_s, 1),
        "tok_per_s_low": round(each.each.low, 1),
        "tok_per_s_high": round(each.each.high, 1),
        "together_tok_per_s": round(each.together, 1),
        "first_token_s": round(each.first_token_s, 2),
        "first_token_s_high": round(each.first_token_high_s, 2),
        "source": each.each.source,
        "surely": each.surely,
    }
