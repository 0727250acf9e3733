"""Whose eyes a key may read private documents with, and who may give that. Pure."""

from __future__ import annotations

import re
import unicodedata

from freehold.domain.errors.auth import GrantRefused, KeyRequestInvalid
from freehold.domain.identity import Principal, Reads, Scope
from freehold.domain.labels import Level
from freehold.domain.vault import GROUP, USER

GROUPS_MAX = 64
_NAME = re.compile(r"[\w.@+-]{1,64}")
_NAME_FORM = "give 1 to 64 letters, digits and . _ @ + - in their usual form"


def is_name(text: str) -> bool:
    """Whether a user or a group may be called so.

    Two names that look the same would be two people for us, hence the one normal form (NFKC).
    """
    return bool(_NAME.fullmatch(text)) and unicodedata.is_normalized("NFKC", text)


def check_reads(reads: Reads) -> None:
    """Refuse names that no document's readers could be written with.

    Raises:
        KeyRequestInvalid: One of them.
    """
    if reads.user and not is_name(reads.user):
        raise KeyRequestInvalid(what="the user", value=reads.user, reason=_NAME_FORM)
    for group in sorted(reads.groups):
        if not is_name(group):
            raise KeyRequestInvalid(what="the group", value=group, reason=_NAME_FORM)
    if len(reads.groups) > GROUPS_MAX:
        raise KeyRequestInvalid(what="the groups", value=len(reads.groups), reason=f"give at most {GROUPS_MAX}")


def check_reads_grant(principal: Principal, reads: Reads) -> None:
    """Let a caller hand out eyes: nobody gives what it does not have.

    The scope ``admin`` gives any user and any groups, as it gives any scope; a clearance above its own not even that.

    Raises:
        GrantRefused: That would be more than the giver has.
    """
    if reads.clearance > principal.clearance:
        raise GrantRefused(reason=f"it reads nothing above {principal.clearance.word} itself")
    if Scope.ADMIN in principal.scopes:
        return
    if reads.user and reads.user != principal.user:
        raise GrantRefused(reason="it does not read as that user itself")
    if beyond := sorted(reads.groups - principal.groups):
        raise GrantRefused(reason=f"it is not in the group {' and '.join(beyond)} itself")


def reads_detail(reads: Reads) -> dict[str, object]:
    """What the audit log tells of them: what is not as it is where nothing is said."""
    told: dict[str, object] = {}
    if reads.user:
        told["user"] = reads.user
    if reads.groups:
        told["groups"] = sorted(reads.groups)
    if reads.clearance is not Level.RESTRICTED:
        told["clearance"] = reads.clearance.word
    return told


def is_reader(text: str) -> bool:
    """Whether a document's reader may be written so: ``user:ana``, ``group:legal``."""
    return text.startswith((USER, GROUP)) and is_name(text.partition(":")[2])
