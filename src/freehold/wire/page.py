"""The beginning of a page of HTML that needs nothing else: a policy that lets it load and run nothing, and its style."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape


def page_head(title: str, style: str) -> str:
    """All of a page before its body.

    Args:
        title: What it is called, as text.
        style: The one style sheet that its policy allows, by its digest.
    """
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{style}</style>
</head>"""
