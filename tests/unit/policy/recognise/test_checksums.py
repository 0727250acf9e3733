"""Check digits hold for published examples, and for no neighbour of them."""

from __future__ import annotations

import pytest

from freehold.policy.recognise import checksums

EXAMPLES = [
    (checksums.luhn, "79927398713"),
    (checksums.luhn, "4111 1111 1111 1111"),
    (checksums.luhn, "3782-822463-10005"),
    (checksums.iban, "GB82 WEST 1234 5698 7654 32"),
    (checksums.iban, "DE89370400440532013000"),
    (checksums.iban, "fr14 2004 1010 0505 0001 3m02 606"),
    (checksums.iban, "ES91 2100 0418 4502 0005 1332"),
    (checksums.mod11_nhs, "943 476 5919"),
    (checksums.dni, "12345678Z"),
    (checksums.dni, "X1234567L"),
    (checksums.nir, "2 69 05 49 588 157 80"),
    (checksums.nir, "1 84 12 2A 451 089 33"),
    (checksums.steuer_id, "86 095 742 719"),
    (checksums.steuer_id, "65929970489"),
    (checksums.rvnr, "15 070649 C 103"),
    (checksums.kvnr, "A123456780"),
    (checksums.ean13, "756.9217.0769.85"),
    (checksums.verhoeff, "2363"),
    (checksums.base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (checksums.bech32, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    (checksums.bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
]


@pytest.mark.parametrize(("check", "value"), EXAMPLES, ids=lambda each: getattr(each, "__name__", each))
def test_published_examples_hold(check, value) -> None:
    assert check(value)


@pytest.mark.parametrize(("check", "value"), EXAMPLES, ids=lambda each: getattr(each, "__name__", each))
def test_no_value_with_one_other_digit_holds(check, value) -> None:
    for place, digit in enumerate(value):
        if digit.isdigit():
            other = value[:place] + str((int(digit) + 1) % 10) + value[place + 1 :]
            assert not check(other), other


@pytest.mark.parametrize("check", sorted({check for check, _ in EXAMPLES}, key=lambda each: each.__name__))
@pytest.mark.parametrize(
    "value", ["", " ", "0", "abc", "١٢٣٤٥٦٧٨٩٠", "é" * 20, "0" * 11, "9" * 500, "1", "-", "bc1", "²³¹"]
)
def test_what_has_no_such_form_does_not_hold(check, value) -> None:
    assert check(value) is False or (check, value) == (checksums.luhn, "9" * 500)


def test_mod97_is_that_of_the_standard() -> None:
    assert checksums.mod97("3214282912345698765432161182")
    assert not checksums.mod97("3214282912345698765432161183")


def test_an_iban_of_another_length_than_its_countrys_does_not_hold() -> None:
    assert not checksums.iban("DE893704004405320130000")
    assert not checksums.iban("ZZ89370400440532013000")
