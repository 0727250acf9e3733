"""Families of multiple choice: what is known of the world and of words."""

from __future__ import annotations

from freehold.evals.draw import Chooser
from freehold.evals.made import Made, Maker, Tables, choice, groups_of, pairs_of, words_of


def _looked_up(name: str, *phrasings: str) -> Maker:
    """Choose what stands beside a word in a table; the others offered stand beside other words."""

    def make(draw: Chooser, tables: Tables) -> Made:
        table = pairs_of(tables, name)
        asked, right = draw.one_of(table)
        others = sorted({other for word, other in table if other != right and word != asked})
        return choice(draw, draw.one_of(phrasings).format(asked), right, draw.some_of(others, min(3, len(others))))

    return make


def _reversed(name: str, *phrasings: str) -> Maker:
    """As ``_looked_up``, the other way round."""

    def make(draw: Chooser, tables: Tables) -> Made:
        table = pairs_of(tables, name)
        right, asked = draw.one_of(table)
        others = sorted(word for word, other in table if other != asked)
        return choice(draw, draw.one_of(phrasings).format(asked), right, draw.some_of(others, 3))

    return make


def _odd_one(draw: Chooser, tables: Tables) -> Made:
    groups = groups_of(tables)
    common, other = draw.some_of(sorted(groups), 2)
    right = draw.one_of(groups[other])
    asked = draw.one_of((f"Which one is not a {common}?", "Which word does not belong with the others?"))
    return choice(draw, asked, right, draw.some_of([word for word in groups[common] if word != right], 3))


def _member(draw: Chooser, tables: Tables) -> Made:
    groups = groups_of(tables)
    names = draw.some_of(sorted(groups), 4)
    right, *others = (draw.one_of(groups[name]) for name in names)
    return choice(draw, f"Which of these is a {names[0]}?", right, [other for other in others if other != right])


def _product(draw: Chooser, _tables: Tables) -> Made:
    a, b = draw.between(6, 19), draw.between(4, 12)
    right = a * b
    others = draw.some_of(sorted({right + 10, right - a, right + b, right - 2, right + 1} - {right}), 3)
    return choice(draw, f"What is {a} times {b}?", str(right), [str(other) for other in others])


def _largest(draw: Chooser, _tables: Tables) -> Made:
    hundredths = {draw.between(1, 9) * draw.one_of((1, 10, 100)) + 100 * draw.between(0, 2) for _ in range(9)}
    numbers = [value / 100 for value in sorted(hundredths)[-4:]]
    word, right = draw.one_of((("largest", numbers[-1]), ("smallest", numbers[0])))
    return choice(
        draw, f"Which number is the {word}?", f"{right:g}", [f"{each:g}" for each in numbers if each != right]
    )


def _prime(draw: Chooser, _tables: Tables) -> Made:
    right = draw.one_of((23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97))
    others = draw.some_of((21, 27, 33, 39, 49, 51, 57, 63, 69, 77, 81, 87, 91, 93, 99), 3)
    return choice(draw, "Which of these is a prime number?", str(right), [str(other) for other in others])


def _first_in_order(draw: Chooser, tables: Tables) -> Made:
    names = sorted(draw.some_of(words_of(tables, "surname"), 4))
    word, right = draw.one_of((("first", names[0]), ("last", names[-1])))
    asked = f"Which name comes {word} in alphabetical order?"
    return choice(draw, asked, right, [name for name in names if name != right])


FAMILIES: dict[str, tuple[Maker, int]] = {
    "choose-capital": (_looked_up("capital", "What is the capital of {}?", "Which city is the capital of {}?"), 25),
    "choose-country": (_reversed("capital", "{} is the capital of which country?"), 20),
    "choose-continent": (_looked_up("continent", "On which continent is {}?", "{} is in"), 16),
    "choose-currency": (_looked_up("currency", "What is the currency of {}?", "In {} people pay in"), 16),
    "choose-animal": (_looked_up("animal", "What kind of animal is a {}?", "A {} is a"), 20),
    "choose-symbol": (_looked_up("symbol", "What is the chemical symbol of {}?", "The symbol for {} is"), 24),
    "choose-element": (_reversed("symbol", "Which element has the symbol {}?"), 18),
    "choose-synonym": (
        _looked_up("synonym", "Which word means about the same as '{}'?", "A synonym of '{}' is"),
        24,
    ),
    "choose-antonym": (_looked_up("antonym", "Which word is the opposite of '{}'?", "The antonym of '{}' is"), 18),
    "choose-author": (_looked_up("work", "Who wrote '{}'?", "The author of '{}' is"), 16),
    "choose-landmark": (
        _looked_up("landmark", "Which country is the landmark '{}' in?", "Landmark '{}': which country?"),
        16,
    ),
    "choose-german": (_looked_up("german", "What does the German word '{}' mean?"), 14),
    "choose-french": (_looked_up("french", "What does the French word '{}' mean?"), 14),
    "choose-spanish": (_looked_up("spanish", "What does the Spanish word '{}' mean?"), 14),
    "choose-unit": (_looked_up("unit", "What is the SI unit of {}?"), 8),
    "choose-odd": (_odd_one, 24),
    "choose-member": (_member, 20),
    "choose-product": (_product, 24),
    "choose-number": (_largest, 24),
    "choose-prime": (_prime, 24),
    "choose-order": (_first_in_order, 20),
}
