"""Everything that is looked for in a piece of text, at once: recognisers, secrets and names, on the text and its views.

Pure but for the model that it is given, which computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from freehold.domain.detect_ports import Looked, Marker, Teller
from freehold.domain.findings import Finding
from freehold.policy.names import NAMES_VERSION, named, of_other_scripts
from freehold.policy.recognise import RECOGNISERS_VERSION, SECRETS_VERSION, recognise, secrets
from freehold.policy.recognise.structured import outermost
from freehold.policy.tongues import TONGUES_VERSION, missed_in
from freehold.policy.views import VIEWS_VERSION, View, views_of

VERSIONS = (("structured", RECOGNISERS_VERSION), ("secrets", SECRETS_VERSION), ("views", VIEWS_VERSION))
"""Of what is always asked."""
_PLACES = frozenset({"ADDRESS", "POSTCODE"})


def look(piece: str, *, marker: Marker | None = None, model: str = "", teller: Teller | None = None) -> Looked:
    """What a piece of text holds, read as it is and as it reads once it is decoded.

    Args:
        piece: A text, or a part of one.
        marker: The model that marks names; ``None`` to look for none.
        model: Its version, for the record.
        teller: Tells languages apart, where names are looked for; ``None`` to go by scripts alone.

    Returns:
        Findings by place, none within another of its kind. A text that is encoded more often, or more of it, than is
        decoded is not seen whole, and what is returned says so; so does a part in a language that names were never
        measured in.
    """
    hidden = views_of(piece)
    found = list(_findings(piece, marker))
    missed = [hidden.missed, missed_in(piece, teller) if marker is not None else ""]
    for view in hidden.views:
        read = marker if view.has_words else None
        found += _placed(view, _findings(view.text, read))
        if read is not None and not missed[-1]:
            missed.append(missed_in(view.text, teller))
    versions = VERSIONS
    if marker is not None:
        versions += (("names", f"{model}/{NAMES_VERSION}"), ("languages", TONGUES_VERSION))
    return Looked(findings=outermost(found), missed="; ".join(filter(None, missed)), versions=versions)


def _findings(text: str, marker: Marker | None) -> list[Finding]:
    shaped = recognise(text)
    found: list[Finding] = [*shaped, *secrets(text)]
    if marker is not None:
        known = [(each.start, each.end) for each in shaped if each.type in _PLACES]
        found += named(text, marker(text), addresses=known)
        found += of_other_scripts(text)
    return found


def _placed(view: View, found: Sequence[Finding]) -> Iterable[Finding]:
    """Findings in a view as ones in the text that it is of."""
    for each in found:
        start, end = view.place(each.start, each.end)
        yield Finding(start=start, end=end, kind=each.kind, type=each.type, score=each.score, detector=each.detector)
