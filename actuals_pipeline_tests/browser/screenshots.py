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
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import click
from playwright.sync_api import Browser, Page, expect

from actuals_pipeline.serving import demo
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import embedded
from actuals_pipeline_tests.browser import chromium
from actuals_pipeline_tests.serving.conftest import eventually
from actuals_pipeline_tests.serving.http.conftest import serving
from actuals_pipeline_tests.serving.up import started

DAYS = 60

SETTLING_MILLISECONDS = 3_000
"""After which Dagster's UI has asked for all that it shows."""

WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 1180}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True,
}  # fmt: skip

UI: dict[str, Any] = {"viewport": {"width": 1280, "height": 720}}

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
    with demonstration() as addresses, chromium.started(program) as browser:
        taken_of_both = chain(
            report_pictures(browser, addresses.page), ui_pictures(browser, addresses.ui)
        )
        for name, taken in taken_of_both:
            (out / f"{name}.png").write_bytes(taken)
            click.echo(f"{len(taken) / 1000:6.0f} kB  {out / name}.png")


class Addresses(NamedTuple):
    """Of the report's page and of Dagster's UI."""

    page: str
    ui: str


@contextmanager
def demonstration() -> Iterator[Addresses]:
    """Where the demonstration is shown, in a home that goes with it."""
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
                # Of its own, so that what `up` leaves behind is not the demonstration's database.
                home = Path(folder) / "up"
                home.mkdir()
                with (
                    serving(environment) as api,
                    started(environment | {"ACTUALS_HOME": str(home)}, home) as up,
                ):
                    eventually(up.answers, seconds=120)
                    yield Addresses(f"{api.url}/", f"http://127.0.0.1:{up.port}")
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


def ui_pictures(browser: Browser, address: str) -> Iterator[tuple[str, bytes]]:
    """Dagster's UI: what is made of what, an asset, its days, what must hold, and one ad."""
    today = datetime.now(UTC).date()
    for name, path, awaited in (
        ("dagster-lineage", "asset-groups", "accuracy"),
        ("dagster-asset", "assets/ad_actuals?view=overview", "One row is one ad's figures"),
        (
            "dagster-partitions",
            f"assets/raw_meta_insights?view=partitions&partition={today}",
            "fetches",
        ),
        ("dagster-checks", "assets/model_accuracy?view=checks", "Passed"),
        ("dagster-launchpad", "locations/actuals_pipeline/jobs/single_ad_job/playground", "ad_id"),
    ):
        with chromium.watched(browser, **UI) as page:
            page.goto(f"{address}/{path}")
            expect(page.get_by_text(awaited).first).to_be_visible()
            # What is asked for after the first answer: states, counts, the graph's last layout.
            page.wait_for_timeout(SETTLING_MILLISECONDS)
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
