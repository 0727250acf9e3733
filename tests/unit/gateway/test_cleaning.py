"""What of an answer's events is passed on, beside its texts, where values are looked for."""

from __future__ import annotations

from freehold.domain.response import Usage
from freehold.gateway.cleaning import Channels, Cleaning
from freehold.policy.answer_redactor import keeps_nothing
from freehold.policy.links import Hosts

REDACTING = Cleaning(hosts=None, is_json=False, keeps=keeps_nothing)
MAIL = "jane.doe@example.com"


def test_texts_of_the_head_are_cleaned_and_usage_is_written_anew() -> None:
    channels = Channels(REDACTING)
    given = {"id": MAIL, "created": 17, "model": "m", "service_tier": None, "usage": {"note": MAIL}}
    head = channels.head(given, Usage(input_tokens=3, output_tokens=4))
    assert (head["id"], head["created"], head["model"]) == ("[EMAIL]", 17, "m")
    assert head["usage"]["total_tokens"] == 7
    assert MAIL not in str(head)
    assert channels.removed == {"EMAIL": 1}


def test_a_head_that_does_not_change_is_cleaned_once() -> None:
    channels = Channels(REDACTING)
    heads = [channels.head({"id": each}, None) for each in (MAIL, MAIL, "x", MAIL)]
    assert [each["id"] for each in heads] == ["[EMAIL]", "[EMAIL]", "x", "[EMAIL]"]
    assert channels.removed == {"EMAIL": 2}


def test_where_nothing_is_looked_for_the_head_is_as_it_came() -> None:
    given = {"id": MAIL, "usage": {"note": MAIL}, "service_tier": None}
    for cleaning in (None, Cleaning(hosts=Hosts(), is_json=False)):
        channels = Channels(cleaning)
        assert channels.head(given, None) == given
        assert channels.words(MAIL) == MAIL
        assert channels.arguments(f'{{"to": "{MAIL}"}}') == f'{{"to": "{MAIL}"}}'


def test_a_role_carries_nothing() -> None:
    assert list(Channels(REDACTING).feed({"role": MAIL})) == [{"role": "assistant"}]


def test_every_text_has_its_own_values() -> None:
    channels = Channels(REDACTING)
    told = [
        *channels.feed({"reasoning_content": f"think {MAIL}"}),
        *channels.feed({"content": f"say {MAIL}", "refusal": "no 914-27-6083"}),
        *channels.close(),
    ]
    texts = {name: "".join(each.get(name, "") for each in told) for name in ("reasoning_content", "content", "refusal")}
    assert texts == {"reasoning_content": "think [EMAIL]", "content": "say [EMAIL]", "refusal": "no [SSN]"}
    assert channels.removed == {"EMAIL": 2, "SSN": 1}


def test_values_go_before_links_are_looked_at() -> None:
    channels = Channels(Cleaning(hosts=Hosts(), is_json=False, keeps=keeps_nothing))
    said = f"See [it](https://evil.test/?{MAIL}) and ![x](https://evil.test/914-27-6083)."
    told = "".join(each["content"] for each in (*channels.feed({"content": said}), *channels.close()))
    assert MAIL not in told
    assert "914-27" not in told
    assert "evil[.]test" in told
    assert channels.removed["SSN"] == 1


def test_an_answer_in_json_is_cleaned_of_values_and_links() -> None:
    channels = Channels(Cleaning(hosts=Hosts(), is_json=True, keeps=keeps_nothing))
    assert list(channels.feed({"content": '{"to": "jane.doe@exam'})) == []
    assert list(channels.feed({"content": 'ple.com", "n": 1}'})) == []
    assert list(channels.close()) == [{"content": '{"to": "[EMAIL]", "n": 1}'}]
