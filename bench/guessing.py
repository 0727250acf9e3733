"""Settings of guessing that the product does not have: does any pay on code? Tokens a processor second, with and without.

    python -m bench.guessing [--prompts N] [--tokens N] [--kind edit] [--only WORD]…

The 1.5B goes on with pieces of this repository's sources, greedily, plain and then with each setting, prompt by prompt in
turn; reading the prompt is not counted. Settings: how many tokens the 0.5B drafts and how sure it has to be, and how many
tokens a lookup wants alike and guesses. ``--kind edit`` has other prompts, where lookup is at its best: a function of these
sources is to be written again with a name changed. The bar of issue 9 is 1.15 on completion with the same answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.bars import markdown
from bench.llama_child import Child, Reply
from bench.speculation import DRAFT, FILES, GAIN_MIN, MODEL, SOURCES, prompts
from tests.models import starter_model

BASE = {"n_batch": 64, "n_ubatch": 64}
SLOT_TOKENS = 1_024
EDITS = (
    ("planner/speed.py", "def write_seconds", "load", "work"),
    ("domain/limits.py", "class Limit:", "currency", "money"),
)
EDIT_CHARACTERS = 900


@dataclass(frozen=True)
class Setting:
    """One way to guess."""

    name: str
    settings: dict[str, Any]


def draft(most: int, sure: float, **more: Any) -> Setting:
    settings: dict[str, Any] = {
        "speculative.types": "DRAFT_SIMPLE",
        "speculative.draft.mparams.path": str(starter_model(DRAFT)),
        "speculative.draft.n_max": most,
        "speculative.draft.p_min": sure,
        "speculative.draft.cpuparams.n_threads": 1,
        "speculative.draft.cpuparams_batch.n_threads": 1,
    }
    told = "".join(f", {name.rsplit('.', 1)[-1]} {value}" for name, value in more.items())
    return Setting(f"draft, {most} at {sure:.2f}{told}", settings | more)


def lookup(alike: int, guessed: int) -> Setting:
    settings = {
        "speculative.types": "NGRAM_MAP_K",
        "speculative.ngram_map_k.size_n": alike,
        "speculative.ngram_map_k.size_m": guessed,
    }
    return Setting(f"lookup, {alike} alike, {guessed} guessed", settings)


def settings() -> list[Setting]:
    """Batches of four are where llama.cpp multiplies repacked weights by several rows at once: 3, 7, 15 guesses and one."""
    return [
        draft(3, 0.75),
        draft(3, 0.0),
        lookup(6, 8),
        lookup(6, 3),
        lookup(3, 3),
        lookup(3, 15),
        draft(2, 0.75),
        draft(4, 0.75),
        draft(3, 0.9),
        draft(7, 0.9),
        draft(7, 0.5),
        lookup(2, 7),
        lookup(6, 15),
        draft(3, 0.75, **{"cpuparams_batch.n_threads": 2}),
    ]


def edits() -> list[str]:
    """A piece of a source that is to be given back with one name changed, as a chat."""
    found: list[str] = []
    for name, begin, old, new in EDITS:
        text = (SOURCES / name).read_text(encoding="utf-8")
        at = text.index(f"\n{begin}") + 1
        piece = text[at : at + EDIT_CHARACTERS].rsplit("\n", 1)[0]
        found.append(
            f"<|im_start|>user\nRename `{old}` to `{new}` in this code and give all of it back:\n```python\n{piece}\n```"
            f"<|im_end|>\n<|im_start|>assistant\n```python\n"
        )
    return found


def measured(plain: Child, setting: Setting, texts: Sequence[str], tokens: int) -> list[tuple[Reply, Reply]]:
    """Each prompt's answer without and with, one after the other."""
    pairs: list[tuple[Reply, Reply]] = []
    size = {"n_parallel": len(texts), "n_ctx": SLOT_TOKENS * len(texts)}
    with Child(starter_model(MODEL), BASE | size | setting.settings) as child:
        for slot, text in enumerate(texts):
            child.ask(text, tokens=1, slot=slot)
            pairs.append((plain.ask(text, tokens=tokens, slot=slot), child.ask(text, tokens=tokens, slot=slot)))
    return pairs


def row(name: str, kind: str, pairs: Sequence[tuple[Reply, Reply]]) -> list[str]:
    rate, plain_rate = (
        sum(pair[side].written for pair in pairs) / sum(pair[side].cpu_s for pair in pairs) for side in (1, 0)
    )
    same = sum(one.text == two.text for one, two in pairs)
    guessed, stood = sum(two.drafted for _, two in pairs), sum(two.accepted for _, two in pairs)
    gain = rate / plain_rate
    pays = "yes" if gain >= GAIN_MIN and same == len(pairs) else ""
    share = f"{stood} of {guessed}" if guessed else "–"
    return [name, kind, f"{plain_rate:.2f}", f"{rate:.2f}", f"{gain:.2f}", share, f"{same} of {len(pairs)}", pays]


HEAD = ("setting", "prompts", "plain tok/CPU-s", "tok/CPU-s", "gain", "guesses that stood", "same answers", "bar")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=len(FILES))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--kind", default="completion", choices=("completion", "edit"))
    parser.add_argument("--only", action="append", default=[], help="settings with this in their name")
    asked = parser.parse_args(arguments)
    texts = edits() if asked.kind == "edit" else [each.text for each in prompts(asked.prompts)]
    rows: list[list[str]] = []
    size = {"n_parallel": len(texts), "n_ctx": SLOT_TOKENS * len(texts)}
    with Child(starter_model(MODEL), BASE | size) as plain:
        for slot, text in enumerate(texts):
            plain.ask(text, tokens=1, slot=slot)
        for setting in settings():
            if not asked.only or any(word in setting.name for word in asked.only):
                rows.append(row(setting.name, asked.kind, measured(plain, setting, texts, asked.tokens)))
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(HEAD, rows))
    met = [each[0] for each in rows if each[-1]]
    print(f"\nAt least {GAIN_MIN} on {asked.kind} with the same answers: {', '.join(met) or 'none of them'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
