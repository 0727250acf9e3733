"""Three things to paste: a terminal, a Python program, an editor."""

from __future__ import annotations

import shlex

from freehold.cli.first_run import ROUTE


def snippets(*, url: str, key_path: str, certificate: str = "") -> str:
    """The lines that ``freehold up`` prints once it listens.

    Args:
        url: Address of the server, without ``/v1``.
        key_path: File that holds the API key.
        certificate: PEM file to trust, where the server does TLS.
    """
    trust = f" --cacert {shlex.quote(certificate)}" if certificate else ""
    return f"""\
curl{trust} {url}/v1/chat/completions -H "Authorization: Bearer $(cat {shlex.quote(key_path)})" \\
  -d '{{"model": "{ROUTE}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

Python:
  from openai import OpenAI
  client = OpenAI(base_url={f"{url}/v1"!r}, api_key=open({key_path!r}).read().strip())
  messages = [{{"role": "user", "content": "Hello"}}]
  print(client.chat.completions.create(model="{ROUTE}", messages=messages).choices[0].message.content)

Editor (chat and fill-in-the-middle): base URL {url}/v1, model {ROUTE}, key from {key_path}"""
