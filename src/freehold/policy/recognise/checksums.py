"""Checksums of numbers that people and their money are known by. Pure arithmetic over text.

Each function takes a value as it is written, with or without separators, says whether its check digits hold, and never
raises: what has the wrong length or letters simply does not hold.
"""

from __future__ import annotations

import hashlib
import re

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18,
    "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22,
    "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (the SWIFT IBAN registry)."""

_NOT_ALNUM = re.compile(r"[\W_]+", re.ASCII)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_ENDS = (1, 0x2BC830A3)
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def compact(value: str) -> str:
    """Letters and digits alone, letters in capitals."""
    return _NOT_ALNUM.sub("", value).upper()


def _digits(value: str) -> list[int] | None:
    bare = compact(value)
    return [int(each) for each in bare] if bare.isascii() and bare.isdigit() else None


def luhn(value: str) -> bool:
    """Whether the last digit is the Luhn check digit of those before it (ISO/IEC 7812-1, annex B)."""
    digits = _digits(value)
    if not digits or len(digits) < 2:
        return False
    doubled = (digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits[::-1]))
    return sum(doubled) % 10 == 0 and any(digits)


def mod97(value: str) -> bool:
    """Whether the remainder by 97 is 1, letters counting from A = 10 (ISO/IEC 7064, MOD 97-10)."""
    bare = compact(value)
    if len(bare) < 3 or not (bare.isascii() and bare.isalnum()):
        return False
    return int("".join(str(int(each, 36)) for each in bare)) % 97 == 1


def iban(value: str) -> bool:
    """Whether it has its country's length and its check digits hold (ISO 13616)."""
    bare = compact(value)
    return len(bare) == IBAN_LENGTHS.get(bare[:2], 0) and mod97(bare[4:] + bare[:4])


def mod11_nhs(value: str) -> bool:
    """The NHS number of England: ten digits, weights 10 to 2, modulus 11."""
    digits = _digits(value)
    if not digits or len(digits) != 10:
        return False
    rest = sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=False)) % 11
    return (11 - rest) % 11 == digits[9] and any(digits)


def dni(value: str) -> bool:
    """Spain's DNI and NIE: the letter is the number's remainder by 23; X, Y, Z in front count 0, 1, 2."""
    bare = compact(value)
    if not re.fullmatch(r"[0-9XYZ][0-9]{7}[A-Z]", bare):
        return False
    return _DNI[int(str("XYZ".find(bare[0]) if bare[0] in "XYZ" else bare[0]) + bare[1:8]) % 23] == bare[8]


def nir(value: str) -> bool:
    """France's social security number: 13 digits and a key, 97 minus their remainder by 97; Corsica's 2A, 2B are 19, 18."""
    bare = compact(value)
    if not re.fullmatch(r"[1-478][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{8}", bare):
        return False
    number = bare[:13].replace("2A", "19", 1) if bare[5:7] == "2A" else bare[:13]
    number = number.replace("2B", "18", 1) if bare[5:7] == "2B" else number
    return number.isdigit() and 97 - int(number) % 97 == int(bare[13:])


def steuer_id(value: str) -> bool:
    """Germany's tax number: eleven digits, MOD 11,10 of ISO/IEC 7064; among the first ten, one comes two or three times."""
    digits = _digits(value)
    if not digits or len(digits) != 11 or digits[0] == 0:
        return False
    counts = [digits[:10].count(each) for each in range(10)]
    if max(counts) not in {2, 3} or sum(count > 1 for count in counts) != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((digit + product - 1) % 10 + 1) * 2 % 11
    return (11 - product) % 10 == digits[10]


def _cross_sum(number: int) -> int:
    return sum(divmod(number, 10))


def rvnr(value: str) -> bool:
    """Germany's pension insurance number (VKVV § 4): weights 2 1 2 5 7 1 2 1 2 1 2 1, cross sums, modulus 10."""
    bare = compact(value)
    if not re.fullmatch(r"[0-9]{8}[A-Z][0-9]{3}", bare):
        return False
    digits = [int(each) for each in f"{bare[:8]}{ord(bare[8]) - 64:02d}{bare[9:11]}"]
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    return sum(_cross_sum(a * b) for a, b in zip(digits, weights, strict=True)) % 10 == int(bare[11])


def kvnr(value: str) -> bool:
    """Germany's health insurance number (SGB V § 290): a letter, eight digits, weights 1 and 2, cross sums, modulus 10."""
    bare = compact(value)
    if not re.fullmatch(r"[A-Z][0-9]{9}", bare):
        return False
    digits = [int(each) for each in f"{ord(bare[0]) - 64:02d}{bare[1:9]}"]
    return sum(_cross_sum(digit * (1 + place % 2)) for place, digit in enumerate(digits)) % 10 == int(bare[9])


def ean13(value: str) -> bool:
    """Thirteen digits, weights 1 and 3, modulus 10: Switzerland's AHV number among others."""
    digits = _digits(value)
    if not digits or len(digits) != 13:
        return False
    return sum(digit * (1 + 2 * (place % 2)) for place, digit in enumerate(digits)) % 10 == 0


def verhoeff(value: str) -> bool:
    """Verhoeff's check over the dihedral group of order ten: India's Aadhaar among others."""
    digits = _digits(value)
    if not digits or len(digits) < 2:
        return False
    state = 0
    for place, digit in enumerate(digits[::-1]):
        state = int(_DIHEDRAL[state][int(_VERHOEFF[place % 8][digit])])
    return state == 0


def base58check(value: str) -> bool:
    """Whether the last four of 25 bytes in base 58 are the start of the double SHA-256 of the others (Bitcoin)."""
    if not 26 <= len(value) <= 35 or any(each not in _BASE58 for each in value):
        return False
    number = 0
    for each in value:
        number = number * 58 + _BASE58.index(each)
    if number >= 1 << 200:
        return False
    raw = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32(value: str) -> bool:
    """Whether the checksum of a segwit address holds (BIP 173 and 350)."""
    human, one, data = value.lower().rpartition("1")
    if not one or not human or not 6 <= len(data) <= 84 or any(each not in _BECH32 for each in data):
        return False
    state = 1
    spread = [ord(each) >> 5 for each in human] + [0] + [ord(each) & 31 for each in human]
    for each in (*spread, *(_BECH32.index(each) for each in data)):
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ each
        for place, generator in enumerate(_BECH32_GENERATORS):
            state ^= generator if top >> place & 1 else 0
    return state in _BECH32_ENDS
