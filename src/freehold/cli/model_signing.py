"""``freehold models key`` and ``sign``: saying that a model is the one that a site means."""

from __future__ import annotations

from pathlib import Path

from freehold.cli import output
from freehold.cli.options import Json
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.serving.signed import manifest_text
from freehold.serving.versions import version, versions


def key(name: str, file: str, /, *, as_json: Json = False) -> int:
    """Make a key that signs models and bundles, and show its public half for [models] trusted_keys.

    Args:
        name: Who signs, for example models.example.org.
        file: New file for the private key, readable by you alone.
    """
    from freehold.app.model_trust import make_key  # lazy: loads cryptography

    made = make_key(name, Path(file).expanduser())
    if as_json:
        output.print_json({"key": made.text, "file": file})
    else:
        output.say(made.text)
        output.note(
            f"The private key is in {file}. Machines that trust it have the line above in [models] trusted_keys."
        )
    return output.OK


def sign(name: str, /, *, key: str, to: str = "", as_json: Json = False) -> int:
    """Sign a version of a model, after its file was read whole and held against its digest.

    Args:
        name: Of the model.
        key: File of the private key.
        to: Digest of the version, or its beginning; the one that serves if not given.
    """
    from freehold.app.model_trust import read_key, signed_by  # lazy: as above

    registry = registry_of(data_folder())
    model = version(registry, name, to) if to else versions(registry, name)[0].model
    registry.verify(model, fresh=True)
    manifest = registry.shelf.read(model.sha256)
    if manifest is None:
        raise AssertionError("a version that was found has a manifest")
    signer = read_key(Path(key).expanduser())
    registry.signatures.keep(name, model.sha256, signed_by(manifest_text(manifest, name), [signer]))
    if as_json:
        output.print_json({"name": name, "digest": model.digest, "signed_by": signer.verifier.text})
    else:
        output.say(f"{name} {model.digest[:19]} is signed by {signer.verifier.name}.")
    return output.OK
