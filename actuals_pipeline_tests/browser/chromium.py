"""The system's Chromium, and pages of it that may neither complain nor leave this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

MISSING = (
    "No Chromium is installed, which the tests of the pages drive: as root, run "
    "`apt-get install chromium fonts-liberation`."
)

MOST_MILLISECONDS = 15_000
"""For which any step may wait: a machine that others use as well is slow at times."""

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
_ON_THE_NETWORK = frozenset({"http", "https", "ws", "wss"})

# Of other hosts no name is looked up, so that a page which asks for one is told and not answered.
_ARGUMENTS = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",)


def found() -> Path | None:
    """The program, or None where there is none; nothing is ever downloaded."""
    paths = (shutil.which(name) for name in PROGRAMS)
    return next((Path(path) for path in paths if path), None)


@contextmanager
def started(program: Path) -> Iterator[Browser]:
    """A browser without a window.

    Its driver lends this thread an event loop until the block ends: no `asyncio.run` meanwhile.
    """
    expect.set_options(timeout=MOST_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, known: Sequence[str] = (), **options: Any) -> Iterator[Page]:
    """A page in a profile of its own; an `AssertionError` in the end for whatever went wrong.

    Wrong is an error in the console, one that no script caught, or a request beyond this machine.
    `known` are expressions of the complaints that are not ours to mend; `options` are those of
    `Browser.new_context`, such as `color_scheme="dark"`.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(MOST_MILLISECONDS)
    complaints = _complaints(context)
    try:
        yield context.new_page()
    finally:
        context.close()
    unknown = [each for each in complaints if not any(re.search(one, each) for one in known)]
    assert not unknown, "\n".join(unknown)


def _complaints(context: BrowserContext) -> list[str]:
    """What goes wrong in the context's pages, added as it happens."""
    told: list[str] = []

    def asked(url: str) -> None:
        address = urlsplit(url)
        if address.scheme in _ON_THE_NETWORK and address.hostname not in _HERE:
            told.append(f"asked {url}")

    def opened(page: Page) -> None:
        page.on("websocket", lambda socket: asked(socket.url))

    context.on("page", opened)
    context.on("request", lambda request: asked(request.url))
    context.on("weberror", lambda error: told.append(f"uncaught: {error.error}"))
    context.on(
        "console",
        lambda line: told.append(f"console: {line.text}") if line.type == "error" else None,
    )
    return told


def accessibility_violations(page: Page, *, inside: str | None = None) -> list[str]:
    """What axe-core finds wrong: the rule, what it asks for, and where.

    `inside` is a selector of the part to be audited.
    """
    page.evaluate(AXE_FILE_PATH.read_text("utf-8"))
    run = "inside => axe.run(inside || document, { resultTypes: ['violations'] })"
    result = page.evaluate(run, inside)
    return [
        f"{each['id']}: {each['help']}: {node['target']} {node['html'][:200]} "
        f"{node['failureSummary']}"
        for each in result["violations"]
        for node in each["nodes"]
    ]
