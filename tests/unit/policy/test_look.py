"""Everything at once, with a model that marks what a test says."""

from __future__ import annotations

import base64

from freehold.domain.detect_ports import Mention
from freehold.policy.look import look


class Marks:
    """Takes one name for a given name, wherever it stands; remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []

    def __call__(self, text: str, /) -> list[Mention]:
        self.asked.append(text)
        start = text.find(self.name)
        if start < 0:
            return []
        return [Mention(start=start, end=start + len(self.name), type="GIVEN_NAME", score=0.9)]


def test_each_detector_adds_to_one_list_by_place() -> None:
    text = "Dear Jane Miller, mail to jane@example.org from 198.51.100.7."
    looked = look(text, marker=Marks("Jane"), model="m")
    assert [(text[each.start : each.end], each.detector) for each in looked.findings] == [
        ("Jane Miller", "names"),
        ("jane@example.org", "structured"),
        ("198.51.100.7", "structured"),
    ]
    assert not looked.missed
    assert dict(looked.versions).keys() == {"structured", "secrets", "views", "names", "languages"}
    assert dict(looked.versions)["names"].startswith("m/")


def test_without_a_model_no_names_and_no_version_of_one() -> None:
    looked = look("Dear Jane Miller, mail to jane@example.org.")
    assert [each.type for each in looked.findings] == ["EMAIL"]
    assert "names" not in dict(looked.versions)


def test_a_name_is_found_where_it_was_hidden_and_placed_where_it_stands() -> None:
    hidden = base64.b64encode(b"Please ask Jane Miller about it").decode()
    text = f"See {hidden}."
    marks = Marks("Jane")
    (found,) = look(text, marker=marks).findings
    assert (found.type, found.detector) == ("PERSON", "names")
    start, end = (found.start - 4) // 4 * 4, -(-(found.end - 4) // 4) * 4  # four letters hold three bytes
    shown = base64.b64decode(hidden[start:end])
    assert b"Jane Miller" in shown
    assert len(shown) <= len("Jane Miller") + 4
    assert marks.asked == [text, "Please ask Jane Miller about it"]


def test_the_model_does_not_read_again_what_only_looks_different() -> None:
    marks = Marks("Jane")
    look("Wait\u2026 and see\u00a0it.", marker=marks)
    assert len(marks.asked) == 1


def test_what_is_not_decoded_is_said() -> None:
    packed = "jane@example.org"
    for _ in range(5):
        packed = base64.b64encode(packed.encode()).decode()
    assert look(packed).missed


def test_a_part_in_another_language_is_missed_where_names_are_asked_for() -> None:
    text = "Добрый день, меня зовут Иван Петров и я живу в Казани, jane@example.org"
    looked = look(text, marker=Marks("Jane"), model="m")
    assert (
        looked.missed == "names were not looked for in a language that is not one of en, de, es, fr (Cyrillic script)"
    )
    assert [each.type for each in looked.findings] == ["EMAIL"]
    assert not look(text).missed


def test_a_part_in_another_language_is_missed_where_it_is_hidden() -> None:
    hidden = base64.b64encode("Добрый день, меня зовут Иван Петров и я живу в Казани".encode()).decode()
    assert "Cyrillic" in look(f"See {hidden}.", marker=Marks("Jane")).missed


def test_a_name_in_another_script_is_one() -> None:
    text = "Kunde: Иван Петров, Berlin"
    (found,) = look(text, marker=Marks("Jane")).findings
    assert (text[found.start : found.end], found.type, found.kind) == ("Иван Петров", "PERSON", "pii")
