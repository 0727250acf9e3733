"""Which models a vault searches with: those that are here and fit its language. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from freehold.domain.errors.vault import VaultModelMissing, VaultModelUnfit

AUTO, NONE = "auto", "none"
MULTILINGUAL, ENGLISH, ENGLISH_RANKER = "multilingual-e5-small", "bge-small-en", "ms-marco-minilm-l12"
EMBEDDERS, RERANKERS = (MULTILINGUAL, ENGLISH), (ENGLISH_RANKER,)
_EN = "en"
_WORD = re.compile(r"[^\W\d_]+")
_WORDS_LOOKED_AT = 400
_LATIN_LEAST, _COMMON_LEAST, _FEW_WORDS = 0.95, 0.2, 6
_ENGLISH_WORDS = (
    "a about after all also an and any are as at be been between but by can could did do does effect for from had has"
    " have how i if in into is it its may more my no not of on one only or our should since than that the their there"
    " these they this to under was we were what when where which who whom whose why will with without would you your"
)
_OTHER_WORDS = (
    "al che con da das de del den der des det di die do dos du een ein eine el en er es est et gli het i ich il im ist"
    " ja je la las le les los mit na ne nicht nie o och og par para pas per pour que qui se si sie sind sont su the un"
    " una und une van von w z zu"
)
_COMMON = frozenset(_ENGLISH_WORDS.split())
_FOREIGN = frozenset(_OTHER_WORDS.split()) - _COMMON


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a vault searches with.

    Attributes:
        embedder: Model that makes vectors; empty for words alone.
        reranker: Model that orders passages anew; empty for none.
        notice: What its owner should know; empty where nothing is missing.
    """

    embedder: str = ""
    reranker: str = ""
    notice: str = ""


def choose_models(
    has: Callable[[str], bool], *, folder: str, embedder: str = AUTO, reranker: str = AUTO, language: str = ""
) -> Choice:
    """Choose among the models that are here.

    ``auto`` takes the multilingual embedder, else the English one where the corpus is English, else none, with a notice
    that says which command brings one. It takes the reranker, which knows English only, where the corpus is English.

    Args:
        has: Whether a model of the catalogue is here.
        folder: Where models are expected, for messages.
        embedder: ``auto``, ``none`` or a name.
        reranker: The same.
        language: ISO 639-1 code of most of the corpus; empty where unknown or mixed.

    Raises:
        VaultModelMissing: A model that was asked for by name is not here.
        VaultModelUnfit: The vault cannot use a model of that name, or not for this corpus.
    """
    found, notice = _embedder(has, folder=folder, wanted=embedder, language=language)
    return Choice(
        embedder=found, reranker=_reranker(has, folder=folder, wanted=reranker, language=language), notice=notice
    )


def _embedder(has: Callable[[str], bool], *, folder: str, wanted: str, language: str) -> tuple[str, str]:
    if wanted in {NONE, ""}:
        return "", ""
    if wanted != AUTO:
        _check(has, folder=folder, wanted=wanted, known=EMBEDDERS, purpose="its embedder")
        return wanted, ""
    if has(MULTILINGUAL):
        return MULTILINGUAL, ""
    if has(ENGLISH) and language == _EN:
        return ENGLISH, ""
    why = f"{ENGLISH} is here, but knows English only; " if has(ENGLISH) else ""
    notice = (
        f"Documents are found by their words alone: {why}no model that makes vectors of these texts is in {folder}."
        f" Fetch one with: freehold pull {MULTILINGUAL}"
    )
    return "", notice


def _reranker(has: Callable[[str], bool], *, folder: str, wanted: str, language: str) -> str:
    if wanted in {NONE, ""}:
        return ""
    if wanted != AUTO:
        _check(has, folder=folder, wanted=wanted, known=RERANKERS, purpose="its reranker")
        return wanted
    return ENGLISH_RANKER if language == _EN and has(ENGLISH_RANKER) else ""


def _check(has: Callable[[str], bool], *, folder: str, wanted: str, known: tuple[str, ...], purpose: str) -> None:
    if wanted not in known:
        choices = ", ".join((AUTO, NONE, *known))
        raise VaultModelUnfit(model=wanted, purpose=purpose, known=choices)
    if not has(wanted):
        raise VaultModelMissing(model=wanted, folder=folder, purpose="The vault")


def reads_english(text: str) -> bool:
    """Whether a text may be given to a model that knows English only: Latin letters, and the small words of English.

    A text of a few words needs none of those, but it must have none of other languages' either. A wrong "no" costs an
    order that is a little worse; a wrong "yes" one that is as good as none.
    """
    letters, words, common, foreign = _counted(text)
    if not letters or letters[1] < _LATIN_LEAST * letters[0]:
        return False
    if words <= _FEW_WORDS:
        return common >= foreign
    return common >= _COMMON_LEAST * words and common > 2 * foreign


def reads_foreign(text: str) -> bool:
    """Whether a text is clearly in another language than English; a table or a program is in none."""
    letters, _, common, foreign = _counted(text)
    return bool(letters) and (letters[1] < _LATIN_LEAST * letters[0] or foreign > max(common, 2))


def _counted(text: str) -> tuple[tuple[int, int] | None, int, int, int]:
    """Letters with those of ASCII among them (``None`` for no letters), words, small English ones, small other ones."""
    words = [each.lower() for each in _WORD.findall(text)[:_WORDS_LOOKED_AT]]
    letters = "".join(words)
    common, foreign = (sum(each in known for each in words) for known in (_COMMON, _FOREIGN))
    return ((len(letters), sum(each.isascii() for each in letters)) if letters else None), len(words), common, foreign
