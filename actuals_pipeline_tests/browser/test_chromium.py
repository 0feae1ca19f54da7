"""A page that complains, or asks another machine, fails its test; axe-core sees what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from playwright.sync_api import Browser, Page

from actuals_pipeline_tests.browser import chromium

GOOD = "<!doctype html><html lang=en><title>Figures</title><main><h1>Figures</h1></main>"


def show(browser: Browser, script: str, known: Sequence[str] = ()) -> None:
    """A page with this script, for as long as it takes to complain."""
    with chromium.watched(browser, known) as page:
        page.set_content(f"{GOOD}<script>{script}</script>")
        page.wait_for_timeout(200)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('no figures')", "console: no figures"),
        ("setTimeout(() => { throw new Error('broken') })", "uncaught: broken"),
        ("fetch('https://elsewhere.example/figures').catch(() => {})", "asked https://elsewhere"),
        ("new WebSocket('wss://elsewhere.example/live')", "asked wss://elsewhere"),
    ],
)
def test_a_page_that_goes_wrong_fails_its_test(
    browser: Browser, script: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        show(browser, script)


def test_only_known_complaints_are_put_up_with(browser: Browser) -> None:
    with pytest.raises(AssertionError, match=r"\Aconsole: other\Z"):
        show(browser, "console.error('old news'); console.error('other')", ["old news"])


def test_axe_core_tells_what_cannot_be_read(page: Page) -> None:
    page.set_content(GOOD)
    assert chromium.accessibility_violations(page) == []
    page.set_content(f"{GOOD}<main><p style='color:#ccc'>pale</p><img src='data:,'></main>")
    (pale,) = (
        each
        for each in chromium.accessibility_violations(page, inside="p")
        if each.startswith("color-contrast")
    )
    assert "pale" in pale
    rules = {each.partition(":")[0] for each in chromium.accessibility_violations(page)}
    assert "image-alt" in rules
