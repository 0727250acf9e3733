"""Parts of texts in languages that were not measured, with what a test says of languages, and with the real teller."""

from __future__ import annotations

import base64
import json

import pytest

from freehold.engines.onnx.packages import NAMES_PACKAGES, missing_packages
from freehold.engines.onnx.teller import LanguageTeller
from freehold.policy.tongues import WORDS_MIN, missed_in, unmeasured

FOREIGN = {
    "pl": (
        "Pacjentka Anna Kowalska została przyjęta do szpitala wczoraj wieczorem z silnym bólem brzucha i gorączką."
        " Lekarz zalecił natychmiastowe badania oraz kontakt z rodziną."
    ),
    "tr": (
        "Hasta dün akşam şiddetli karın ağrısı ve yüksek ateşle hastaneye getirildi. Doktor hemen tetkik yapılmasını ve"
        " ailesine haber verilmesini istedi, çünkü durumu her saat kötüleşiyordu."
    ),
    "nl": (
        "De patiënt werd gisteravond met hevige buikpijn en hoge koorts naar het ziekenhuis gebracht. De arts wilde"
        " meteen onderzoek laten doen en vroeg of iemand zijn familie kon bellen."
    ),
    "it": (
        "La paziente è stata portata in ospedale ieri sera con forti dolori addominali e febbre alta. Il medico ha"
        " chiesto subito degli esami e di avvisare la sua famiglia, perché peggiorava."
    ),
    "pt": (
        "A paciente foi levada ao hospital ontem à noite com fortes dores abdominais e febre alta. O médico pediu logo"
        " exames e que avisassem a família dela, porque não estava melhorando."
    ),
    "cs": (
        "Pacientka byla včera večer přivezena do nemocnice se silnými bolestmi břicha a vysokou horečkou. Lékař hned"
        " nařídil vyšetření a požádal, aby někdo zavolal její rodině."
    ),
    "vi": (
        "Bệnh nhân được đưa vào bệnh viện tối qua với cơn đau bụng dữ dội và sốt cao. Bác sĩ yêu cầu làm xét nghiệm ngay"
        " và nhờ người gọi điện cho gia đình của cô ấy."
    ),
}
ENGLISH = (
    "The patient was brought to the hospital last night with strong pain and a high fever, and the doctor asked for tests"
    " at once because she was getting worse by the hour. "
)
CODE = """
def parse_header(raw: bytes, *, limit: int = 8192) -> dict[str, str]:
    fields = {}
    for line in raw.split(b"\\r\\n")[:limit]:
        name, _, value = line.partition(b":")
        fields[name.strip().decode("latin-1").lower()] = value.strip().decode("latin-1")
    return fields
"""


class Says:
    """Says of whatever it is asked that it is in one language; remembers what it was asked."""

    def __init__(self, **chances: float) -> None:
        self.chances = chances
        self.asked: list[str] = []

    def __call__(self, words: str, /) -> list[tuple[str, float]]:
        self.asked.append(words)
        return sorted(self.chances.items(), key=lambda each: -each[1])


def test_what_is_plainly_in_a_measured_language_is_not_asked_about() -> None:
    says = Says(pl=1.0)
    for text in (
        ENGLISH * 20,
        "Die Patientin wurde gestern Abend mit starken Schmerzen in das Krankenhaus gebracht, und der Arzt hat sie gesehen.",
        "La paciente fue llevada ayer por la noche al hospital con fuertes dolores y el médico pidió que se la viera.",
        "La patiente a été amenée hier soir à l'hôpital avec de fortes douleurs et le médecin a demandé à la voir.",
    ):
        assert unmeasured(text, says) == ""
    assert says.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "Cześć!",
        "Nazywam się Jan Kowalski.",
        CODE * 5,
        base64.b64encode(bytes(range(256)) * 8).decode(),
        "\n".join(f"{place};{place * 7};2026-11-{place % 28 + 1:02};EUR;{place}.50;ok" for place in range(90)),
        " ".join(f"https://example.org/przykład/{place}/strona?id={place}" for place in range(40)),
        json.dumps([{"id": place, "sku": f"A-{place}", "qty": 3} for place in range(60)]),
        "Anna Kowalska, Piotr Nowak, Zofia Lis, Jan Wilk, Ewa Mazur, Adam Krawczyk, Maria Zając, Paweł Król, Olga Wrona",
    ],
)
def test_what_is_too_short_or_no_prose_is_not_asked_about(text: str) -> None:
    says = Says(pl=1.0)
    assert unmeasured(text, says) == ""
    assert says.asked == []


def test_other_languages_count_together_and_what_is_no_language_does_not() -> None:
    text = FOREIGN["pl"]
    assert unmeasured(text, Says(no=0.5, da=0.45, en=0.05)) == "no"
    assert unmeasured(text, Says(no=0.5, da=0.3, en=0.2)) == ""
    assert unmeasured(text, Says(zxx=0.6, da=0.4)) == ""
    assert unmeasured(text, Says(de=1.0)) == ""
    assert unmeasured(text, None) == ""


def test_a_part_within_a_long_text_is_asked_about_alone() -> None:
    says = Says(pl=1.0)
    assert unmeasured(ENGLISH * 10 + (FOREIGN["pl"] + " ") * 3 + ENGLISH * 10, says) == "pl"
    (asked,) = says.asked
    assert "pacjentka" in asked
    assert len(asked.split()) >= WORDS_MIN


def test_what_is_said_names_the_measured_languages_and_the_other_one() -> None:
    assert missed_in(FOREIGN["pl"], Says(pl=1.0)) == (
        "names were not looked for in a language that is not one of en, de, es, fr (pl)"
    )
    assert "(Cyrillic script)" in missed_in("Добрый день, меня зовут Иван Петров и я живу в Казани", None)
    assert missed_in(ENGLISH, Says(pl=1.0)) == ""


@pytest.fixture(scope="module")
def teller() -> LanguageTeller:
    if missing := missing_packages(NAMES_PACKAGES):
        pytest.skip(f"{', '.join(missing)} are not installed")
    return LanguageTeller()


@pytest.mark.parametrize("language", FOREIGN)
def test_the_real_teller_knows_unmeasured_languages(language: str, teller: LanguageTeller) -> None:
    assert unmeasured(FOREIGN[language], teller) == language
    assert unmeasured(ENGLISH * 4 + FOREIGN[language] * 2 + ENGLISH * 4, teller) == language


def test_the_real_teller_leaves_english_with_foreign_names_alone(teller: LanguageTeller) -> None:
    text = (
        "Wojciech Szczęsny met Grzegorz Brzęczyszczykiewicz and Nguyễn Thị Minh Khai near Łódź, then Þórdís Björnsdóttir"
        " took the train to Kecskemét with Ağrı Yıldırım; tickets cost nothing, says José Ángel Ibáñez from Iruñea."
    )
    assert unmeasured(text, teller) == ""
    assert sum(chance for _, chance in teller("this is english")) == pytest.approx(1, abs=1e-3)
