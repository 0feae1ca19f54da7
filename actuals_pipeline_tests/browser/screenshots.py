"""The documentation's pictures, taken of the demonstration in a browser.

    python -m actuals_pipeline_tests.browser.screenshots [--out FOLDER]

Takes about two minutes: it makes the demonstration anew, in a home of its own that it removes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import click
from playwright.sync_api import Browser, Page, expect

from actuals_pipeline.serving import demo
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import embedded
from actuals_pipeline_tests.browser import chromium
from actuals_pipeline_tests.serving.http.conftest import serving

DAYS = 60

WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 1180}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True,
}  # fmt: skip

Take = Callable[[Page], None]
"""What is done on a page before its picture is taken."""


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    default=PROJECT_ROOT / "docs" / "images",
    show_default=True,
    help="Where the pictures go.",
)
def main(out: Path) -> None:
    """Take the pictures."""
    program = chromium.found()
    if program is None:
        raise click.ClickException(chromium.MISSING)
    out.mkdir(parents=True, exist_ok=True)
    with demonstration() as page_address, chromium.started(program) as browser:
        for name, taken in report_pictures(browser, page_address):
            (out / f"{name}.png").write_bytes(taken)
            click.echo(f"{len(taken) / 1000:6.0f} kB  {out / name}.png")


@contextmanager
def demonstration() -> Iterator[str]:
    """The address of the demonstration's page, in a home that goes with it."""
    with tempfile.TemporaryDirectory(prefix="actuals-pictures-") as folder, chdir(folder):
        # Reachable for the account of the database, which is not the superuser's.
        Path(folder).chmod(0o711)
        os.environ["ACTUALS_HOME"] = folder
        try:
            with demo.world(DAYS) as shown:
                installation = shown.installation
                environment = {
                    **installation.environment,
                    "DATABASE_URL": installation.database_url,
                }
                with serving(environment) as api:
                    yield f"{api.url}/"
        finally:
            embedded.stop(Path(folder) / "demo")


def report_pictures(browser: Browser, address: str) -> Iterator[tuple[str, bytes]]:
    """The report's page: its beginning in light, dark and on a phone, and an ad's story."""
    for name, options, prepare in (
        ("report-light", WIDE, _beginning),
        ("report-dark", WIDE | {"color_scheme": "dark"}, _beginning),
        ("report-phone", PHONE, _first_figures),
        ("report-ad", WIDE, _story),
    ):
        with chromium.watched(browser, **options) as page:
            page.goto(address)
            prepare(page)
            yield name, page.screenshot()


def _beginning(page: Page) -> None:
    expect(page.locator("[data-chart=spend] svg")).to_be_attached()


def _first_figures(page: Page) -> None:
    expect(page.locator("#filters:not([hidden])")).to_be_attached()


def _story(page: Page) -> None:
    page.get_by_label("Find").fill("Hook A")
    page.get_by_role("button", name=re.compile("Hook A")).first.click()
    expect(page.locator("#story pre")).to_be_attached()


if __name__ == "__main__":
    main()
