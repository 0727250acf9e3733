"""What the demo asks: questions of different kinds, none of them one that a calibration was fitted or checked on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question.

    Attributes:
        kind: What kind of question it is.
        text: The question.
        expected: A text that a right answer holds, lower case; empty where the demo only shows the answer.
        options: Further members of the call.
    """

    kind: str
    text: str
    expected: str = ""
    options: dict[str, Any] = field(default_factory=dict[str, Any])


_CITY = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
            "required": ["city", "country"],
            "additionalProperties": False,
        },
    },
}
_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

ASKS = (
    Ask(kind="fact", text="What is the capital of France? One word.", expected="paris"),
    Ask(kind="fact", text="What is the capital of Australia? One word.", expected="canberra"),
    Ask(kind="fact", text="What is the capital of Austria?", expected="vienna"),
    Ask(kind="arithmetic", text="What is 17 + 26? Number only.", expected="43"),
    Ask(kind="percentage", text="What is 15% of 200? Number only.", expected="30"),
    Ask(
        kind="sentiment",
        text="Sentiment (positive or negative): 'Absolutely love this product!' One word.",
        expected="positive",
    ),
    Ask(
        kind="topic",
        text="Topic (billing, technical or shipping): 'My router loses its connection every evening.' One word.",
        expected="technical",
    ),
    Ask(
        kind="spam",
        text="Is this spam (yes or no): 'Final notice: pay a small fee to claim your inheritance.' One word.",
        expected="yes",
    ),
    Ask(kind="language", text="Language of this text (one word): 'Il treno parte alle otto.'", expected="italian"),
    Ask(kind="translation", text="Translate to French, one word: bridge", expected="pont"),
    Ask(
        kind="extraction",
        text="Extract only the email address: 'Reach Ann at ann.lee@corp.com or by phone.'",
        expected="ann.lee@corp.com",
    ),
    Ask(
        kind="reading",
        text="Context: Alice manages Bob. Bob manages Carol. Question: who manages Carol? One word.",
        expected="bob",
    ),
    Ask(kind="SQL", text="Which SQL clause sorts the rows of a SELECT? Two words.", expected="order by"),
    Ask(
        kind="JSON schema",
        text="Describe Tokyo as JSON with its city and country.",
        expected='"japan"',
        options={"response_format": _CITY, "max_tokens": 60},
    ),
    Ask(
        kind="tool call",
        text="What is the weather in Oslo?",
        expected="oslo",
        options={"tools": [_WEATHER], "tool_choice": "required", "max_tokens": 60},
    ),
)
