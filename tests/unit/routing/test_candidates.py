from dataclasses import replace

import pytest

from freehold.domain.request import InferenceRequest, PartKind, Ranking, Task, Tool, ToolChoice
from freehold.routing.candidates import prompt_tokens_at_least, unable_reason
from tests.support.routing import chat, deployment

TEXT = deployment("text", tools=False)
TOOLS = (Tool(name="f"),)
EMBED = InferenceRequest(id="r", task=Task.EMBEDDING, model="e", inputs=("short", "x" * 800))
RERANK = replace(EMBED, task=Task.RERANK, ranking=Ranking(query="q" * 80))
INFILL = InferenceRequest(id="r", task=Task.COMPLETION, model="c", prompt="def f(", suffix="return 1")


@pytest.mark.parametrize(
    ("request_", "where", "reason"),
    [
        (chat(), TEXT, ""),
        (chat("Hi", PartKind.IMAGE), TEXT, "images (it reads only text)"),
        (chat("Hi", PartKind.AUDIO), TEXT, "audio (it reads only text)"),
        (chat("Hi", PartKind.FILE), TEXT, "files (it reads only text)"),
        (chat("Hi", PartKind.IMAGE), deployment("v", vision=True), ""),
        (chat(tools=TOOLS), TEXT, "tools (it has none)"),
        (chat(tools=TOOLS, tool_choice=ToolChoice.NONE), TEXT, ""),
        (chat(tools=TOOLS), deployment("t", tools=True), ""),
        (EMBED, TEXT, "embedding requests (it answers in text)"),
        (EMBED, deployment("e", embeds=True), ""),
        (chat(), deployment("e", embeds=True), "chat requests (it serves embeddings only)"),
        (EMBED, deployment("e", embeds=True, context_tokens=99), "a prompt of at least 100 tokens (its context is 99)"),
        (replace(EMBED, cuts=True), deployment("e", embeds=True, context_tokens=99), ""),
        (RERANK, TEXT, "rerank requests (it answers in text)"),
        (RERANK, deployment("e", embeds=True), "rerank requests (it serves embeddings only)"),
        (RERANK, deployment("r", reranks=True), ""),
        (RERANK, deployment("r", embeds=True, reranks=True), ""),
        (
            RERANK,
            deployment("r", reranks=True, context_tokens=99),
            "a prompt of at least 110 tokens (its context is 99)",
        ),
        (replace(RERANK, cuts=True), deployment("r", reranks=True, context_tokens=99), ""),
        (
            replace(RERANK, ranking=Ranking(query="q", document_tokens_max=50)),
            deployment("r", reranks=True, context_tokens=99),
            "",
        ),
        (EMBED, deployment("r", reranks=True), "embedding requests (it serves rerankings only)"),
        (EMBED, deployment("r", embeds=True, reranks=True), ""),
        (chat(), deployment("r", reranks=True), "chat requests (it serves rerankings only)"),
        (
            chat(),
            deployment("r", embeds=True, reranks=True),
            "chat requests (it serves embeddings and rerankings only)",
        ),
        (INFILL, TEXT, "a suffix (it cannot fill in the middle)"),
        (INFILL, deployment("f", infill=True), ""),
        (
            chat("x" * 8 * 101),
            deployment("s", context_tokens=100),
            "a prompt of at least 101 tokens (its context is 100)",
        ),
        (chat("x" * 8 * 100), deployment("s", context_tokens=100), ""),
    ],
)
def test_only_what_clearly_cannot_work_is_turned_away(request_, where, reason):
    assert unable_reason(request_, where) == reason


def test_length_is_a_lower_bound_counted_in_bytes():
    assert prompt_tokens_at_least(chat("ä" * 40)) == 10
    assert prompt_tokens_at_least(EMBED) == 100, "each input stands alone"
    assert prompt_tokens_at_least(InferenceRequest(id="r", task=Task.EMBEDDING, model="e")) == 0


def test_an_image_in_the_body_does_not_count_as_text():
    request = chat("What is this?", PartKind.IMAGE, fields={"messages": b"x" * 1_000_000})
    assert unable_reason(request, deployment("v", vision=True)) == ""
