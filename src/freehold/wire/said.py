"""What a request says, whatever surface it came through: every text in it, and where its parts say that they are from.

Read from the members as they were sent, those in another dialect and unknown ones too, since all of them may reach an
upstream. Policy looks at it; nothing here decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from freehold.domain.request import InferenceRequest, PartKind
from freehold.wire.body import Members

UNREAD = frozenset({PartKind.IMAGE, PartKind.AUDIO, PartKind.FILE})
"""Parts that nobody here looks into."""

UNREAD_NATIVE = (b'"image"', b'"document"')
"""What members in another dialect have somewhere where such a part may be where chat has none: in a tool's result."""

FILE_ID = b'"file_id"'
"""What the members of a request have somewhere that names a stored file."""

NAMING = (b'"tool_call_id"', b'"tool_use_id"', b'"function"', b'"source"', b'"filename"', b'"title"')
"""What they have somewhere where a part says what it is from; most that do have one of them for other reasons."""

_DATA_CHARACTERS_MIN = 256
_LONG_NUMBER_MIN = 1_000_000
_NUMBERS: frozenset[type] = frozenset({int, float})
_UNREAD_TYPES = {
    "image": "image", "image_url": "image", "input_image": "image", "audio": "audio", "input_audio": "audio",
    "video": "video", "video_url": "video", "file": "file", "input_file": "file", "document": "file",
}  # fmt: skip
_CARRIED = ("source", "file", "image_url", "input_audio", "audio", "video_url", "file_data", "file_url", "data")
_DATA = re.compile(r"(?:data:(?:image|audio|video)/[\w.+-]+;base64,)?[A-Za-z0-9+/_-]+={0,2}")


@dataclass(slots=True, kw_only=True)
class Said:
    """What a request says.

    Attributes:
        texts: Every text of it: names of members are none, nor is what is encoded as base64.
        members: Its members by name, at whatever depth; of those that have one name the last.
        numbers: Those that are long enough to be somebody's, behind the name of their member.
        names: Names of sources that its parts say that they are from, in order.
        tools: Names of the tools whose results it holds; empty text for one whose call is not there.
        file_ids: Stored files that it names.
        unread: Kinds of parts in it that nobody looks into, but for stored files.
        filenames: Names of files whose content is in it.
        calls: Names of the tools that are called in it, by the call's id.
        encoded: Long words that look like data in a text's clothes: images, but also credentials.
        carried: Those of them that are the data of an image, of sound or of a film: their kind is in ``unread``.
    """

    texts: list[str] = field(default_factory=list[str])
    members: dict[str, object] = field(default_factory=dict[str, object])
    numbers: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])
    tools: list[str] = field(default_factory=list[str])
    file_ids: list[str] = field(default_factory=list[str])
    unread: set[str] = field(default_factory=set[str])
    filenames: list[str] = field(default_factory=list[str])
    calls: dict[str, str] = field(default_factory=dict[str, str])
    encoded: list[str] = field(default_factory=list[str])
    carried: set[str] = field(default_factory=set[str])


def raw_of(request: InferenceRequest) -> bytes:
    """All members of a request as they were sent, as one piece; empty where there are none but decoded ones."""
    fields = request.fields if request.native is None else request.native.fields
    return fields.raw if isinstance(fields, Members) else b"\n".join(fields.values())


def said_in(request: InferenceRequest) -> Said:
    """What it says."""
    fields = request.fields if request.native is None else request.native.fields
    said = Said()
    for raw in [fields.raw] if isinstance(fields, Members) else fields.values():
        try:
            value = msgspec.json.decode(raw)
        except msgspec.DecodeError:  # a member made by hand
            value = raw.decode("utf-8", "replace")
        _walk(value, said)
    if not fields:
        _decoded(request, said)
    return said


def said_by(value: Any) -> Said:
    """What a value of JSON says."""
    said = Said()
    _walk(value, said)
    return said


