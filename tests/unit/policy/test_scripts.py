"""Parts of texts in other scripts, and what may be a name in less than that."""

from __future__ import annotations

import pytest

from freehold.policy.scripts import names_in_other_scripts, other_script

PARTS = {
    "Cyrillic": "Добрый день, меня зовут Иван Петров и я живу в Казани",
    "Greek": "Ο ασθενής προσήλθε χθες το βράδυ στο νοσοκομείο με πόνο",
    "Arabic": "وصل المريض مساء أمس إلى المستشفى وهو يشكو من ألم شديد",
    "Hebrew": "החולה הגיע אתמול בערב לבית החולים עם כאבים חזקים",
    "Devanagari": "मरीज़ कल शाम तेज़ दर्द के साथ अस्पताल पहुँचा था",
    "Thai": "ผู้ป่วยมาถึงโรงพยาบาลเมื่อคืนนี้ด้วยอาการปวดอย่างรุนแรง",
    "CJK": "患者は昨夜、強い痛みを訴えて病院に運ばれました",
    "Hangul": "환자는 어제 저녁 심한 통증으로 병원에 도착했습니다",
    "Armenian": "Հիվանդը երեկ երեկոյան հիվանդանոց եկավ ուժեղ ցավերով",
    "Georgian": "პაციენტი გუშინ საღამოს ძლიერი ტკივილით მოვიდა საავადმყოფოში",
}


@pytest.mark.parametrize("script", PARTS)
def test_a_part_in_another_script_is_told_wherever_it_stands(script: str) -> None:
    assert other_script(PARTS[script]) == script
    english = "The patient arrived at the hospital last night and nobody knew why. " * 30
    assert other_script(f"{english}\n{PARTS[script]}\n{english}") == script


def test_terms_that_stay_latin_do_not_hide_a_part() -> None:
    assert (
        other_script("Запустите docker run и затем проверьте логи сервиса backend в Kibana за вчерашний вечер")
        == "Cyrillic"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Dear Jane, the café in Łódź was naïve. Nguyễn Văn An came, too.",
        "Привет, how are you?",
        "Здравствуйте, как дела?",
        "你好",
        "こんにちは、元気ですか",
        "Please ask Иван Сергеевич Тургенев about it.",
        "Kunde: 王小明, Berlin",
        "English | Deutsch | Русский | Українська | العربية | 中文 | 日本語 | 한국어 | Ελληνικά | עברית | ไทย",
        "The area is α·β + Σ(μ·σ²) ≥ Δx, so ρ(ω) = ∂φ/∂t and λ → ∞; ΔG° = −RT ln K, θ, ψ, χ, η, ξ.",
        "𝐓𝐡𝐞 𝐪𝐮𝐢𝐜𝐤 𝐛𝐫𝐨𝐰𝐧 𝐟𝐨𝐱 ｊｕｍｐｓ ｏｖｅｒ ｔｈｅ ｌａｚｙ ｄｏｇ 🎉🎉🎉 ¯\\_(ツ)_/¯",
    ],
)
def test_what_is_no_part(text: str) -> None:
    assert other_script(text) == ""


def test_scattered_quotations_do_not_add_up() -> None:
    assert other_script("The word логос comes from Greek and means a good deal more than speech. " * 40) == ""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Kunde: Иван Петров, Berlin", ["Иван Петров"]),
        ("We met Γιώργος at noon, and 王小明 later.", ["Γιώργος", "王小明"]),
        ("Patient: محمد علي, Zimmer 4", ["محمد علي"]),
        ("Spoke to 김철수 today", ["김철수"]),
        ("Привет, Мария-Анна", ["Мария-Анна"]),
        ("Привет!", []),
        ("שלום, how are you?", []),
        ("a quoted слово is none, and the США is none", []),
        ("Δx and μ and の alone", []),
        ("Müller and Łukasz are the model's", []),
    ],
)
def test_what_may_be_a_name_in_another_script(text: str, names: list[str]) -> None:
    assert [text[start:end] for start, end in names_in_other_scripts(text)] == names
