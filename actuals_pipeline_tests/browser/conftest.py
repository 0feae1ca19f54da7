"""What the tests of our pages ask for: one Chromium a file, and pages that must not complain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from actuals_pipeline_tests.browser import chromium

Open = Callable[..., Page]
"""What the fixture `open_page` is: options of a profile in, an empty page out."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for a file's tests: its driver must not outlive them in the worker's thread."""
    program = chromium.found()
    if program is None:
        # Where everything must be proven, nothing may be left out.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(chromium.MISSING)
    with chromium.started(program) as started:
        yield started


@pytest.fixture(scope="module")
def known_complaints() -> Sequence[str]:
    """Expressions of complaints that a file's pages may make, because they are not ours to mend."""
    return ()


@pytest.fixture
def open_page(browser: Browser, known_complaints: Sequence[str]) -> Iterator[Open]:
    """Open a page: `open_page(color_scheme="dark")`; the test fails if any of them complains."""
    with ExitStack() as pages:

        def opened(**options: Any) -> Page:
            return pages.enter_context(chromium.watched(browser, known_complaints, **options))

        yield opened


@pytest.fixture
def page(open_page: Open) -> Page:
    """A page in a profile as it comes."""
    return open_page()
