"""Files and batches as OpenAI's clients know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from freehold.domain.batch import Batch, BatchFault
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.files import StoredFile
from freehold.wire.openai_invalid import show

JsonObject = dict[str, Any]

WINDOW = "24h"
WINDOW_MS = 24 * 3_600_000
METADATA_MAX = 16
_METADATA_NAME_MAX = 64
_METADATA_VALUE_MAX = 512
_MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def file_object(file: StoredFile) -> JsonObject:
    """A file."""
    expires = file.expires_unix_ms
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_unix_ms // 1000,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "expires_at": None if expires is None else expires // 1000,
        "status_details": None,
    }


def batch_object(batch: Batch) -> JsonObject:
    """A batch."""
    moments = {f"{name}_at": batch.moments.get(name) for name in _MOMENTS}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": [_fault(each) for each in batch.errors]} if batch.errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.window,
        "status": batch.state.value,
        "output_file_id": batch.output_file_id or None,
        "error_file_id": batch.error_file_id or None,
        "created_at": batch.created_unix_ms // 1000,
        "expires_at": batch.expires_unix_ms // 1000,
        **{name: None if moment is None else moment // 1000 for name, moment in moments.items()},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "metadata": dict(batch.metadata) or None,
    }


def page_object(objects: list[JsonObject], *, limit: int) -> JsonObject:
    """A page of objects, of which one more was looked for than are shown."""
    shown = objects[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(objects) > limit,
    }


def output_name(batch_id: str, *, is_good: bool) -> str:
    """What a file of results is called."""
    return f"{batch_id}_{'output' if is_good else 'error'}.jsonl"


def text_of(values: Mapping[str, Any], name: str, *, one_of: tuple[str, ...] = ()) -> str:
    """A member that must be a text, one of a few where they are given.

    Raises:
        FieldInvalid: It is missing or something else.
    """
    value: object = values.get(name)
    if isinstance(value, str) and value and (not one_of or value in one_of):
        return value
    reason = (
        f"{', '.join(one_of)} are taken"
        if len(one_of) > 1
        else f"{one_of[0]} is taken"
        if one_of
        else "a text is needed"
    )
    raise FieldInvalid(param=name, field=name, value="missing" if value is None else show(value), reason=reason)


def metadata_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What an owner writes on a batch.

    Raises:
        FieldInvalid: It is more than fits, or no texts by name.
    """
    given: object = values.get("metadata")
    if given is None:
        return {}
    reason = f"it must be an object of at most {METADATA_MAX} texts, {_METADATA_VALUE_MAX} characters each"
    if not isinstance(given, dict):
        raise FieldInvalid(param="metadata", field="metadata", value=show(given), reason=reason)
    metadata = cast("dict[str, object]", given)
    for name, value in metadata.items():
        if len(name) > _METADATA_NAME_MAX or not isinstance(value, str) or len(value) > _METADATA_VALUE_MAX:
            raise FieldInvalid(param="metadata", field=f"metadata.{name[:40]}", value=show(value), reason=reason)
    if len(metadata) > METADATA_MAX:
        raise FieldInvalid(param="metadata", field="metadata", value=f"{len(metadata)} texts", reason=reason)
    return cast("dict[str, str]", metadata)


def _fault(fault: BatchFault) -> JsonObject:
    return {"code": fault.code, "message": fault.message, "line": fault.line, "param": fault.param}
