"""Signed notes: the reference vector of Go's sumdb/note, and everything that must not pass."""

from __future__ import annotations

import base64

import pytest

from freehold.audit.note import Signer, VerifierKey, checkpoint_text, is_name, open_checkpoint
from freehold.domain.errors.audit import AuditBroken

GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

SIGNER = Signer("freehold.test/log", bytes(range(32)))
KEY = SIGNER.verifier
ROOT = bytes(range(32, 64))
GOOD = SIGNER.sign(size=7, root=ROOT).note


def signed(text: str) -> str:
    """A note over any text, rightly signed."""
    line = GOOD.rsplit("— ", 1)[1]
    signature = SIGNER._key.sign(text.encode())
    return f"{text}\n— {line.split()[0]} {base64.b64encode(KEY.id + signature).decode()}\n"


def test_the_reference_key_of_go_is_read_and_its_note_verifies() -> None:
    key = VerifierKey.parse(GO_VKEY)
    assert key.text == GO_VKEY
    signature = base64.b64decode(GO_SIGNATURE)
    assert signature[:4] == key.id
    assert key.verifies(GO_TEXT.encode(), signature[4:])
    assert not key.verifies(GO_TEXT.encode() + b"!", signature[4:])
    assert Signer.parse(GO_SKEY).verifier == key


def test_a_checkpoint_has_the_form_of_c2sp() -> None:
    origin, size, root, empty, signature, end = GOOD.split("\n")
    assert (origin, size, empty, end) == ("freehold.test/log", "7", "", "")
    assert base64.b64decode(root) == ROOT
    assert signature.startswith("— freehold.test/log ")
    opened = open_checkpoint(GOOD.encode(), KEY)
    assert (opened.origin, opened.size, opened.root, opened.note) == ("freehold.test/log", 7, ROOT, GOOD)


def test_keys_survive_being_written_down() -> None:
    assert VerifierKey.parse(KEY.text + "\n") == KEY
    assert Signer.parse(SIGNER.private_text + "\n").verifier == KEY


def test_a_witness_may_sign_beside_the_log() -> None:
    witness = Signer("witness.test", bytes(32)).sign(size=7, root=ROOT).note.rsplit("\n\n", 1)[1]
    assert open_checkpoint(GOOD + witness, KEY).size == 7
    assert open_checkpoint(signed(checkpoint_text(KEY.name, 7, ROOT) + "extension line\n"), KEY).size == 7


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("", "no signed note"),
        ("no note", "no signed note"),
        (GOOD[:-1], "no signed note"),
        (GOOD.replace("\n7\n", "\n8\n"), "signature is wrong"),
        (GOOD.replace("— ", "- "), "signature line"),
        (GOOD.replace("— freehold.test/log", "— freehold.test/log2"), "not signed with the key"),
        (GOOD + "\n", "signature line"),
        (GOOD + "— witness.test AAAA\n", "signature line"),
        (Signer("freehold.test/log", bytes(32)).sign(size=7, root=ROOT).note, "not signed with the key"),
        (signed("other.test/log\n7\n" + base64.b64encode(ROOT).decode() + "\n"), "of the log 'other.test/log'"),
        (signed(f"{KEY.name}\n07\n{base64.b64encode(ROOT).decode()}\n"), "origin, size and root"),
        (signed(f"{KEY.name}\n-7\n{base64.b64encode(ROOT).decode()}\n"), "origin, size and root"),
        (signed(f"{KEY.name}\n{'7' * 5000}\n{base64.b64encode(ROOT).decode()}\n"), "origin, size and root"),
        (signed(f"{KEY.name}\n7\nAAAA\n"), "origin, size and root"),
        (signed(f"{KEY.name}\n7\n"), "origin, size and root"),
        (b"\xff\xfe", "no text"),
        ("x" * 2_000_000, "too long"),
    ],
)
def test_what_is_no_checkpoint_of_this_log_is_refused(note: bytes | str, says: str) -> None:
    with pytest.raises(AuditBroken, match=says):
        open_checkpoint(note, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "freehold.test/log",
        KEY.text.replace(KEY.id.hex(), "00000000"),
        KEY.text[:-4],
        KEY.text.replace("freehold.test/log", "free hold"),
        "a+00000000+AAAA",
        "a+00000000+no base64",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(AuditBroken, match="verifier key"):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", GO_VKEY, GO_SKEY[:-4], GO_SKEY.replace("c74f20a3", "c74f20a4"), GO_SKEY.replace("+AYEK", "+AoEK")],
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(AuditBroken, match="key file"):
        Signer.parse(text)


def test_base64_has_one_spelling() -> None:
    """The last character of a 32-byte hash has unused bits; setting one must not pass as the same value."""
    line = GOOD.splitlines()[-1]
    assert line.endswith("=")
    spelt = line[:-2] + chr(ord(line[-2]) + 1) + "="
    with pytest.raises(AuditBroken, match="signature line"):
        open_checkpoint(GOOD.replace(line, spelt), KEY)


@pytest.mark.parametrize(
    ("name", "good"),
    [("a.test/b", True), ("", False), ("a b", False), ("a+b", False), ("a\nb", False), ("a\u00a0b", False)],
)
def test_names(name: str, good: bool) -> None:
    assert is_name(name) is good
    if not good:
        with pytest.raises(ValueError, match="cannot name a log"):
            Signer(name, bytes(32))
