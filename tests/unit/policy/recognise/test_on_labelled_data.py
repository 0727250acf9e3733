"""Recognisers and the secret scanner on labelled texts: what must never be missed, and how much noise there is."""

from __future__ import annotations

import json

from bench.detect.score import score_pii, score_secrets
from bench.detect.structured import F2_MIN, NOISE_MAX, RECALL_MIN, RECALLS, predicted, private_keys, recall_of
from freehold.policy.recognise import secrets
from tests.support.shared_data import shared_data


def records(name: str) -> list[dict]:
    return [json.loads(line) for line in shared_data("privacy", name).read_text(encoding="utf-8").splitlines()]


def test_values_with_a_form_are_hardly_ever_missed() -> None:
    score = score_pii(records("pii.jsonl"), predicted)
    for name, types in RECALLS.items():
        required, hits = recall_of(score, types)
        assert hits / required >= RECALL_MIN, name
    assert score.whole.precision >= 0.95


def test_secrets_are_found_with_little_noise() -> None:
    code = records("secrets.jsonl")
    score = score_secrets(code, secrets)
    assert score.f2 >= F2_MIN
    assert score.noise_per_mb <= NOISE_MAX
    required, hits = private_keys(code)
    assert hits / required >= RECALL_MIN
