"""How models say that the documents do not say. Pure."""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"\bnot (?:be )?(?:in (?:your|the|any|these)|found in|mentioned in|stated in|provided in|contained in|specified in|given in|available in)"
    r"|(?:documents?|passages?|texts?|context|sources?|article|information|above|i)\b[^.!?\n]{0,60}"
    r"(?:does|do|did|could)(?: not|n['\u2019]t) (?:\w+ ){0,2}?"
    r"(?:mention|contain|provide|specify|state|say|include|give|have|answer|discuss|address|find)"
    r"|(?:is|are|was|were)(?: not|n['\u2019]t) (?:\w+ ){0,2}?(?:mentioned|provided|specified|stated|given|available|included|discussed|clear)"
    r"|\bno (?:\w+ ){0,2}?(?:information|mention|answer)\b"
    r"|(?:cannot|can['\u2019]t|could not|couldn['\u2019]t|unable to|not able to) (?:\w+ ){0,2}?(?:answer|find|determine|provide|say|tell|help|assist)"
    r"|(?:do not|don['\u2019]t) know|not sure|i['\u2019]m sorry|i apologi[sz]e|unanswerable|insufficient (?:information|context)"
    r"|nicht in (?:ihren|den|deinen) (?:dokumenten|unterlagen|texten)|wei(?:ß|ss) (?:ich )?nicht|keine (?:angaben?|information(?:en)?)"
    r"|(?:n['\u2019]est|ne sont) pas (?:dans|mentionn)|no (?:está|aparece|se menciona|se encuentra)|не (?:указан|упоминается|знаю|содержит)"
    r"|bilmiyorum|belirtilmemiş|không (?:có trong|biết|được đề cập)|未提及|没有提到|不知道|没有(?:相关)?信息|لا (?:أعرف|يذكر|توجد معلومات)|नहीं (?:पता|बताया)"
    r"|ไม่(?:ทราบ|ได้ระบุ|มีข้อมูล)|δεν (?:αναφέρεται|γνωρίζω|υπάρχ)|nu (?:este menționat|știu|se menționează)",
    re.IGNORECASE,
)
_LEADING = 240


def is_refusal(text: str) -> bool:
    """Whether an answer, or a sentence of one, says that there is no answer; only its beginning is looked at."""
    return _REFUSAL.search(text, 0, _LEADING) is not None
