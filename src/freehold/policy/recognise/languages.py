"""Which languages a text seems to be in, by its function words: enough to know whose national numbers may stand in it."""

from __future__ import annotations

from freehold.policy.recognise.rules import triggers

FUNCTION_WORDS = {
    "de": triggers(
        "der die das und ist nicht mit ein eine einen einer für von auf wurde wird ich sie wir ihr bitte sich auch bei"
        " dem den des zum zur im vom über unter nach oder aber wie haben hat sind frau herr"
    ),
    "en": triggers(
        "the and is are was were with for from that this you your my has have will not please which their his her of"
        " to by or an it at he she we they"
    ),
    "es": triggers(
        "el los las del y con para por una unos que está fue su sus se es al como más pero este esta sin sobre entre"
        " también señor señora"
    ),
    "fr": triggers(
        "le les des est une et pour dans du au aux avec sur par ce cette qui que vous nous je il elle ne pas son sa ses"
        " ou où à mme monsieur madame"
    ),
}
"""Frequent short words of each language, without those that several share in numbers (``la``, ``de``, ``en``)."""

LANGUAGES = frozenset(FUNCTION_WORDS)
"""Those with recognisers of their own."""

_WORDS_MIN = 2


def languages_of(words: frozenset[str]) -> frozenset[str]:
    """The languages of which at least two function words are among ``words``; several where a text mixes them."""
    return frozenset(name for name, known in FUNCTION_WORDS.items() if len(known & words) >= _WORDS_MIN)
