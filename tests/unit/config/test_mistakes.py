"""Every mistake at once, each with its line: one file a case, the text above the rule and what is said of it below."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.config.load import load
from freehold.domain.errors.config import ConfigInvalid
from freehold.policy.text import parse_label

CASES = sorted((Path(__file__).parents[2] / "golden" / "config" / "mistakes").glob("*.case"))
RULE = "----------\n"


def mistakes_of(text: str, folder: Path) -> tuple[str, ...]:
    file = folder / "freehold.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load(file, environment={}, check_label=parse_label)
    return caught.value.mistakes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_golden(case: Path, tmp_path: Path) -> None:
    text, _, expected = case.read_text("utf-8").partition(RULE)
    said = "".join(f"{line}\n" for line in mistakes_of(text, tmp_path))
    if os.environ.get("FREEHOLD_GOLDEN") == "write":
        case.write_text(text + RULE + said, encoding="utf-8")
        expected = said
    assert said == expected


def test_a_pasted_secret_is_not_repeated(tmp_path: Path) -> None:
    text = '[deployments.x]\nengine = "openai"\nmodel = "m"\nzone = "world"\n'
    pasted = mistakes_of(f'{text}base_url = "https://a.example"\napi_key = "sk-live-42"\n', tmp_path)
    assert len(pasted) == 1
    assert "sk-live" not in pasted[0]
    in_address = mistakes_of(f'{text}base_url = "https://u:sk-live-42@a.example"\n', tmp_path)
    assert len(in_address) == 1
    assert "sk-live" not in in_address[0]


def test_a_byte_that_is_not_utf8_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_bytes(b'[server]\nhost = "\xff"\n')
    with pytest.raises(ConfigInvalid) as caught:
        load(file, environment={})
    assert caught.value.mistakes == ("line 2: the byte 0xff is not UTF-8",)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\nport = 1\n")
    assert load(file, environment={}).config.server.port == 1


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text("[server]\nport = 1\n", encoding="utf-8")
    variables = {"FREEHOLD_SERVER__PROT": "2", "FREEHOLD_SERVER__DRAIN_S": "soon"}
    with pytest.raises(ConfigInvalid) as caught:
        load(file, environment=variables, flags={"server.port": 70_000})
    assert caught.value.mistakes == (
        "environment FREEHOLD_SERVER__DRAIN_S: server.drain_s: 'soon': it must be a whole number, 0 to 600",
        "flag: server.port: 70000: it must be at most 65535",
        "environment FREEHOLD_SERVER__PROT: server.prot: there is no such setting; did you mean 'port'?",
    )


def test_the_message_names_file_and_number(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text("[server]\nport = -1\nprot = 1\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid, match=r"has mistakes \(2\)") as caught:
        load(file, environment={})
    assert "Nothing was changed" in caught.value.message
