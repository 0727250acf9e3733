"""Each recogniser on texts in four languages, and on what only looks like its prey. All values are made up."""

from __future__ import annotations

import pytest

from freehold.policy.recognise import RECOGNISERS_VERSION, recognise
from tests.support.detection import pairs, personal

FOUND = [
    # E-mail
    ("EMAIL", "Write to jane.o'neil+shop@mail.example-shop.co.uk, please.", "jane.o'neil+shop@mail.example-shop.co.uk"),
    ("EMAIL", "Bitte an <jörg.müller@bücher.de> senden", "jörg.müller@bücher.de"),
    ("EMAIL", "Correo:ana_ruiz@empresa.es;", "ana_ruiz@empresa.es"),
    ("EMAIL", "ADMIN_EMAIL=jane@example.org x", "jane@example.org"),
    ("EMAIL", "mailto:zoe%40site.fr", "zoe%40site.fr"),
    ("EMAIL", "reach me at jane [at] example [dot] org", "jane [at] example [dot] org"),
    # Telephone
    ("PHONE", "Call me on +44 20 7946 0958 tonight", "+44 20 7946 0958"),
    ("PHONE", "Office: (212) 555-0187 x204.", "(212) 555-0187 x204"),
    ("PHONE", "ring 212.555.0187", "212.555.0187"),
    ("PHONE", "Unsere Rufnummer ist 030 1234567-89", "030 1234567-89"),
    ("PHONE", "Telefon (089) 636 48018", "(089) 636 48018"),
    ("PHONE", "Mi móvil es 612 345 678", "612 345 678"),
    ("PHONE", "Vous êtes joignable au 06 12 34 56 78 ?", "06 12 34 56 78"),
    ("PHONE", "name,phone\nJane,9175550123\n", "9175550123"),
    ("PHONE", '{"phone": "0612345678"}', "0612345678"),
    ("PHONE", "Jane Roe (9175550123) asks", "9175550123"),
    ("PHONE", "01 2345 678-Office", "01 2345 678"),
    # Handles and profiles
    ("HANDLE", "Ping @jane_roe99 on the channel", "@jane_roe99"),
    ("HANDLE", "Frag @karl.k auf Slack", "@karl.k"),
    ("URL_USER", "see https://www.linkedin.com/in/jane-roe-12 for more", "jane-roe-12"),
    ("URL_USER", "ftp://jroe@files.example.org/x", "jroe"),
    # Machines and chains
    ("IP", "Login from 198.51.100.23 failed", "198.51.100.23"),
    ("IP", "Login from 9.9.9.9 failed", "9.9.9.9"),
    ("IP", "peer 2001:db8:85a3::8a2e:370:7334 left", "2001:db8:85a3::8a2e:370:7334"),
    ("IP", "[::ffff:203.0.113.9]:443", "::ffff:203.0.113.9"),
    ("MAC", "device 00:1B:44:11:3A:B7 joined", "00:1B:44:11:3A:B7"),
    ("MAC", "arp 001b.4411.3ab7", "001b.4411.3ab7"),
    ("CRYPTO", "send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("CRYPTO", "to 0x52908400098527886E0F7030069857D2E4169EE7.", "0x52908400098527886E0F7030069857D2E4169EE7"),
    # Money
    ("CARD", "it is 4111 1111 1111 1111, thanks", "4111 1111 1111 1111"),
    ("CARD", "Karte 3782-822463-10005", "3782-822463-10005"),
    ("CARD", "tarjeta 5555555555554444", "5555555555554444"),
    ("CARD", "carte 4222222222222", "4222222222222"),
    ("CARD_CODE", "CVV: 123", "123"),
    ("IBAN", "IBAN DE89 3704 0044 0532 0130 00.", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "sur fr1420041010050500013m02606 svp", "fr1420041010050500013m02606"),
    ("IBAN", "cuenta ES91-2100-0418-4502-0005-1332", "ES91-2100-0418-4502-0005-1332"),
    ("IBAN", "to IBAN GB82WEST12345698765433 today", "GB82WEST12345698765433"),
    ("IBAN", "IBAN: GB82 WEST 1234 5698 7654 3.", "GB82 WEST 1234 5698 7654 3"),
    ("BANK_ACCOUNT", "Kontonummer: 1234567890", "1234567890"),
    # Numbers that states give
    ("SSN", "her SSN is 536-90-4399", "536-90-4399"),
    ("SSN", "social security 536904399", "536904399"),
    ("NATIONAL_ID", "The form has AB 12 34 56 C on it and is signed", "AB 12 34 56 C"),
    ("NATIONAL_ID", "national insurance number: QQ123456A", "QQ123456A"),
    ("HEALTH_ID", "NHS no. 943 476 5919", "943 476 5919"),
    ("NATIONAL_ID", "Rentenversicherungsnummer 15 070649 C 103", "15 070649 C 103"),
    ("NATIONAL_ID", "Die Steuer-ID ist 86 095 742 719", "86 095 742 719"),
    ("HEALTH_ID", "Krankenversichertennummer A123456780", "A123456780"),
    ("NATIONAL_ID", "Personalausweisnummer: L01X00T47", "L01X00T47"),
    ("NATIONAL_ID", "AHV 756.9217.0769.85", "756.9217.0769.85"),
    ("NATIONAL_ID", "con DNI 12345678Z", "12345678Z"),
    ("NATIONAL_ID", "El NIE es X-1234567-L", "X-1234567-L"),
    ("NATIONAL_ID", "El señor con 12345678Z que vive aquí", "12345678Z"),
    ("HEALTH_ID", "NASS: 28 12345678 40", "28 12345678 40"),
    ("NATIONAL_ID", "numéro de sécurité sociale : 2 69 05 49 588 157 80", "2 69 05 49 588 157 80"),
    ("NATIONAL_ID", "Aadhaar 2345 6789 0124", "2345 6789 0124"),
    ("PASSPORT", "My passport number is C01X00T47", "C01X00T47"),
    ("PASSPORT", "Reisepass-Nr. C01X00T47", "C01X00T47"),
    ("PASSPORT", "pasaporte nº AAA123456", "AAA123456"),
    ("PASSPORT", "passeport n° 12AB34567", "12AB34567"),
    ("DRIVER_LICENSE", "driver's license number is D1234567", "D1234567"),
    ("DRIVER_LICENSE", "Führerschein B072RRE2I55", "B072RRE2I55"),
    # Births, health, vehicles
    ("DATE_OF_BIRTH", "born on 3 March 1985", "3 March 1985"),
    ("DATE_OF_BIRTH", "geboren am 03.03.1985", "03.03.1985"),
    ("DATE_OF_BIRTH", "nacida el 3 de marzo de 1985", "3 de marzo de 1985"),
    ("DATE_OF_BIRTH", "née le 3 mars 1985", "3 mars 1985"),
    ("HEALTH_ID", "MRN: MRN-12345678", "MRN-12345678"),
    ("HEALTH_ID", "Patientennummer 4711-0815", "4711-0815"),
    ("HEALTH_ID", "NHC: 1234567", "1234567"),
    ("VEHICLE_PLATE", "Vehicle AB12 CDE was seen", "AB12 CDE"),
    ("VEHICLE_PLATE", "Kennzeichen B-XY 1234", "B-XY 1234"),
    ("VEHICLE_PLATE", "matrícula 1234 BCD", "1234 BCD"),
    ("VEHICLE_PLATE", "plaque AA-123-BB", "AA-123-BB"),
    ("VEHICLE_ID", "VIN 1HGBH41JXMN109186", "1HGBH41JXMN109186"),
    # Addresses
    ("ADDRESS", "lives at 12 Old Mill Road, Springfield, IL 62704 now", "12 Old Mill Road, Springfield, IL 62704"),
    ("ADDRESS", "at 7 High Street, Little Dean, GL14 2AB.", "7 High Street, Little Dean, GL14 2AB"),
    ("ADDRESS", "wohnt Lange Straße 12, 50667 Köln", "Lange Straße 12, 50667 Köln"),
    ("ADDRESS", "Am Alten Markt 3, 50667 Köln", "Am Alten Markt 3, 50667 Köln"),
    ("ADDRESS", "vive en Calle de la Rosa 14, 28004 Madrid", "Calle de la Rosa 14, 28004 Madrid"),
    ("ADDRESS", "domicilié 14 bis, rue des Lilas, 75011 Paris", "14 bis, rue des Lilas, 75011 Paris"),
    ("ADDRESS", "P.O. Box 1234", "P.O. Box 1234"),
]


@pytest.mark.parametrize(("type_", "text", "value"), FOUND, ids=[f"{kind}:{value}" for kind, _, value in FOUND])
def test_is_found_whole(type_, text, value) -> None:
    assert (type_, value) in personal(text)


NOT_FOUND = [
    "Upgrade to version 10.2.3.4 or v2.14.0.1, please.",
    "package>=1.22.33.44 and kernel 5.10.0.8",
    "bind to 0.0.0.0 and 127.0.0.1, mask 255.255.255.0, or ::1",
    "at 12:34:56 or 12:30:45.123, std::vector<int>::iterator, f64::MAX, rows[10::20], a[3::2]",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 on main",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "id 123e4567-e89b-12d3-a456-426614174000 was deleted",
    "order 4111111111111112 shipped; invoice 091234567890",
    "at 1700000000000 ms since the epoch, 1700000000 s",
    "ISBN 978-3-16-148410-0, EAN 4006381333931",
    "The price is 1,234,567.89 EUR or 4 111 111.11",
    "pi is 3.14159265358979323846 and e is 2.718281828459045",
    "x = foo(1234567890) + 9876543210",
    "00:00:00:00:00:00 is no device",
    "@property\ndef name(self): ...\n\n@pytest.fixture\ndef x(): ...",
    "@media (max-width: 600px) { } @import 'a.css';",
    "current_user or (@current_user) or raise",
    "npm i @types/node @babel/core",
    "git clone git@github.com:org/repo.git",
    "0x5290840009852788",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "DE89 3704 0044 0532 0130 01 ist keine",
    "Die Artikelnummer lautet 12345678A und 86 095 742 718",
    "El pedido con 12345678A que llegó es para la tienda",
    "Le colis 2 69 05 49 588 157 81 est arrivé pour vous",
    "the ticket ABC-1234 and part XY-123-ZZ",
    "SHA256 of the vehicle firmware",
    "In 1985 the road 66 was closed; 3 Ways to Win",
    "passport required; passport control is open",
    "the license is Apache-2.0",
    "Das Meeting dauert 30 min am 03.03.2025",
    "def total(xs: list[int]) -> int:\n    return sum(x * x for x in xs)  # O(n)",
    "https://example.com/docs/index.html?page=2#top",
    "HTTP 429, port 8080, RFC 9110, CVE-2024-12345",
    "During 1971 the ring 12 was built",
    "666-12-3456 and 000-12-3456 and 123-00-4567",
]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_so_is_left_alone(text) -> None:
    assert personal(text) == []


def test_numbers_of_a_country_need_its_language_or_a_word() -> None:
    number = "86 095 742 719"
    assert personal(f"({number})") == []
    assert personal(f"({number})", languages=["de"]) == [("NATIONAL_ID", number)]
    assert personal(f"Das Feld und die Zeile ist {number}") == [("NATIONAL_ID", number)]
    assert personal(f"The field and the line is {number}") == []
    assert personal(f"Steuer-ID {number}", languages=["fr"]) == [("NATIONAL_ID", number)]


def test_languages_that_nobody_knows_change_nothing() -> None:
    assert personal("12345678Z", languages=["xx", ""]) == []


def test_a_value_found_by_its_word_is_found_everywhere() -> None:
    text = "passport C01X00T47 was lost. Later C01X00T47 was seen; C01X00T479 and AC01X00T47 were not it."
    assert personal(text) == [("PASSPORT", "C01X00T47")] * 2


def test_kinds_say_what_is_asked_for() -> None:
    text = "MRN 12345678, card 4111 1111 1111 1111, jane@example.org"
    assert {each.kind for each in recognise(text)} == {"phi", "pci", "pii"}


def test_findings_of_different_kinds_may_lie_in_each_other() -> None:
    begin, end = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
    text = f"{begin}\n{'Zm9vYmFyMTIz' * 6}\n{end}\nmail a@example.org"
    assert [(each.kind, each.type) for each in recognise(text)] == [("secret", "PRIVATE_KEY"), ("pii", "EMAIL")]


def test_a_private_key_cut_off_at_either_side_is_found() -> None:
    begin, end = (f"-----{word} RSA PRIVATE KEY-----" for word in ("BEGIN", "END"))
    body = "\n".join("Q0FGRUJBQkUxMjM0NTY3ODlhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg" for _ in range(4))
    for text in (f"x\n{begin}\n{body}\n", f"{body}\n{end}\nx", f"{begin}\n{body}\n{end}"):
        (found,) = recognise(text)
        assert (found.type, found.kind) == ("PRIVATE_KEY", "secret")
        assert body in text[found.start : found.end]


@pytest.mark.parametrize(
    "text", ["-----BEGIN PRIVATE KEY-----", "if line == '-----BEGIN RSA PRIVATE KEY-----': return"]
)
def test_a_header_without_a_body_is_no_key(text) -> None:
    assert pairs(text, recognise(text)) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mail ja\u200bne@exam\u00adple.org now", "ja\u200bne@exam\u00adple.org"),
        ("card \uff14\uff11\uff11\uff11 1111 1111 1111", "\uff14\uff11\uff11\uff11 1111 1111 1111"),
        ("SSN 536\u201190\u20114399", "536\u201190\u20114399"),
        (
            "IBAN DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00",
            "DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00",
        ),
        ("\ufeff\u200djane@example.org", "jane@example.org"),
    ],
)
def test_characters_that_do_not_show_hide_nothing(text, value) -> None:
    assert [each[1] for each in personal(text)] == [value]


def test_the_set_has_a_version() -> None:
    assert RECOGNISERS_VERSION
