"""How a batch goes from state to state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.batch import (
    ACTIVE,
    Batch,
    BatchEnd,
    BatchFault,
    BatchState,
    cancelled,
    counted,
    ended,
    finalizing,
    outcome,
    refused,
    validated,
)

FAULT = BatchFault(code="empty_file", message="nothing")
NEW = Batch(
    id="batch_1", tenant="acme", key_id="k", endpoint="/v1/embeddings", input_file_id="file-1", window="24h",
    label="internal", metadata={}, state=BatchState.VALIDATING, created_unix_ms=1, expires_unix_ms=9,
)  # fmt: skip


def at(state: BatchState) -> Batch:
    return replace(NEW, state=state, total=3)


MOVES = {
    "validated": (lambda batch: validated(batch, total=3, unix_ms=5), {"validating": "in_progress"}),
    "refused": (lambda batch: refused(batch, errors=(FAULT,), unix_ms=5), {"validating": "failed"}),
    "cancelled": (
        lambda batch: cancelled(batch, unix_ms=5),
        {"validating": "cancelling", "in_progress": "cancelling"},
    ),
    "finalizing": (lambda batch: finalizing(batch, unix_ms=5), {"in_progress": "finalizing"}),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", BatchState)
def test_every_move_from_every_state(move: str, state: BatchState) -> None:
    act, leads = MOVES[move]
    before = at(state)
    after = act(before)
    if state.value in leads:
        assert after.state == leads[state.value]
        assert after.moments == {leads[state.value]: 5}
    else:
        assert after is before


def test_counts_change_only_while_it_runs() -> None:
    for state in BatchState:
        changed = counted(at(state), completed=1, failed=1)
        assert (changed.completed == 1) is (state in ACTIVE)
        assert at(state).is_over is (state not in ACTIVE)


@pytest.mark.parametrize(
    ("state", "errors", "done", "becomes"),
    [
        ("finalizing", (), 3, "completed"),
        ("finalizing", (), 2, "expired"),
        ("finalizing", (FAULT,), 3, "failed"),
        ("cancelling", (), 2, "cancelled"),
        ("cancelling", (), 3, "cancelled"),
    ],
)
def test_what_it_ends_as(state: str, errors: tuple[BatchFault, ...], done: int, becomes: str) -> None:
    assert outcome(replace(at(BatchState(state)), errors=errors), done=done) == becomes


def test_the_end_names_its_files() -> None:
    end = BatchEnd(
        state=BatchState.COMPLETED, completed=2, failed=1, unanswered=0, output_file_id="file-2", error_file_id=""
    )
    over = ended(at(BatchState.FINALIZING), end, unix_ms=7)
    assert (over.state, over.output_file_id, over.moments) == ("completed", "file-2", {"completed": 7})
    assert (over.completed, over.failed) == (2, 1)
    assert ended(over, end, unix_ms=8) is over


@pytest.mark.parametrize(("prefix", "beta"), [("msgbatch_", "tools-1"), ("batch_", None)])
def test_what_a_batch_of_anthropics_was_made_with_holds_for_each_item(prefix, beta):
    batch = replace(NEW, id=f"{prefix}1", metadata={"anthropic-beta": "tools-1"})
    assert batch.beta == beta
