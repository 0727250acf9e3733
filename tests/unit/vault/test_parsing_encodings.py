"""Which characters the bytes of a text are."""

from __future__ import annotations

import pytest

from freehold.vault.parsing.draft import normal
from freehold.vault.parsing.plain import decoded

pytest.importorskip("charset_normalizer", reason="the extra vault is not installed")

TEXTS = {
    "cp1252": "Die Größe der Straße ist ungewiß, sagt Jürgen.",
    "latin-1": "L'été dernier, à la gare, où étaient les élèves ?",
    "cp1251": "Годовой отчёт компании. Выручка выросла на двенадцать процентов.",
    "koi8_r": "Годовой отчёт компании. Выручка выросла на двенадцать процентов.",
    "cp1250": "Zażółć gęślą jaźń, to jest dłuższy tekst po polsku.",
    "cp1253": "Η ετήσια έκθεση της εταιρείας δείχνει αύξηση",
    "cp1254": "Yıllık rapor şirketin gelirinin arttığını gösteriyor.",
    "cp1255": "הדוח השנתי של החברה מראה עלייה",
    "cp1256": "التقرير السنوي للشركة يظهر زيادة",
    "shift_jis": "これは日本語の文章です。年次報告書によると売上は増加した。",
    "gb18030": "这是一份年度报告，公司的收入增长了百分之十二。",
    "euc_kr": "이것은 연례 보고서이며 매출이 증가했습니다.",
}


@pytest.mark.parametrize("encoding", [*TEXTS, "utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_read_whatever_it_is_written_in(encoding: str) -> None:
    text = TEXTS.get(encoding, TEXTS["gb18030"])
    assert decoded(text.encode(encoding))[0] == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_without_its_mark(encoding: str) -> None:
    assert decoded(TEXTS["cp1252"].encode(encoding))[0] == TEXTS["cp1252"]


def test_utf_8_that_is_cut_within_a_character_stays_utf_8() -> None:
    assert decoded("Größe – ß".encode()[:-1])[0] == "Größe – \ufffd"


def test_only_newlines_marks_nuls_and_halves_are_changed() -> None:
    assert normal("a\r\nb\rc\u2028d\x85e") == "a\nb\nc\nd\ne"
    assert normal("\ufeffa\x00b\ud800c") == "ab\ufffdc"
    kept = "ﬁ soft\u00adhyphen zero\u200bwidth ½ „quotes“ tab\t form\f"
    assert normal(kept) == kept
