"""Families of extraction, of arithmetic beyond one step, and of short answers about words, times and order."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.evals.draw import Chooser
from freehold.evals.made import Made, Maker, Tables, number, pairs_of, short, words_of

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_ROMAN = ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _asked(draw: Chooser, text: str, fields: Sequence[tuple[str, str]], phrasings: Sequence[str]) -> Made:
    """Ask for one of the named values of a text; the others are no answers."""
    name, value = draw.one_of(fields)
    others = [other for _, other in fields if other != value and value not in other and other not in value]
    return short(draw.one_of(phrasings).format(name=name, text=text), value, rejects=others, words_max=12)


_EXTRACT = (
    "Extract only the {name}: '{text}'",
    "{text}\n\nWhat is the {name}? Reply with it alone.",
    "Text: {text}\nGive the {name}, nothing else.",
)


def _order(draw: Chooser, tables: Tables) -> Made:
    name, product, city = (draw.one_of(words_of(tables, table)) for table in ("surname", "product", "city"))
    code, count = f"{draw.one_of('ABKX')}-{draw.between(1000, 9999)}", str(draw.between(12, 95))
    day = f"{draw.between(1, 28)} {draw.one_of(_MONTHS)}"
    text = f"Order {code} from {name}: {count} {product}, to be delivered to {city} on {day}."
    fields = (
        ("order number", code), ("customer", name), ("product", product), ("city", city), ("date", day),
        ("quantity", count),
    )  # fmt: skip
    return _asked(draw, text, fields, _EXTRACT)


def _meeting(draw: Chooser, tables: Tables) -> Made:
    first, second = draw.some_of(words_of(tables, "name"), 2)
    day, room = draw.one_of(_DAYS), f"{draw.one_of('ABCD')}{draw.between(100, 499)}"
    time, topic = f"{draw.between(8, 18)}:{draw.one_of(('15', '30', '45'))}", draw.one_of(words_of(tables, "topic"))
    text = f"{first} invites {second} to talk about {topic} in room {room}, {day} at {time}."
    fields = (("room", room), ("time", time), ("weekday", day), ("name of the guest", second), ("topic", topic))
    return _asked(draw, text, fields, _EXTRACT)


def _log_line(draw: Chooser, tables: Tables) -> Made:
    service, host = draw.one_of(words_of(tables, "service")), f"node{draw.between(1, 48)}"
    code, level = str(draw.one_of((401, 403, 404, 408, 429, 500, 502, 503))), draw.one_of(("WARN", "ERROR", "INFO"))
    pid = str(draw.between(2000, 9800))
    text = f"{level} {host} {service}[{pid}]: request failed with status {code}"
    fields = (("host", host), ("service", service), ("status code", code), ("process id", pid), ("log level", level))
    return _asked(draw, text, fields, _EXTRACT)


def _table_cell(draw: Chooser, tables: Tables) -> Made:
    names, cities = draw.some_of(words_of(tables, "name"), 4), draw.some_of(words_of(tables, "city"), 4)
    jobs = draw.some_of(words_of(tables, "job"), 4)
    lines = "\n".join(f"{name},{job},{city}" for name, job, city in zip(names, jobs, cities, strict=True))
    row = draw.between(0, 3)
    question, values = draw.one_of(
        (
            (f"In which city does {names[row]} live?", cities),
            (f"What is the job of {names[row]}?", jobs),
            (f"What is the name of the {jobs[row]}?", names),
            (f"Who lives in {cities[row]}?", names),
        )
    )
    others = [value for value in values if value != values[row]]
    return short(f"name,job,city\n{lines}\n\n{question} One word.", values[row], rejects=others, words_max=12)


def _moved(draw: Chooser, tables: Tables) -> Made:
    first, second = draw.some_of(_DAYS, 2)
    topic = draw.one_of(words_of(tables, "topic"))
    text = draw.one_of(
        (
            f"The meeting about {topic} was planned for {first} but has been moved to {second}.",
            f"The meeting about {topic} takes place on {second}, not on {first} as announced.",
            f"Please note: {second} instead of {first} for the meeting about {topic}.",
        )
    )
    return short(f"{text} On which day is the meeting? One word.", second, rejects=(first,), words_max=12)


def _stock(draw: Chooser, tables: Tables) -> Made:
    products = draw.some_of(words_of(tables, "product"), 4)
    counts = draw.some_of(range(11, 99), 4)
    lines = "\n".join(f"- {product}: {count}" for product, count in zip(products, counts, strict=True))
    row = draw.between(0, 3)
    question, answer = draw.one_of(
        (
            (f"How many {products[row]} are there? Number only.", counts[row]),
            (f"How many {products[0]} and {products[row or 1]} together? Number only.", counts[0] + counts[row or 1]),
            ("What is the largest number in the list? Number only.", max(counts)),
        )
    )
    return number(f"{lines}\n\n{question}", answer)


def _brackets(draw: Chooser, _tables: Tables) -> Made:
    a, b, c = draw.between(2, 9), draw.between(2, 15), draw.between(2, 9)
    shown, answer = draw.one_of(
        (
            (f"{a} * ({b} + {c})", a * (b + c)),
            (f"{a} * {b} - {c}", a * b - c),
            (f"{b} + {a} * {c}", b + a * c),
            (f"({b + c} - {c}) * {a}", b * a),
        )
    )
    return number(draw.one_of((f"What is {shown}? Number only.", f"Calculate {shown}. Number only.")), answer)


def _remainder(draw: Chooser, _tables: Tables) -> Made:
    a, b = draw.between(20, 120), draw.between(3, 12)
    return number(f"What is the remainder when {a} is divided by {b}? Number only.", a % b)


def _average(draw: Chooser, _tables: Tables) -> Made:
    mean, step, more = draw.between(10, 40), draw.between(1, 6), draw.between(0, 3)
    shown = f"{mean - step}, {mean + more} and {mean + step - more}"
    return number(f"What is the average of {shown}? Number only.", mean)


def _change(draw: Chooser, tables: Tables) -> Made:
    paid, price, count = draw.one_of((50, 100)), draw.between(3, 12), draw.between(2, 4)
    name = draw.one_of(words_of(tables, "name"))
    prompt = f"{name} buys {count} books at {price} euros each and pays with a {paid} euro note. How much change? Number only."
    return number(prompt, paid - price * count)


def _plural(draw: Chooser, tables: Tables) -> Made:
    word, answer = draw.one_of(pairs_of(tables, "plural"))
    return short(
        draw.one_of((f"Plural of '{word}'? One word.", f"What is the plural form of '{word}'? One word.")), answer
    )


def _past(draw: Chooser, tables: Tables) -> Made:
    word, answer = draw.one_of(pairs_of(tables, "past"))
    return short(
        draw.one_of((f"Simple past of 'to {word}'? One word.", f"What is the past tense of '{word}'? One word.")),
        answer,
    )


def _nth_word(draw: Chooser, tables: Tables) -> Made:
    sentence = draw.one_of(words_of(tables, "sentence"))
    parts = sentence.split()
    name, place = draw.one_of((("first", 0), ("second", 1), ("third", 2), ("last", -1)))
    others = [part for part in parts if len(part) > 4 and part != parts[place]]
    return short(f"What is the {name} word of '{sentence}'? One word.", parts[place], rejects=others, words_max=8)


def _alphabet(draw: Chooser, tables: Tables) -> Made:
    names = draw.some_of(words_of(tables, "name"), 4)
    ordered = sorted(names)
    word, answer = draw.one_of((("first", ordered[0]), ("last", ordered[-1])))
    prompt = f"Which of these names comes {word} in the alphabet: {', '.join(names)}? One word."
    return short(prompt, answer, rejects=[name for name in names if name != answer], words_max=12)


def _roman(draw: Chooser, _tables: Tables) -> Made:
    value = left = draw.between(4, 69)
    shown = ""
    for worth, sign in _ROMAN:
        shown += sign * (left // worth)
        left %= worth
    if draw.between(0, 1):
        return number(f"Which number is the Roman numeral {shown}? Number only.", value)
    return short(f"Write {value} as a Roman numeral. The numeral only.", shown, words_max=8)


def _spelled(draw: Chooser, _tables: Tables) -> Made:
    tens, ones, hundreds = draw.between(0, 7), draw.between(0, 8), draw.between(0, 8)
    words = f"{_ONES[hundreds]} hundred and {_TENS[tens]}-{_ONES[ones]}"
    return number(f"Write in digits: {words}. Digits only.", 100 * (hundreds + 1) + 10 * (tens + 2) + ones + 1)


def _clock(draw: Chooser, _tables: Tables) -> Made:
    hour, minute, wait = draw.between(1, 20), 5 * draw.between(0, 11), 5 * draw.between(2, 20)
    later = 60 * hour + minute + wait
    answer = f"{later // 60:02d}:{later % 60:02d}"
    prompt = f"It is {hour:02d}:{minute:02d}. What time is it in {wait} minutes? Answer as HH:MM."
    return short(prompt, answer, words_max=8)


def _month(draw: Chooser, _tables: Tables) -> Made:
    place, step = draw.between(0, 11), draw.between(1, 5)
    word, answer = draw.one_of((("after", (place + step) % 12), ("before", (place - step) % 12)))
    steps = "month" if step == 1 else "months"
    return short(f"Which month is {step} {steps} {word} {_MONTHS[place]}? One word.", _MONTHS[answer])


def _chain(draw: Chooser, tables: Tables) -> Made:
    a, b, c = draw.some_of(words_of(tables, "name"), 3)
    more, most, least = draw.one_of(
        (("older", "oldest", "youngest"), ("taller", "tallest", "shortest"), ("faster", "fastest", "slowest"))
    )
    facts = draw.some_of((f"{a} is {more} than {b}.", f"{b} is {more} than {c}."), 2)
    word, answer = draw.one_of(((most, a), (least, c)))
    others = [name for name in (a, b, c) if name != answer]
    return short(f"{' '.join(facts)} Who is the {word}? One word.", answer, rejects=others, words_max=12)


def _python(draw: Chooser, tables: Tables) -> Made:
    a, b, c = draw.between(2, 20), draw.between(2, 9), draw.between(0, 3)
    word = draw.one_of(words_of(tables, "service"))
    numbers = draw.some_of(range(1, 30), 4)
    shown, answer = draw.one_of(
        (
            (f"len('{word}') + {b}", len(word) + b),
            (f"{a} // {b}", a // b),
            (f"{a} % {b}", a % b),
            (f"{numbers}[{c}]", numbers[c]),
            (f"max({numbers})", max(numbers)),
            (f"sum({numbers[:3]})", sum(numbers[:3])),
            (f"len(range({b}, {a + b}))", a),
            (f"sorted({numbers})[0]", min(numbers)),
        )
    )
    return number(f"What does this Python expression evaluate to: {shown} ? Number only.", answer)


FAMILIES: dict[str, tuple[Maker, int]] = {
    "extract-order": (_order, 28),
    "extract-meeting": (_meeting, 28),
    "extract-log": (_log_line, 28),
    "extract-cell": (_table_cell, 28),
    "extract-moved": (_moved, 28),
    "extract-stock": (_stock, 28),
    "compute-brackets": (_brackets, 16),
    "compute-remainder": (_remainder, 10),
    "compute-average": (_average, 10),
    "compute-change": (_change, 10),
    "compute-python": (_python, 16),
    "compute-clock": (_clock, 10),
    "short-plural": (_plural, 18),
    "short-past": (_past, 24),
    "short-word": (_nth_word, 24),
    "short-alphabet": (_alphabet, 24),
    "short-roman": (_roman, 24),
    "short-digits": (_spelled, 24),
    "short-month": (_month, 12),
    "short-chain": (_chain, 24),
}
