"""An installation for a benchmark: embedded Postgres, Dagster's own instance, a fast Graph API."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.installation import Installation, opened
from actuals_pipeline.warehouse import embedded
from actuals_pipeline.warehouse.embedded_place import data_directory
from actuals_pipeline_tests.benchmarks.fast_graph import ad_id
from actuals_pipeline_tests.benchmarks.fetch_month import ACCOUNT

VERSIONS: Final = ("1", "2")
"""Versions of the one model; both predict every video."""


@contextmanager
def own_installation(graph_url: str, since: datetime) -> Iterator[Installation]:
    """An installation that exists for the block and asks `graph_url`; this process is in it."""
    home = Path(tempfile.mkdtemp(prefix="actuals-benchmark-"))
    # Run by root, the server is another account's.
    home.chmod(0o711)
    environment = {
        "ACTUALS_HOME": str(home),
        "ACTUALS_STAND_IN": "1",
        "ACTUALS_START_DATE": since.date().isoformat(),
        "META_ACCESS_TOKEN": "benchmark",
        "META_AD_ACCOUNT_ID": ACCOUNT,
        "META_GRAPH_URL": graph_url,
    }
    before = dict(os.environ)
    try:
        with opened(environment) as installation:
            installation.enter_dagster()
            # Dagster announces betas and successors; they tell a reader nothing.
            warnings.simplefilter("ignore")
            yield installation
        embedded.stop(home)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(data_directory(home), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def add_product(installation: Installation, ads: int, window: DayWindow) -> None:
    """Give the first `ads` ads a video, made and predicted on the eve of `window`."""
    eve = datetime.combine(window.start, time.min, tzinfo=UTC) - timedelta(hours=6)
    made = [(UUID(int=n + 1), ad_id(n), eve.replace(tzinfo=None)) for n in range(ads)]
    predicted = [
        (UUID(int=n + 1), version, 0.01 + n % 50 / 1000, 1 + n % 40 / 10, eve)
        for n in range(ads)
        for version in VERSIONS
    ]
    with psycopg.connect(installation.database_url) as connection:
        cursor = connection.cursor()
        cursor.execute("SET actuals.importing_history = on")
        cursor.executemany(
            "INSERT INTO public.videos (id, meta_platform_id, created_at) VALUES (%s, %s, %s)", made
        )
        cursor.executemany(
            "INSERT INTO public.predictions"
            " (video_id, model_version, predicted_ctr, predicted_roas, logged_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            predicted,
        )
