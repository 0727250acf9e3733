"""Simon Willison's ``llm``: the command line first, since that is what people use, then its Python side."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, case, left, main, raises

FOLDER = Path.home() / "llm"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
}
TOOL = """
def weather(city: str) -> str:
    "Tells the weather of a city."
    return {"Paris": "21 C", "Oslo": "9 C"}[city]
"""


def _entry(name: str, **more) -> str:
    members = {
        "model_id": f"at-home-{name}",
        "model_name": name,
        "api_base": f"{URL}/v1",
        "api_key_name": "freehold",
        "supports_schema": True,
        "supports_tools": True,
        **more,
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in members.items()]
    return "- " + "\n  ".join(lines) + "\n"


FOLDER.mkdir(parents=True, exist_ok=True)
(FOLDER / "extra-openai-models.yaml").write_text(
    "".join([_entry(name) for name in (MODEL, "nothing", "busy", "failing", "nowhere", "once")])
    + _entry("seeing", vision=True)
    + _entry("filling", completion=True)
)
(FOLDER / "keys.json").write_text(json.dumps({"freehold": KEY}))
os.environ["LLM_USER_PATH"] = str(FOLDER)

import llm  # noqa: E402 - it reads the folder when it is imported


def run(*words: str, text: str | None = None, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it."""
    return subprocess.run(
        [Path(sys.executable).parent / "llm", *words],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@case
def plain() -> None:
    done = run("-m", f"at-home-{MODEL}", "--no-stream", "hello")
    assert (done.returncode, done.stdout.strip()) == (0, TEXT), done.stderr


@case
def streaming() -> None:
    done = run("-m", f"at-home-{MODEL}", "-u", "hello")
    assert (done.returncode, done.stdout.strip()) == (0, TEXT), done.stderr
    assert "7 input, 6 output" in done.stderr, done.stderr
    pieces = list(llm.get_model(f"at-home-{MODEL}").prompt("hello", stream=True))
    assert "".join(pieces) == TEXT
    assert len(pieces) > 3


@case
def tools() -> None:
    """It calls them itself and sends the results."""
    done = run("-m", f"at-home-{MODEL}", "--functions", TOOL, "two-tools")
    assert (done.returncode, done.stdout.strip()) == (0, "The tools said: 21 C, 9 C"), done.stderr
    done = run("-m", f"at-home-{MODEL}", "--no-stream", "--functions", TOOL, "tools")
    assert (done.returncode, done.stdout.strip()) == (0, "The tools said: 21 C"), done.stderr


@case
def structured() -> None:
    done = run("-m", f"at-home-{MODEL}", "--schema", json.dumps(SCHEMA), "structured")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"city": "Paris", "degrees": 21}), done.stderr


@case
def continued() -> None:
    done = run("-m", f"at-home-{MODEL}", "hello")
    assert done.returncode == 0, done.stderr
    done = run("-c", "reasoning")
    assert (done.returncode, TEXT in done.stdout) == (0, True), done.stderr


@case
def text_completion() -> None:
    done = run("-m", "at-home-filling", "hello")
    assert (done.returncode, done.stdout.strip()) == (0, TEXT), done.stderr


@case
def images() -> None:
    picture = FOLDER / "pixel.png"
    picture.write_bytes(base64.b64decode(PIXEL))
    done = run("-m", "at-home-seeing", "-a", str(picture), "image")
    assert (done.returncode, done.stdout.strip()) == (0, "1 image: data:image/png;base64,"), done.stderr


@case
def without_configuration() -> None:
    done = run("openai", "endpoint", f"{URL}/v1", "hello", "-m", MODEL, "--key", KEY)
    assert (done.returncode, done.stdout.strip()) == (0, TEXT), done.stderr
    done = run("openai", "endpoint", f"{URL}/v1", "--models", "--key", KEY)
    assert MODEL in done.stdout.split(), done.stderr


@case
def errors() -> None:
    for key, words in (("fh-wrong", "key"), (KEY_WITHOUT_SCOPE, "infer")):
        done = run("-m", f"at-home-{MODEL}", "--key", key, "hello")
        assert done.returncode == 1
        assert words in done.stderr, done.stderr
    done = run("-m", "at-home-nothing", "hello")
    assert done.returncode == 1
    assert "There is no route, deployment or alias named 'nothing'" in done.stderr
    done = run("-m", f"at-home-{MODEL}", "-o", "temperature", "1.5", "context")
    assert (done.returncode, "12031" in done.stderr) == (1, True), done.stderr


@case
def errors_of_upstreams() -> None:
    for model, text, words in (("failing", "503-always", "no room"), ("nowhere", "hello", "nowhere")):
        done = run("-m", f"at-home-{model}", text)
        assert done.returncode == 1
        assert words in done.stderr, done.stderr


@case
def retries_wait_as_long_as_they_are_told() -> None:
    done = run("-m", "at-home-once", "429-once llm")
    assert (done.returncode, done.stdout.strip()) == (0, TEXT), done.stderr


@case
def a_stream_that_breaks_is_an_error() -> None:
    done = run("-m", f"at-home-{MODEL}", "error-event")
    assert done.returncode == 1, done.stdout
    assert "out of memory" in done.stderr


@case
def leaving_a_stream() -> dict:
    """Ctrl-C, which is how people leave."""
    program = [Path(sys.executable).parent / "llm", "-m", f"at-home-{MODEL}", "stall"]
    with subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.read(2) == TEXT[:2].encode()
        asked_s = time.monotonic()
        running.send_signal(signal.SIGINT)
        running.wait(20)
        return left(asked_s)


@case
async def asynchronous_calls() -> None:
    model = llm.get_async_model(f"at-home-{MODEL}")
    answers = await asyncio.gather(*(model.prompt("hello").text() for _ in range(3)))
    assert list(answers) == [TEXT] * 3
    pieces = [piece async for piece in model.prompt("hello", stream=True)]
    assert "".join(pieces) == TEXT
    with raises(Exception):
        await llm.get_async_model("at-home-nothing").prompt("hello").text()


if __name__ == "__main__":
    main()