def _decoded(request: InferenceRequest, said: Said) -> None:
    """A request that was made here, not sent."""
    for message in request.messages:
        for part in message.parts:
            said.texts.append(part.text)
            if part.kind in UNREAD:
                said.unread.add(part.kind.value)
    said.texts += request.prompt, request.suffix or "", *request.inputs
    said.texts += (request.ranking.query,) if request.ranking is not None else ()
    for tool in request.tools:
        said.texts += tool.name, tool.description, tool.parameters_json.decode("utf-8", "replace")
    said.texts[:] = filter(None, said.texts)


def _walk(value: Any, said: Said) -> None:
    """Depth first, in order, without recursion: a body may be nested as deep as its decoder lets it."""
    waiting: list[Iterator[Any]] = [iter((value,))]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, str):
                _text(each, said)
            elif isinstance(each, dict):
                members = cast("dict[str, Any]", each)
                _object(members, said)
                waiting.append(iter(members.values()))
                break
            elif isinstance(each, list):
                entries = cast("list[Any]", each)
                if not _NUMBERS.isdisjoint(map(type, entries)):
                    said.numbers += filter(None, map(_long_number, entries))
                waiting.append(iter(entries))
                break
        else:
            waiting.pop()


def _text(text: str, said: Said) -> None:
    if len(text) >= _DATA_CHARACTERS_MIN and text.isascii() and len(text.split(None, 1)) < 2:
        said.encoded.append(text)
        return
    if text:
        said.texts.append(text)


def _long_number(value: Any) -> str:
    """A number that may be somebody's, as it is written without a point; empty for any other value."""
    if type(value) not in _NUMBERS or -_LONG_NUMBER_MIN < value < _LONG_NUMBER_MIN:
        return ""
    return str(int(value)) if value == value // 1 else str(value)


def _object(members: Mapping[str, Any], said: Said) -> None:
    said.members.update(members)
    if not _NUMBERS.isdisjoint(map(type, members.values())):
        said.numbers += (f"{name}: {long}" for name, value in members.items() if (long := _long_number(value)))
    kind = members.get("type")
    if isinstance(named := members.get("source"), str):
        said.names.append(named)
    for name in ("filename", "title"):
        if isinstance(named := members.get(name), str) and (name == "filename" or kind == "document"):
            said.filenames.append(named)
    if isinstance(file_id := members.get("file_id"), str):
        said.file_ids.append(file_id)
    if isinstance(kind, str) and kind in _UNREAD_TYPES:
        held = [members[name] for name in _CARRIED if _holds_data(members.get(name))]
        if held:
            said.unread.add(_UNREAD_TYPES[kind])
            said.carried.update(filter(None, map(_data_of, held)))
    _call(members, kind, said)


def _holds_data(value: Any) -> bool:
    """Whether a member of a part holds, or points at, what is no text. What names a stored file alone is that file."""
    if not isinstance(value, dict):
        return value is not None
    inner = cast("dict[str, Any]", value)
    if inner.get("type") in ("text", "content"):
        return False
    return "file_id" not in inner or any(inner.get(name) is not None for name in (*_CARRIED, "url"))


def _data_of(value: Any) -> str:
    """The data themselves, where they are here and look like nothing else."""
    inner = cast("dict[str, Any]", value) if isinstance(value, dict) else {"data": value}
    found = next((each for name in ("data", "url") if isinstance(each := inner.get(name), str)), "")
    return found if _DATA.fullmatch(found) is not None else ""


def _call(members: Mapping[str, Any], kind: Any, said: Said) -> None:
    """A call of a tool, or its result."""
    call_id, function = members.get("id"), members.get("function")
    if isinstance(call_id, str) and isinstance(function, dict):
        said.calls[call_id] = str(cast("dict[str, Any]", function).get("name", ""))
    elif isinstance(call_id, str) and kind == "tool_use":
        said.calls[call_id] = str(members.get("name", ""))
    role = members.get("role")
    if role == "function":
        said.tools.append(str(members.get("name", "")))
    for name in ("tool_call_id", "tool_use_id"):
        if isinstance(answered := members.get(name), str):
            said.tools.append(said.calls.get(answered, ""))
