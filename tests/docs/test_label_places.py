"""Every place where a text, or what was made of it, is kept has its label and a test of that."""

from __future__ import annotations

import re

from tests.support.documents import ROOT, rows

PAGE = ROOT / "docs" / "how-to" / "labels.md"
FLOW = "integration/test_label_flow.py"
TESTS = {
    "receipt, audit entry, egress record": (
        f"{FLOW}::test_the_command_shows_every_source_and_the_audit_log_has_the_rules",
        f"{FLOW}::test_a_restricted_answer_pasted_into_a_new_request_does_not_leave",
    ),
    "uploaded file": (f"{FLOW}::test_the_label_of_a_file_is_its_names_and_its_contents",),
    "batch; each of its items": (
        "integration/test_batches.py::test_the_label_of_a_batch_holds_for_every_item_and_its_files",
    ),
    "results of a batch": (f"{FLOW}::test_the_results_of_a_batch_carry_what_its_items_say_and_their_routes",),
    "outcome, shadow, exported outcome": (
        "unit/gateway/test_shadows.py::test_what_a_text_says_of_itself_is_in_its_outcome_its_export_and_its_shadow",
    ),
    "classifier": ("unit/gateway/test_classify.py::test_the_label_of_the_examples_joins_that_of_the_texts",),
    "fingerprints": (
        "unit/gateway/test_flow.py::test_a_restricted_answer_that_is_pasted_into_a_new_request_stays_at_home",
        f"{FLOW}::test_another_tenant_is_told_nothing_of_it",
    ),
    "question vectors": ("unit/gateway/test_prerouting.py::test_questions_do_not_leave_the_device_to_be_looked_at",),
    "an engine's cache of prompts": (
        "integration/test_prompt_caches.py::test_another_scope_finds_nothing_of_a_prompt_and_its_own_finds_it",
        "unit/gateway/test_cache_scope.py::test_all_calls_of_a_request_have_one_scope_and_another_tenant_or_label_has_another",
    ),
}
"""Tests by row."""


def test_every_place_is_listed_and_has_its_test() -> None:
    assert [place for place, *_ in rows(PAGE, below="## Where a label is kept")] == list(TESTS)
    for test in (each for tests in TESTS.values() for each in tests):
        path, _, name = test.partition("::")
        source = (ROOT / "tests" / path).read_text("utf-8")
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), test
