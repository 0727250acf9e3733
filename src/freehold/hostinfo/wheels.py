"""The programs that run here as wheels: packed again from what is installed, file by file, without a network.

Each file is held against the digest that the installer wrote down, so that what was changed since is not passed on. Of
this program itself, where it runs from its source, the source is packed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRAS = re.compile(r"\[([^\]]*)\]")
_EXTRA_MARKER = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_LEFT_OUT = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
_EPOCH = (1980, 1, 1, 0, 0, 0)
_TEXT_BYTES_MAX = 1 << 20


class WheelError(Exception):
    """What is installed cannot be packed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A wheel that was made.

    Attributes:
        path: Its file.
        name: Of the distribution, normalised.
        version: Of it.
        license: SPDX expression or the makers' own words; empty where they say nothing.
        license_text: All of its licence files.
        source: Where it was packed from: ``installed`` or ``source``.
    """

    path: Path
    name: str
    version: str
    license: str
    license_text: str
    source: str


def needed(root: str, extras: Iterable[str] = ()) -> tuple[metadata.Distribution, ...]:
    """A distribution and what it needs here, by name.

    What it names and is not installed is for another platform or another extra: what is installed runs.

    Raises:
        WheelError: It is not installed, or it has no such extra.
    """
    asked_for = frozenset(map(normal, extras))
    _check_extras(root, asked_for)
    wanted = [(root, asked_for)]
    found: dict[str, metadata.Distribution] = {}
    taken: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        name, asked = wanted.pop()
        if (normal(name), asked) in taken:
            continue
        taken.add((normal(name), asked))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            if name == root:
                raise WheelError(f"{name} is not installed as a package") from error
            continue
        found[normal(name)] = distribution
        wanted += _requirements(distribution, asked)
    return tuple(found[name] for name in sorted(found))


def _check_extras(root: str, asked_for: frozenset[str]) -> None:
    try:
        stated = metadata.metadata(root).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError as error:
        raise WheelError(f"{root} is not installed as a package") from error
    known = {normal(each) for each in stated}
    for extra in sorted(asked_for - known):
        raise WheelError(f"{root} has no extra {extra!r}; it has {', '.join(sorted(known)) or 'none'}")


def _requirements(distribution: metadata.Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        match = _NAME.match(requirement.strip())
        if match is None:
            continue
        only_for = {normal(each) for each in _EXTRA_MARKER.findall(marker)}
        if only_for and not only_for & extras:
            continue
        asked = _EXTRAS.search(requirement)
        further = asked[1].split(",") if asked else ()
        yield match[0], frozenset(normal(each.strip()) for each in further)


def pack(distribution: metadata.Distribution, folder: Path) -> Packed:
    """Pack one distribution into ``folder``.

    Raises:
        WheelError: A file of it is missing or was changed, or it runs from a source that is not ours.
        OSError: The wheel cannot be written.
    """
    name, version = distribution.metadata["Name"], distribution.version
    files = list(distribution.files or ())
    info = next((each.parts[0] for each in files if each.parts[0].endswith(".dist-info")), "")
    tags = _wheel_tags(distribution.read_text("WHEEL") or "")
    if not info or not tags:
        raise WheelError(f"{name} was not installed from a wheel")
    is_source = _is_editable(distribution)
    if is_source and normal(name) != "freehold":
        raise WheelError(f"{name} runs from its source; install it from a wheel")
    path = folder / f"{info.removesuffix('.dist-info')}-{tags}.whl"
    members = _source_members(files, info) if is_source else _installed_members(distribution, files, info)
    _write(path, sorted(members), record=f"{info}/RECORD")
    return Packed(
        path=path,
        name=normal(name),
        version=version,
        license=_license(distribution),
        license_text=_license_text(files),
        source="source" if is_source else "installed",
    )


def normal(name: str) -> str:
    """A name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_editable(distribution: metadata.Distribution) -> bool:
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(told.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _installed_members(
    distribution: metadata.Distribution, files: Sequence[metadata.PackagePath], info: str
) -> Iterator[tuple[str, Path]]:
    """Name in the wheel and file of everything that came with the wheel."""
    scripts = {each.name for each in distribution.entry_points if each.group in {"console_scripts", "gui_scripts"}}
    data = info.removesuffix(".dist-info") + ".data"
    for each in files:
        if _is_made_here(each, info) or each.suffix == ".pyc" or "__pycache__" in each.parts:
            continue
        place = Path(str(each.locate()))
        if ".." in each.parts:
            if each.name.removesuffix(".exe") in scripts:
                continue  # the installer makes these
            rest = [part for part in each.parts if part != ".."]
            inside = f"{data}/scripts/{each.name}" if rest[0] == "bin" else f"{data}/data/{'/'.join(rest)}"
        else:
            inside = each.as_posix()
        if each.hash is not None and each.hash.mode == "sha256" and _sha256(place) != each.hash.value:
            raise WheelError(f"{each.as_posix()} was changed since it was installed")
        yield inside, place


def _source_members(files: Sequence[metadata.PackagePath], info: str) -> Iterator[tuple[str, Path]]:
    """This program's own source, with what its installer said of it."""
    import freehold

    package = Path(str(freehold.__file__)).parent
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{package.name}/{path.relative_to(package).as_posix()}", path
    for each in files:
        if each.parts[0] == info and not _is_made_here(each, info):
            yield each.as_posix(), Path(str(each.locate()))


def _is_made_here(each: metadata.PackagePath, info: str) -> bool:
    return each.parts[0] == info and each.name in _LEFT_OUT


def _write(path: Path, members: Sequence[tuple[str, Path]], *, record: str) -> None:
    lines: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for inside, place in members:
            try:
                content = place.read_bytes()
            except OSError as error:
                raise WheelError(f"{inside} cannot be read ({error.strerror})") from error
            is_script = place.stat().st_mode & 0o100
            entry = zipfile.ZipInfo(inside, date_time=_EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (0o755 if is_script else 0o644) << 16
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{_csv(inside)},sha256={digest},{len(content)}")
        entry = zipfile.ZipInfo(record, date_time=_EPOCH)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, "".join(f"{line}\n" for line in (*lines, f"{_csv(record)},,")))


def _csv(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name


def _sha256(path: Path) -> str:
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise WheelError(f"{path} is missing") from error
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _wheel_tags(text: str) -> str:
    """``PYTHON-ABI-PLATFORM`` as in a wheel's name."""
    lines = [line.partition(":") for line in text.splitlines()]
    tags = [value.strip().split("-") for key, _, value in lines if key == "Tag"]
    if not tags or any(len(each) != 3 for each in tags):
        return ""
    return "-".join(".".join(sorted({each[place] for each in tags})) for place in range(3))


def _license(distribution: metadata.Distribution) -> str:
    told = distribution.metadata
    words = next(iter(told.get_all("License-Expression") or told.get_all("License") or ()), "")
    if words and "\n" not in words and len(words) <= 100:
        return words
    classifiers = [each for each in told.get_all("Classifier") or () if each.startswith("License ::")]
    return classifiers[0].rpartition(" :: ")[2] if classifiers else ""


def _license_text(files: Sequence[metadata.PackagePath]) -> str:
    """Everything in the distribution's files that is called a licence or a notice."""
    words = re.compile(r"(?i)^(licen[cs]e|copying|notice|authors)")
    found: list[str] = []
    for each in files:
        if ".dist-info" in each.parts[0] and words.match(each.name) and each.suffix != ".py":
            place = Path(str(each.locate()))
            if place.is_file() and place.stat().st_size <= _TEXT_BYTES_MAX:
                found.append(f"--- {each.name}\n\n{place.read_text(encoding='utf-8', errors='replace')}")
    return "\n".join(found)
