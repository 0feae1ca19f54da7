"""The demonstration: made-up data from a local Graph API, through the whole pipeline.

Its data lives apart, under ACTUALS_HOME/demo and in a database of its own, and says everywhere
that it is stand-in data.  Each demonstration starts afresh.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from csv import DictWriter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg import sql

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow, report_day
from actuals_pipeline.serving import answers, csv_import, dagster_runs, rates, supervisor
from actuals_pipeline.serving.installation import (
    Installation,
    environment_with_database,
    environment_with_dotenv,
    opened,
)
from actuals_pipeline.serving.listening import listening
from actuals_pipeline.settings import IN_FILE, SECRETS, Settings
from actuals_pipeline.warehouse import embedded

DATABASE = "actuals_demo"

JUDGED_DAYS = 14
"""As-of days of which models, the investment and advice are told."""

FIGURES = ("raw_meta_insights", "meta_account_totals", "ad_actuals", "spend_reconciliation")
"""The assets that hold what happened, without what is thought of it."""

CLOSING = (
    "The demonstration's were imported, so nobody can prove when they were made. Predictions that "
    "your\nproduct writes are dated by the database as they come in: what is said of them may be "
    "quoted."
)
"""Why the demonstration has nothing to quote: the days that it shows lie in the past."""

_ASKED_WITH = ("META_AD_ACCOUNT_ID", "ACTUALS_INVESTMENT_BUDGET")
"""Settings of the demonstration that its figures are shown with."""


class _Clock:
    """The made-up world's clock: it stands still for the backfill, so that the figures add up.

    Once started it follows the real one in steps of 15 minutes, as Meta's insights do.
    """

    def __init__(self) -> None:
        self.instant = datetime.now(UTC)
        self.is_running = False

    def __call__(self) -> datetime:
        if self.is_running:
            now = datetime.now(UTC)
            stepped = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
            self.instant = max(self.instant, stepped)
        return self.instant


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A backfilled demonstration, with its stand-in still answering."""

    installation: Installation
    answer: dict[str, Any]
    clock: _Clock


@contextmanager
def world(days: int) -> Iterator[Demonstration]:
    """Backfill the last `days` days of a made-up world; it answers until the block ends."""
    clock = _Clock()
    invented = World(now=clock())
    with running_stand_in(invented, clock=clock) as graph:
        environment = _environment(graph, invented)
        _drop_database(Settings.from_environment(environment))
        with opened(environment, database=DATABASE) as here:
            _load_product(here, invented)
            today = report_day(datetime.now(UTC), here.settings.zone)
            window = DayWindow.trailing(today, days)
            _load_rates(here, window)
            _backfill(here, window)
            answer = answers.summary(here.warehouse, window, here.settings, datetime.now(UTC))
            yield Demonstration(here, answer, clock)


def _backfill(here: Installation, window: DayWindow) -> None:
    """Every day's figures, and what follows from them as of the last days.

    What is thought as of a day takes as long as the figures of many, and rests on all before.
    """
    judged = DayWindow.trailing(window.until, min(len(window), JUDGED_DAYS))
    before = window.clipped(until=judged.since - timedelta(days=1))
    if before:
        dagster_runs.run(here, before, tier="demo history", assets=FIGURES)
    dagster_runs.run(here, judged, tier="demo backfill")


@contextmanager
def listeners(port: int, http_port: int) -> Iterator[supervisor.Listeners]:
    """Where the Dagster UI and the page are served, on this computer alone."""
    with (
        listening("127.0.0.1", port, "", "") as ui,
        listening("127.0.0.1", http_port, "", "", "--http-port") as http,
    ):
        yield supervisor.Listeners(ui, http)


def keep_open(shown: Demonstration, where: supervisor.Listeners) -> None:
    """Serve the Dagster UI and the page over the demonstration until it is stopped."""
    shown.clock.is_running = True
    asked = "For `actuals summary` or psql in another terminal:"
    click.echo(f"{asked} {export(shown.installation)}", err=True)
    supervisor.run(shown.installation, where)


def export(shown: Installation) -> str:
    """The shell's command after which `actuals` and psql ask the demonstration."""
    variables = {name: shown.environment[name] for name in _ASKED_WITH}
    # Who asks has the user's own environment, not the demonstration's.
    variables |= environment_with_database(environment_with_dotenv(), shown.database_url)
    return " ".join(["export", *(f"{name}={shlex.quote(v)}" for name, v in variables.items())])


def _environment(graph: GraphStandIn, invented: World) -> Mapping[str, str]:
    """The user's own environment with everything that is real replaced."""
    given = environment_with_dotenv()
    home = Settings.from_environment({"ACTUALS_HOME": given.get("ACTUALS_HOME", "")}).home
    replaced = {
        "ACTUALS_HOME": str(home / "demo"),
        "ACTUALS_STAND_IN": "1",
        "DATABASE_URL": "",
        "META_GRAPH_URL": graph.url,
        "META_ACCESS_TOKEN": graph.access_token,
        "META_APP_SECRET": graph.app_secret,
        "META_APP_ID": "",
        "META_AD_ACCOUNT_ID": ",".join(invented.account_ids),
        "META_API_VERSION": "",
        "ACTUALS_START_DATE": "",
        "ACTUALS_PURCHASE_ACTION_TYPE": "",
        "ACTUALS_INVESTMENT_BUDGET": "EUR 250,000",
        "ACTUALS_INVESTMENT_START": "",
        # Its own page, and not that of an installation which runs as well.
        "ACTUALS_REPORT_URL": "",
        "ACTUALS_EXCHANGE_RATE_DAYS": "",
        # Nobody is to retrain a model because of made-up data.
        "ACTUALS_RETRAIN_WEBHOOK": "",
    }
    in_files = {f"{name}{IN_FILE}": "" for name in SECRETS & replaced.keys()}
    return {**given, **replaced, **in_files}


def _drop_database(settings: Settings) -> None:
    with (
        embedded.hold(settings.home) as server,
        psycopg.connect(server.url("postgres"), autocommit=True) as connection,
    ):
        name = sql.Identifier(DATABASE)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _load_product(here: Installation, invented: World) -> None:
    """Bring videos and predictions in as anyone without a product database would."""
    with tempfile.TemporaryDirectory() as folder:
        videos, predictions = Path(folder) / "videos.csv", Path(folder) / "predictions.csv"
        _write_csv(videos, invented.videos())
        _write_csv(predictions, invented.predictions())
        csv_import.import_videos(here.warehouse, videos)
        now = datetime.now(UTC)
        csv_import.import_predictions(here.warehouse, predictions, now, ctr_unit="fraction")


def _load_rates(here: Installation, window: DayWindow) -> None:
    """Bring made-up exchange rates in, so that the accounts add up."""
    worth = {"JPY": "0.0061", "USD": "0.92"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rates.csv"
        _write_csv(
            path,
            [
                {"date": day, "from": currency, "to": "EUR", "rate": rate, "source": "made up"}
                for day in window
                for currency, rate in worth.items()
            ],
        )
        rates.import_rates(here.warehouse, path, datetime.now(UTC))


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
