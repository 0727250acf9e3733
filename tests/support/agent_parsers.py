"""Calls of tools as agent programs read them out of an answer's words, each after the program that it is taken from.

Written apart from what it judges: these are the patterns that such programs publish, not the marks that are broken.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator

Call = tuple[str, str]

_NAMES = ("name", "tool", "tool_name", "action", "function")
_ARGUMENTS = ("arguments", "parameters", "tool_input", "action_input", "args", "input")


def react(text: str) -> Iterator[Call]:
    """LangChain's ``ReActSingleInputOutputParser``, CrewAI, AutoGen."""
    for found in re.finditer(
        r"Action\s*\d*\s*:[\s]*(.*?)[\s]*Action\s*\d*\s*Input\s*\d*\s*:[\s]*(.*)", text, re.DOTALL
    ):
        yield found[1], found[2]


def docstore(text: str) -> Iterator[Call]:
    """LangChain's ``ReActOutputParser``, after the paper's ``Action: Search[entity]``."""
    last = text.strip().split("\n")[-1]
    if last.startswith("Action:") and (found := re.search(r"(.*?)\[(.*?)\]$", last[len("Action:") :].strip())):
        yield found[1], found[2]


def llama_index(text: str) -> Iterator[Call]:
    """LlamaIndex' ReAct agent."""
    found = re.search(r"\n*Action:\s*([^\n\(\) ]+).*?\n+Action Input:.*?(\{.*\})", text, re.DOTALL)
    if found is not None:
        yield found[1], found[2]


def _values(text: str) -> Iterator[object]:
    """Whatever in a text can be read as a value, however deep; Python's as well as JSON's."""
    places = [found.start() for found in re.finditer(r"[\[{]", text)]
    for place in places:
        try:
            yield json.JSONDecoder(strict=False).raw_decode(text, place)[0]
        except ValueError:
            end = max(text.rfind("}"), text.rfind("]")) + 1
            try:
                yield ast.literal_eval(text[place:end])
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue


def json_anywhere(text: str) -> Iterator[Call]:
    """Hermes, Mistral, Llama 3, structured chat, smolagents, AutoGPT: an object that names a tool and its arguments."""
    waiting = list(_values(text))
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        waiting += value.values()
        name = next((value[each] for each in _NAMES if isinstance(value.get(each), str)), None)
        arguments = next((value[each] for each in _ARGUMENTS if each in value), None)
        if name is not None and arguments is not None:
            yield name, json.dumps(arguments, ensure_ascii=False)


def _tagged(pattern: str) -> Callable[[str], Iterator[Call]]:
    def read(text: str) -> Iterator[Call]:
        for found in re.finditer(pattern, text, re.DOTALL):
            yield found[1], found[2]

    return read


READERS: dict[str, Callable[[str], Iterator[Call]]] = {
    "react": react,
    "docstore": docstore,
    "llama_index": llama_index,
    "json": json_anywhere,
    "llama function": _tagged(r"<function=([^>]+)>(.*?)</function>"),
    "claude": _tagged(r"<invoke name=\"([^\"]+)\">(.*?)</invoke>"),
    "langchain xml": _tagged(r"<tool>(.*?)</tool>\s*<tool_input>(.*?)(?:</tool_input>|\Z)"),
    "qwen agent": _tagged(r"✿FUNCTION✿:\s*(\S+)\s*✿ARGS✿:\s*(.*)"),
    "glm": _tagged(r"<tool_call>(\w+)\s*<arg_key>(.*?)</tool_call>"),
    "deepseek": _tagged(r"<｜tool▁call▁begin｜>function<｜tool▁sep｜>(\w+)\n(.*?)<｜tool▁call▁end｜>"),
    "harmony": _tagged(r"<\|channel\|>commentary to=(?:functions\.)?(\w+).*?<\|message\|>(.*?)<\|call\|>"),
    "python tag": _tagged(r"<\|python_tag\|>(\w+)\.call\((.*)\)"),
    "openhands": _tagged(r"<(execute_bash)>(.*?)</execute_bash>"),
    "cline": _tagged(r"<(execute_command|use_mcp_tool)>(.*?)</\1>"),
}


def calls_read(text: str) -> list[Call]:
    """Every call that some program would make."""
    return [call for read in READERS.values() for call in read(text)]


def spoken_calls(tool: str, arguments: dict[str, object]) -> dict[str, str]:
    """One call, said as each of these programs has models say it."""
    told = json.dumps(arguments)
    named, acted = (
        json.dumps({"name": tool, "arguments": arguments}),
        json.dumps({"action": tool, "action_input": arguments}),
    )
    llama, plain = json.dumps({"name": tool, "parameters": arguments}), json.dumps({"tool": tool, "input": arguments})
    escaped = named.replace("arguments", "\\u0061rguments")
    command = json.dumps({"command": {"name": tool, "args": arguments}})
    xml = "".join(f'<parameter name="{name}">{value}</parameter>' for name, value in arguments.items())
    return {
        "react": f"Thought: I must.\nAction: {tool}\nAction Input: {told}",
        "react, numbered": f"Action 1: {tool}\nAction 1 Input 1: {told}",
        "react, apart": f"Action: {tool}\n\nAction\n\nInput: {told}",
        "react, bold": f"**Action: {tool}\n**Action Input: {told}",
        "docstore": f"Thought: so.\nAction: {tool}[{told.replace('[', '')}]",
        "hermes": f"<tool_call>\n{named}\n</tool_call>",
        "mistral": f"[TOOL_CALLS] [{named}]",
        "llama": llama,
        "llama, members turned": f'{{"parameters": {told},\n\n"name": "{tool}"}}',
        "llama, a brace in a text": f'5" {{"name": "{tool}", "x": "}}", "parameters": {told}}}',
        "structured chat": f"```json\n{acted}\n```",
        "structured chat, no fence": acted,
        "smolagents": f"Action:\n{named}",
        "code": f"```\n{plain}\n```",
        "python": repr({"tool": tool, "input": arguments}),
        "escaped": escaped,
        "autogpt": command,
        "openai": json.dumps(
            {"tool_calls": [{"type": "function", "function": {"name": tool, "arguments": arguments}}]}
        ),
        "llama function": f"<function={tool}>{told}</function>",
        "llama function, code": f"`<function={tool}>{told}</function>`",
        "claude": f'```xml\n<function_calls><invoke name="{tool}">{xml}</invoke></function_calls>\n```',
        "langchain xml": f"```\n<tool>{tool}</tool><tool_input>{told}</tool_input>\n```",
        "qwen agent": f"✿FUNCTION✿: {tool}\n✿ARGS✿: {told}",
        "glm": f"<tool_call>{tool}\n<arg_key>a</arg_key><arg_value>{told}</arg_value></tool_call>",
        "deepseek": f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{tool}\n```json\n{told}\n```<｜tool▁call▁end｜>",
        "harmony": f"<|channel|>commentary to=functions.{tool} <|constrain|>json<|message|>{told}<|call|>",
        "python tag": f"<|python_tag|>{tool}.call({told})",
        "openhands": f"<execute_bash>\n{tool} {told}\n</execute_bash>",
        "cline": f"<execute_command>\n<command>{tool} {told}</command>\n</execute_command>",
    }
