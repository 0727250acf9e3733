"""``freehold bundle``: everything that a machine without a network needs, in one file."""

from __future__ import annotations

import contextlib
import platform
import shlex
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from freehold import __version__
from freehold.cli import output
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.domain.errors.model_versions import BundleImpossible, BundleUnsigned, SignatureMissing
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.wheels import Packed, WheelError, needed, pack
from freehold.planner.wording import size
from freehold.serving.aside import aside
from freehold.serving.bundle import ASIDE, Extra, Sign, check_target, import_bundle
from freehold.serving.bundle import export as export_bundle
from freehold.serving.bundle_manifest import FORM, BundleManifest
from freehold.serving.digests import sha256_of
from freehold.serving.installed import InstalledModel
from freehold.serving.sbom import Component, sbom

app = App(
    name="bundle", help="Models, programs, licences and a list of them in one file, for machines without a network."
)

BUNDLES_FOLDER = "bundles"
_WHEELS_FROM = (
    "packed again from what is installed here; each file held against the digest that its installer wrote down"
)


@app.command
def export(
    file: Annotated[str, Parameter(name="FILE")],
    names: Annotated[tuple[str, ...], Parameter(name="NAME", negative=())] = (),
    /,
    *,
    extra: tuple[str, ...] = (),
    wheels: Annotated[bool, Parameter(negative="--no-wheels")] = True,
    key: str = "",
    force: bool = False,
    as_json: Json = False,
) -> int:
    """Write a bundle. No network is used: wheels are made of what is installed here, for machines like this one.

    Args:
        file: The file to write.
        names: Models; all installed ones if none is given.
        extra: Put what this extra of Freehold needs in as well, for example vault; may be given more than once.
        wheels: With --no-wheels, models alone.
        key: File of a private key to sign with ("freehold models key").
        force: Replace a file that is there.
    """
    registry, target = registry_of(data_folder()), Path(file).expanduser().absolute()
    chosen = names or tuple(each.name for each in registry.installed())
    models = [registry.resolve(name) for name in chosen]
    if not models:
        raise BundleImpossible(reason='no model is installed; "freehold pull NAME" fetches one')
    check_target(target, replaces=force)
    unix_ms = SystemClock().unix_ms()
    with _scratch(target) as scratch:
        packed = _packed(scratch, extra) if wheels else []
        about = BundleManifest(
            form=FORM,
            created_unix_ms=unix_ms,
            freehold=__version__,
            python=f"{sys.version_info.major}.{sys.version_info.minor}" if wheels else "",
            platform=f"{sys.platform}-{platform.machine()}",
            wheels_from=_WHEELS_FROM if wheels else "",
            models=(),
            files=(),
        )
        extras = _extras(scratch, packed, models, unix_ms)
        whole = export_bundle(registry, chosen, target, extras=extras, about=about, sign=_signer(key), replaces=force)
    if as_json:
        output.print_json({"path": str(target), "models": list(chosen), "files": len(whole.files), "signed": bool(key)})
    else:
        what = [_counted(len(chosen), "model"), *([_counted(len(packed), "wheel")] if packed else [])]
        output.say(f"{target}: {size(target.stat().st_size)}, {', '.join(what)}.")
        if packed:
            output.say(f"The wheels are for Python {about.python} on {about.platform}; {_WHEELS_FROM}.")
        output.say(_there(target.name, is_packed=bool(packed), extra=extra, key=key))
    return output.OK


def _there(name: str, *, is_packed: bool, extra: tuple[str, ...], key: str) -> str:
    """What takes the bundle in, to paste on the other machine."""
    file, trust = shlex.quote(name), "--unsigned"
    if key:
        from freehold.app.model_trust import read_key  # lazy: loads cryptography

        trust = f"--key {read_key(Path(key).expanduser()).verifier.text}"
    program = shlex.quote(f"freehold[{','.join(extra)}]") if extra else "freehold"
    lines = [f"  freehold bundle import {file} {trust}"]
    if is_packed:
        lines.insert(0, f"  tar -xf {file} wheels && pip install --no-index --find-links wheels {program}")
    return "\n".join(["There:", *lines])


