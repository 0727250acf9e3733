"""Words in another script than the Latin one: whether a text has a part in one, and what may be a name in it. Pure.

The model that marks names was measured on Latin letters only. A part of six words or more in another script is therefore
one in which names were not looked for. In less than that, whatever may be a name is taken for one: a capitalised word
where the script has capitals, and every word where it has none, but for the commonest greetings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from freehold.policy.recognise.rules import triggers

WORDS_MIN = 6.0
"""By so many words of one script a part is longer than a name or a greeting."""
_LATIN_WORD = 0.25
"""What a Latin word between takes away: terms stay Latin in many languages, and a quoted name does not add up."""
_HAN_A_WORD, _THAI_A_WORD = 2, 4
"""Letters that are counted as one word where words are not told apart by spaces."""

_OTHER = (
    "\u0370-\u1cff\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2dff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff"
    "\u3105-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua71f\ua800-\uab2f\uab70-\ud7ff\uf900-\ufaff\ufb13-\ufdff"
    "\ufe70-\ufefc\uff66-\uffdc\U00010000-\U0001cfff\U0001e000-\U0001e95f\U00020000-\U0003ffff"
)
"""Letters and the marks that belong to them; no emoji, no letters of formulas, no wide Latin ones."""
_HAS_OTHER = re.compile(f"[{_OTHER}]")
_WORDS = re.compile(f"(?P<other>[{_OTHER}\u0300-\u036f\u200c\u200d]+)|[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{{2,}}")
_RUN = re.compile(f"[{_OTHER}\u0300-\u036f\u200c\u200d]+(?:[ ,'’-]{{1,2}}[{_OTHER}\u0300-\u036f\u200c\u200d]+)*")
_WORD_OF_RUN = re.compile(f"[{_OTHER}\u0300-\u036f\u200c\u200d]+")
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "BOPOMOFO"})
_NO_SPACES = frozenset({"THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER"})
_CASED = frozenset({"CYRILLIC", "GREEK", "ARMENIAN"})
_ABBREVIATION_LETTERS_MAX = 4
_LETTERS_MIN = 2
_GREETINGS = triggers(
    "привет здравствуй здравствуйте спасибо пожалуйста да нет добрый доброе добрая ок привіт дякую так ні здравейте"
    " благодаря здраво хвала γεια καλημέρα καλησπέρα ευχαριστώ ναι όχι բարեւ"
    " 你好 您好 大家好 谢谢 謝謝 再见 早上好 晚上好 是 不 好 こんにちは こんばんは おはよう おはようございます ありがとう"
    " ありがとうございます すみません はい いいえ 안녕 안녕하세요 감사합니다 고맙습니다 네 예 아니요"
    " مرحبا السلام عليكم أهلا شكرا نعم لا سلام متشکرم שלום תודה כן לא नमस्ते धन्यवाद हाँ नहीं สวัสดี สวัสดีครับ สวัสดีค่ะ ขอบคุณ"
    " ขอบคุณครับ ขอบคุณค่ะ"
)
"""What people say before they say anything; none of it is a name."""


def other_script(text: str) -> str:
    """The script of a part of a text that is not Latin and longer than a name; empty where there is none.

    A word adds one and a Latin word takes a quarter of one away, so that a part counts wherever it stands in a long text.
    Scripts are counted apart: a menu of languages, each in its own, is no text in any of them.
    """
    if not _HAS_OTHER.search(text):
        return ""
    last, words = "", 0.0
    for match in _WORDS.finditer(text):
        word = match.group("other")
        if word is None:
            words = max(0.0, words - _LATIN_WORD)
            continue
        script = _script(word)
        words = (words if script == last else 0.0) + _words_in(word, script)
        last = script
        if words >= WORDS_MIN:
            return script if script == "CJK" else script.capitalize()
    return ""


def names_in_other_scripts(text: str) -> Iterator[tuple[int, int]]:
    """Places of what may be a name in another script; for texts without a longer part in one."""
    if not _HAS_OTHER.search(text):
        return
    for run in _RUN.finditer(text):
        words = [match for match in _WORD_OF_RUN.finditer(text, run.start(), run.end()) if _may_be_name(match.group())]
        if words:
            yield words[0].start(), words[-1].end()


def _may_be_name(word: str) -> bool:
    letters = sum(map(str.isalpha, word))
    if letters < _LETTERS_MIN or word.lower() in _GREETINGS:
        return False
    if _script(word) not in _CASED:
        return True
    return word[0].isupper() and not (word.isupper() and letters <= _ABBREVIATION_LETTERS_MAX)


def _words_in(word: str, script: str) -> float:
    """How many words a run of letters is."""
    letters = sum(map(str.isalpha, word))
    if script == "CJK":
        return letters / _HAN_A_WORD
    if script in _NO_SPACES:
        return letters / _THAI_A_WORD
    return 1.0 if letters >= _LETTERS_MIN or script == "HANGUL" else 0.0


def _script(word: str) -> str:
    """The script of a word's first letter, by its name in Unicode; those that Chinese and Japanese are written in are one."""
    letter = next(filter(str.isalpha, word), word[0])
    name = unicodedata.name(letter, "OTHER").split(maxsplit=1)[0]
    return "CJK" if name in _EAST_ASIAN else name
