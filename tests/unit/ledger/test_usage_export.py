"""Exports of providers: every form, what they count differently, and what is no export."""

from __future__ import annotations

import json

import pytest

from freehold.ledger.usage_export import Export, Used, read_export


def used(model: str, requests: int, input_tokens: int, cached: int, output: int) -> Used:
    return Used(model=model, requests=requests, input_tokens=input_tokens, cached_tokens=cached, output_tokens=output)


def test_openai_as_csv() -> None:
    text = (
        "start_time,start_time_iso,model,num_model_requests,input_tokens,input_cached_tokens,output_tokens\n"
        "1767225600,2026-01-01T00:00:00+00:00,gpt-x,10,1000,400,200\n"
        "1767312000,2026-01-02T00:00:00+00:00,gpt-x,5,500,0,100\n"
        "1767312000,2026-01-02T00:00:00+00:00,gpt-y,1,9000,0,1\n"
    )
    assert read_export(text) == Export(used=(used("gpt-y", 1, 9_000, 0, 1), used("gpt-x", 15, 1_500, 400, 300)), days=2)


def test_anthropic_as_csv_counts_the_cache_apart() -> None:
    text = (
        "\ufeffusage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-01-01,claude-x,100,20,5,300,50\n"
    )
    assert read_export(text) == Export(used=(used("claude-x", 0, 425, 300, 50),), days=1)


def test_openai_as_json() -> None:
    document = {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": 1_767_225_600,
                "results": [
                    {
                        "model": "gpt-x",
                        "input_tokens": 10,
                        "input_cached_tokens": 4,
                        "output_tokens": 2,
                        "num_model_requests": 1,
                    },
                ],
            },
            {"object": "bucket", "start_time": 1_767_312_000, "results": []},
        ],
    }
    expected = Export(used=(used("gpt-x", 1, 10, 4, 2),), days=2)
    assert read_export(json.dumps(document)) == expected, "a day without use is one, too"
    assert read_export("\ufeff" + json.dumps(document)) == expected


def test_hours_are_no_days_and_a_week_end_is_part_of_a_week() -> None:
    """Five days of 24 buckets, then two without a row, then one more: what was used in eight days."""
    starts = [1_767_225_600 + 3_600 * hour for hour in range(5 * 24)] + [1_767_225_600 + 7 * 86_400]
    rows = [{"start_time": each, "input_tokens": 1, "output_tokens": 1} for each in starts]
    assert read_export(json.dumps(rows)).days == 8
    assert read_export(json.dumps([{**row, "start_time": 1_000 * row["start_time"]} for row in rows])).days == 8
    days = [f"2026-01-{day:02},1,1" for day in (2, 5, 9)]
    assert read_export("\n".join(["date,input_tokens,output_tokens", *days])).days == 8


@pytest.mark.parametrize(
    ("days", "count"),
    [(("1/2/26", "1/2/26", "1/3/26"), 2), (("2026-13-45",), 1), (("1e300", "-4", ""), 2), (("nan",), 1)],
)
def test_days_of_a_form_that_nobody_knows_are_counted(days: tuple[str, ...], count: int) -> None:
    assert read_export("\n".join(["date,input_tokens,output_tokens", *(f"{day},1,1" for day in days)])).days == count


def test_anthropic_as_json() -> None:
    result = {
        "uncached_input_tokens": 100,
        "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 20},
        "cache_read_input_tokens": 300,
        "output_tokens": 50,
        "model": None,
    }
    document = {"data": [{"starting_at": "2026-01-01T00:00:00Z", "results": [result]}], "has_more": False}
    assert read_export(json.dumps(document)) == Export(used=(used("all models", 0, 425, 300, 50),), days=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no column"),
        ("a,b\n1,2\n", "no column"),
        ("{", "no JSON"),
        ("[]", "nothing in it"),
        ('{"data": [{"results": [{"amount": {"value": 3}}]}]}', "nothing in it"),
        ("input_tokens,output_tokens\nmany,1\n", "no number"),
        ("input_tokens,output_tokens\n-5,1\n", "no count"),
        ("input_tokens,output_tokens\n1.5,1\n", "no count"),
        ("input_tokens,output_tokens\nnan,1\n", "no count"),
        ("input_tokens,input_cached_tokens,output_tokens\n5,6,1\n", "cached"),
        ("date,input_tokens,output_tokens\n2026-01-01,5\n", "line 2 has 2 cells, the head has 3"),
        ("date,input_tokens,output_tokens\n2026-01-01,5,1,7\n", "line 2 has 4 cells, the head has 3"),
        ('date,input_tokens,output_tokens\n2026-01-01,5,1\n"2026-01-02,5,1\n', "line 3 is broken"),
        ("date,input_tokens,output_tokens\n2026-01-01," + "5" * 200_000 + ",1\n", "line 2 is broken"),
        ("input_tokens,output_tokens\n5,1\n", "of which days"),
        ('{"data": [{"results": [{"input_tokens": [], "output_tokens": 5}]}]}', "no number"),
        ('{"data": [{"results": [{"input_tokens": {}, "output_tokens": 5}]}]}', "no number"),
        ('{"data": [{"results": [{"input_tokens": 1' + "0" * 400 + "}]}]}", "no number"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_export(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_export(text)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheet_saved_it_with_its_own_delimiter(delimiter: str) -> None:
    rows = ["date,model,input_tokens,output_tokens", '2026-01-01,"a,b",5,1', "2026-01-02,c,7,2,", "", ",,,"]
    with_commas = "\n".join(row.replace(",", delimiter) for row in rows).replace(f"a{delimiter}b", "a,b")
    assert read_export(with_commas) == Export(used=(used("c", 0, 7, 0, 2), used("a,b", 0, 5, 0, 1)), days=2)


def test_a_deep_document_ends() -> None:
    document: object = {"input_tokens": 1, "output_tokens": 1}
    for _ in range(100):
        document = [document]
    with pytest.raises(ValueError, match="nothing in it"):
        read_export(json.dumps(document))