@app.command(name="import")
def import_(
    file: Annotated[str, Parameter(name="FILE")],
    /,
    *,
    key: tuple[str, ...] = (),
    unsigned: bool = False,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Take a bundle in. All of it is checked before anything is put in its place; no network is used.

    A model whose name serves another version here waits: "freehold models switch" lets it take over.

    Args:
        file: The bundle.
        key: Public key of who signed it, as NAME+ID+KEY, besides those of the configuration.
        unsigned: Take it although nobody trusted has signed it.
    """
    from freehold.app.model_trust import KeyTrust, trust_of  # lazy: loads cryptography
    from freehold.cli.configured import loaded_or_default
    from freehold.config.compile import compile_models

    plan = compile_models(loaded_or_default(config).config)
    keys = trust_of(plan, key).keys
    trust = KeyTrust(keys=keys, unsigned=unsigned or plan.says_unsigned)
    path, folder = Path(file).expanduser(), data_folder()

    def check(text: str, note: str) -> None:
        try:
            trust.check(text, note, name=path.name)
        except SignatureMissing as error:
            raise BundleUnsigned(path=str(path)) from error

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = import_bundle(
        path, registry_of(folder), folder=folder / BUNDLES_FOLDER, check=check, unix_ms=SystemClock().unix_ms()
    )
    if as_json:
        output.print_json({"serving": found.serving, "waiting": found.waiting, "folder": str(found.folder)})
        return output.OK
    for name in found.serving:
        output.say(f"{name}: here, checked")
    for name in found.waiting:
        output.say(f'{name}: waits beside the version that serves; "freehold models switch {name}" lets it take over')
    has_wheels = any(each.path.startswith("wheels/") for each in found.manifest.files)
    what = "Wheels, licences and the list of both" if has_wheels else "Licences and the list of what was in it"
    output.say(f"{what} are in {found.folder}.")
    return output.OK


@contextlib.contextmanager
def _scratch(target: Path) -> Generator[Path]:
    """A folder beside the bundle, on the same disk: what does not fit there is known before."""
    with contextlib.ExitStack() as stack:
        try:
            scratch = stack.enter_context(aside(target.parent, ASIDE))
        except OSError as error:
            raise BundleImpossible(reason=f"{target.parent} cannot be written to: {error.strerror}") from error
        yield scratch


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _packed(folder: Path, extras: tuple[str, ...]) -> list[Packed]:
    wheels = folder / "wheels"
    wheels.mkdir()
    try:
        return [pack(each, wheels) for each in needed("freehold", extras)]
    except (WheelError, OSError) as error:
        raise BundleImpossible(reason=str(error)) from error


def _extras(folder: Path, packed: list[Packed], models: list[InstalledModel], unix_ms: int) -> list[Extra]:
    """The list, licences and wheels as files."""
    components = [
        Component(
            kind="library", name=each.name, version=each.version, license=each.license, sha256=sha256_of(each.path)
        )
        for each in packed
    ]
    components += [
        Component(
            kind="machine-learning-model",
            name=each.name,
            version=each.sha256[:12],
            license=each.license,
            sha256=each.sha256,
            origin=each.origin,
        )
        for each in models
    ]
    texts = {f"{each.name}-{each.version}": _licence(each.name, each.license, each.license_text) for each in packed}
    for model in models:
        own = f"It came from {model.origin}. Its terms are those of its makers; the name above is what they state."
        texts[f"model-{model.sha256[:16]}"] = _licence(model.name, model.license, own)
    found: list[Extra] = []
    list_file = folder / "sbom.json"
    list_file.write_text(sbom(components, version=__version__, created_unix_ms=unix_ms), encoding="utf-8")
    found.append(Extra(path="sbom.json", file=list_file))
    (folder / "licences").mkdir()
    for name, text in sorted(texts.items()):
        licence = folder / "licences" / f"{name}.txt"
        licence.write_text(text, encoding="utf-8")
        found.append(Extra(path=f"licences/{licence.name}", file=licence))
    return [*found, *(Extra(path=f"wheels/{each.path.name}", file=each.path) for each in packed)]


def _licence(name: str, stated: str, text: str) -> str:
    return f"{name}\nLicence: {stated or 'not stated'}\n\n{text}\n"


def _signer(key: str) -> Sign | None:
    if not key:
        return None
    from freehold.app.model_trust import read_key, signed_by  # lazy: as above

    signer = read_key(Path(key).expanduser())
    return lambda text: signed_by(text, [signer])
