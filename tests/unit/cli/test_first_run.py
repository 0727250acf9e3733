"""What the first start proposes, and what an answer means."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest

from freehold.cli import first_run
from freehold.cli.first_run import Reply
from freehold.domain.hardware import HardwareProfile
from freehold.serving.catalogue import load_catalogue

Machine = Callable[..., HardwareProfile]
CATALOGUE = load_catalogue()


def test_the_best_that_fits_is_proposed(machine: Machine) -> None:
    small = first_run.propose(first_run.choices(CATALOGUE, machine(memory_free_bytes=2_000_000_000)), installed=())
    large = first_run.propose(first_run.choices(CATALOGUE, machine()), installed=())
    assert small.choice.report.fits
    assert large.choice.option.parameters > small.choice.option.parameters
    assert not large.is_installed


def test_a_slow_machine_gets_a_model_that_answers_faster_than_people_read(machine: Machine) -> None:
    slow = first_run.propose(first_run.choices(CATALOGUE, machine(bandwidth_bytes_per_s=5_000_000_000)), installed=())
    report = slow.choice.report
    assert (report.tok_per_s_low * report.tok_per_s_high) ** 0.5 >= 10


def test_embedding_models_are_not_proposed(machine: Machine) -> None:
    names = {each.option.name for each in first_run.choices(CATALOGUE, machine())}
    assert names == {entry.name for entry in CATALOGUE.entries.values() if entry.chat}
    assert len(names) < len(CATALOGUE.entries)


def test_what_is_installed_is_used_without_a_question(machine: Machine) -> None:
    proposal = first_run.propose(first_run.choices(CATALOGUE, machine()), installed={"smollm2-135m"})
    assert proposal.is_installed
    assert proposal.choice.option.name == "smollm2-135m"
    assert "smollm2-135m" not in {each.option.name for each in proposal.others}


def test_an_installed_model_that_does_not_fit_is_passed_over(machine: Machine) -> None:
    ranked = first_run.choices(CATALOGUE, machine(memory_free_bytes=2_000_000_000))
    proposal = first_run.propose(ranked, installed={"gpt-oss-20b"})
    assert not proposal.is_installed
    assert all(each.report.fits for each in proposal.others)


def test_without_a_hub_only_what_the_product_may_take_from_packages_is_offered(machine: Machine) -> None:
    offered = first_run.without_hub(CATALOGUE, first_run.choices(CATALOGUE, machine()))
    assert offered is not None
    packages = CATALOGUE.entries[offered.option.name].packages
    assert packages is not None
    assert not packages.demo_only


def test_without_a_hub_and_without_memory_nothing_is_offered(machine: Machine) -> None:
    ranked = first_run.choices(CATALOGUE, machine(memory_free_bytes=10_000_000))
    assert first_run.without_hub(CATALOGUE, ranked) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", Reply.YES),
        ("\n", Reply.YES),
        ("Y\n", Reply.YES),
        ("yes", Reply.YES),
        ("n\n", Reply.NO),
        ("NO", Reply.NO),
        ("other\n", Reply.OTHER),
        (" qwen3-4b \n", "qwen3-4b"),
    ],
)
def test_replies(typed: str, meant: Reply | str) -> None:
    assert first_run.read_reply(typed) == meant


def test_lines_name_size_and_an_estimate_that_is_called_one(machine: Machine) -> None:
    proposal = first_run.propose(first_run.choices(CATALOGUE, machine()), installed={"smollm2-135m"})
    line = first_run.proposal_line(proposal)
    assert line.startswith("Installed: smollm2-135m, 0.1 GB, about ")
    assert "estimate" in line
    assert "cloud" not in line.lower()


def test_the_written_configuration() -> None:
    values = tomllib.loads(first_run.config_text(model="hf:a/b/c.gguf", slots=3, context_tokens=4096))
    assert values == {
        "deployments": {"small": {"engine": "embedded", "model": "hf:a/b/c.gguf", "context_tokens": 4096, "slots": 3}},
        "routes": {"auto": {"deployments": ["small"]}},
        "aliases": {"gpt-4o-mini": "auto", "gpt-4o": "auto"},
        "ledger": {"compare_with": "openai/gpt-6-luna"},
    }
