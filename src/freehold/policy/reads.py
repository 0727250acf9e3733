"""What one rule looks at, read from Cedar's JSON of it: the check of all cases needs to know which cases there are.

Levels, flags, zones, tenants and deployments are few and known. Kinds and readers are names without end; a rule may
hold them against names that it gives and against ``resource.kinds``, since then all other names are alike. A rule that
uses them in any other way is refused: what cannot be enumerated cannot be checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from freehold.policy.cedar import DEPLOYMENT, TENANT, ZONE, Tree

KIND, READER = "kind:", "reader:"
ALL = "*"
"""Behind ``KIND`` or ``READER``: the rule tells names apart that it does not give."""

_PLAIN: dict[tuple[str, ...], str] = {
    ("label", "level"): "level",
    ("label", "trusted"): "trusted",
    ("label", "anyone"): "anyone",
    ("label", "zones"): "zones",
    ("evidence_valid",): "evidence_valid",
    ("audit_ready",): "audit_ready",
    ("scan_complete",): "scan_complete",
    ("own_permits",): "tenant",
}
_OPEN: dict[tuple[str, ...], str] = {("label", "kinds"): KIND, ("label", "readers"): READER}
_SET_OPERATORS = ("containsAll", "containsAny", "==", "!=")


class CannotEnumerateError(ValueError):
    """A rule looks at something of which there is no end; the message says at what."""


@dataclass(slots=True, kw_only=True)
class Reads:
    """What a rule looks at.

    Attributes:
        variables: ``level``, ``trusted``, ``anyone``, ``zones``, ``evidence_valid``, ``audit_ready``,
            ``scan_complete``, ``tenant``, ``kind:NAME``, ``kind:*``, ``reader:NAME``, ``reader:*``.
        names: Entities that it names, by their type.
        kinds: Kinds that it names.
        readers: Readers that it names.
    """

    variables: set[str] = field(default_factory=set[str])
    names: dict[str, set[str]] = field(default_factory=lambda: {TENANT: set(), DEPLOYMENT: set(), ZONE: set()})
    kinds: set[str] = field(default_factory=set[str])
    readers: set[str] = field(default_factory=set[str])


def reads_of(policy: Tree) -> Reads:
    """What a rule looks at.

    Raises:
        CannotEnumerateError: Something without end.
    """
    found = Reads()
    for part in ("principal", "resource"):
        _walk(policy[part], found)
    if found.names[TENANT]:
        found.variables.add("tenant")
    _walk([each["body"] for each in policy["conditions"]], found)
    if any(each.startswith(READER) for each in found.variables):
        found.variables.add("anyone")  # where everybody may read, no readers are named
    return found


def _walk(node: Any, found: Reads) -> None:
    if isinstance(node, list):
        for each in cast("list[Any]", node):
            _walk(each, found)
        return
    if not isinstance(node, dict):
        return
    inner = cast("dict[str, Any]", node)
    if isinstance(inner.get("type"), str) and isinstance(inner.get("id"), str):
        found.names.setdefault(inner["type"], set()).add(inner["id"])
        return
    for operator, operands in inner.items():
        if not _is_known(operator, operands, found):
            _walk(operands, found)


def _is_known(operator: str, operands: Any, found: Reads) -> bool:
    """Whether this was something that is understood as a whole; it is then in ``found``."""
    if operator == "Var":
        _variable(operands, found)
        return True
    if operator in {".", "has"}:
        path = _path(operands["left"])
        if path is None:
            return False
        if operator == ".":
            _attribute((*path, str(operands["attr"])), found)
        return True
    if operator == "contains" and (name := _open(operands["left"])):
        _named(name, [_text(operands["right"])], found)
        return True
    if operator == "isEmpty" and (name := _open(operands["arg"])):
        found.variables.add(name + ALL)
        return True
    if operator not in _SET_OPERATORS and operator != "contains":
        return False
    left, right = operands["left"], operands["right"]
    return _zones(left, right, found) or (operator != "contains" and _compared(operator, left, right, found))


def _variable(name: str, found: Reads) -> None:
    if name == "context":
        raise CannotEnumerateError("it uses the whole context; name the members that it is about")
    if name == "principal":
        found.variables.add("tenant")


def _attribute(path: tuple[str, ...], found: Reads) -> None:
    if path in _OPEN:
        raise CannotEnumerateError(
            f"it uses context.{'.'.join(path)} in a way that cannot be enumerated; hold it against names in quotes,"
            " or kinds against resource.kinds, by contains, containsAll, containsAny or isEmpty"
        )
    if path not in _PLAIN:
        raise CannotEnumerateError(f"it uses context.{'.'.join(path)} as a whole; name the members that it is about")
    found.variables.add(_PLAIN[path])


def _zones(left: Any, right: Any, found: Reads) -> bool:
    """Zones held against names in quotes, which must be those of zones."""
    for one, other in ((left, right), (right, left)):
        if one != _RESOURCE_ZONE and _path(one) != _LABEL_ZONES:
            continue
        texts = [_text(each) for each in other["Set"]] if "Set" in other else [_text(other)]
        if None not in texts:
            found.names[ZONE].update(each for each in texts if each is not None)
            found.variables.update({"zones"} if _path(one) == _LABEL_ZONES else ())
            return True
    return False


def _compared(operator: str, left: Any, right: Any, found: Reads) -> bool:
    """Kinds or readers held against something as sets."""
    name = _open(left) or _open(right)
    if not name:
        return False
    other = right if _open(left) else left
    if _open(other) == name or (name == KIND and other == _RESOURCE_KINDS):
        found.variables.add(name + ALL)
        return True
    texts: list[str | None] = [_text(each) for each in cast("list[Any]", other["Set"])] if "Set" in other else [None]
    _named(name, texts, found)
    if operator in {"==", "!="} or (operator == "containsAll" and _open(right)):
        found.variables.add(name + ALL)
    return True


def _named(name: str, texts: list[str | None], found: Reads) -> None:
    for text in texts:
        if text is None:
            what = "kinds" if name == KIND else "readers"
            raise CannotEnumerateError(
                f"it holds context.label.{what} against something else than names in quotes"
                f"{' or resource.kinds' if name == KIND else ''}, which cannot be enumerated"
            )
        (found.kinds if name == KIND else found.readers).add(text)
        found.variables.add(name + text)


def _open(node: Any) -> str:
    """``KIND`` or ``READER`` for the label's set of them; empty for anything else."""
    path = _path(node)
    return _OPEN.get(path, "") if path is not None else ""


def _path(node: Any) -> tuple[str, ...] | None:
    """The members behind ``context`` that a node names; ``None`` where it does not begin there."""
    if not isinstance(node, dict):
        return None
    inner = cast("dict[str, Any]", node)
    if inner.get("Var") == "context":
        return ()
    if "." not in inner:
        return None
    path = _path(inner["."]["left"])
    return None if path is None else (*path, str(inner["."]["attr"]))


def _text(node: Any) -> str | None:
    value = cast("dict[str, Any]", node).get("Value") if isinstance(node, dict) else None
    return value if isinstance(value, str) else None


_LABEL_ZONES = ("label", "zones")
_RESOURCE_ZONE: Any = {".": {"left": {"Var": "resource"}, "attr": "zone"}}
_RESOURCE_KINDS: Any = {".": {"left": {"Var": "resource"}, "attr": "kinds"}}
