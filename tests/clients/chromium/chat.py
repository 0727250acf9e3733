"""Somebody at Open WebUI's page: ``chat.py BROWSER ADDRESS TEXT PICTURE``, with who signs in in ``SIGN_IN``.

It runs in the environment of Playwright. It prints one JSON object: the lines on the page, the answer as it stands in the
end, and how many states of it were seen on the way.
"""

from __future__ import annotations

import json
import os
import sys
import time

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
STEP_MS = 60_000
ANSWER_S = 90
ANSWER = "#response-content-container"


def main() -> None:
    """Sign in, type, press Enter, read."""
    browser, address, text, picture = sys.argv[1:]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        page = running.new_page(viewport={"width": 1100, "height": 750})
        page.set_default_timeout(STEP_MS)
        try:
            sign_in(page, address)
            page.locator("#chat-input").click()
            page.keyboard.type(text)
            page.keyboard.press("Enter")
            print(json.dumps(read(page)))
        finally:
            page.screenshot(path=picture)
            running.close()


def sign_in(page: Page, address: str) -> None:
    """As the one who signed up; what greets a newcomer is closed."""
    who = json.loads(os.environ["SIGN_IN"])
    page.goto(f"{address}/auth")
    page.locator("#email").fill(who["email"])
    page.locator("input[type=password]").first.fill(who["password"])
    page.locator("form button[type=submit]").click()
    page.wait_for_selector("#chat-input")
    greeting = page.get_by_text("Okay, Let's Go!")
    greeting.wait_for()
    greeting.click()


def read(page: Page) -> dict[str, object]:
    """The answer once it has ended: the page says so."""
    states: list[str] = []
    give_up_s = time.monotonic() + ANSWER_S
    while time.monotonic() < give_up_s:
        text = " ".join(page.locator(ANSWER).all_inner_texts()).strip()
        if text and text not in states:
            states.append(text)
        if states and page.get_by_text("Response complete").count():
            break
        page.wait_for_timeout(20)
    lines = page.locator("body").inner_text().splitlines()
    return {"lines": lines, "answer": states[-1] if states else "", "states": len(states)}


if __name__ == "__main__":
    main()
