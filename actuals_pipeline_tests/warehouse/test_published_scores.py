"""A score that was published is what its partition gives ever after, whatever came to be known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import psycopg
import pytest
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.model_statistics import model_statistics
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.orchestration.launches import Launches
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import prediction_log, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    meta_account_totals,
)

RowsOf = Callable[..., pd.DataFrame]
Scores = dict[str, pd.DataFrame]

FIRST = date(2026, 1, 1)
N_DAYS = 50
N_ADS = 24
PUBLISHED = FIRST + timedelta(days=45)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


class Installation:
    """Ads of twelve campaigns, fetched each day with what Meta had restated by then."""

    def __init__(self, warehouse: Warehouse, rows_of: RowsOf) -> None:
        self.warehouse, self.rows_of = warehouse, rows_of
        self.settings = Settings.from_environment({"ACTUALS_MAX_AGE_DAYS": "100"})
        self.random = np.random.default_rng(3)
        self.figures: dict[tuple[int, date], list[int]] = {}

    def fetch(self, known_on: date, n_days: int) -> None:
        """Fetch the last days, of which some have changed and a few are listed no more."""
        window = DayWindow.trailing(known_on, n_days)
        for on in window:
            for ad in range(N_ADS):
                launch = day(2 + ad % 8)
                if on < launch:
                    continue
                cents = self.figures.get((ad, on))
                if cents is None or self.random.random() < 0.2:
                    cents = [int(each) for each in self.random.integers(1, 30_000, 2)]
                # Invalid traffic of a launch, that Meta takes back a day later.
                if on == launch and known_on > launch and ad % 5 == 0:
                    cents = [0, 0]
                self.figures[ad, on] = cents
        rows = [
            {
                "ad_id": f"ad {ad}",
                "campaign_id": f"c{ad % 12}",
                "adset_id": f"s{ad % 12}",
                "report_date": on,
                "impressions": 10 * spend + 7,
                "clicks": spend // 5,
                "spend": Decimal(spend) / 100,
                "conversions": revenue // 900,
                "revenue": Decimal(revenue) / 100,
            }
            for (ad, on), (spend, revenue) in self.figures.items()
            if on in window and spend
        ]
        fetched_at = datetime(known_on.year, known_on.month, known_on.day, 12, tzinfo=UTC)
        totals = [{"report_date": each, "fetched_at": fetched_at} for each in window]
        for table, given in ((ad_actuals, rows), (meta_account_totals, totals)):
            content = CoveredRows(self.rows_of(table, *given), (Slice(window, known_on=known_on),))
            store.replace_in_transaction(self.warehouse, table, content)

    def predict(self, *, ctr: float, logged_on: date) -> None:
        """Import a prediction of every ad, that says itself when it was made."""
        with (
            self.warehouse.transaction() as connection,
            prediction_log.importing_history(connection),
        ):
            for ad in range(N_ADS):
                connection.execute(
                    "INSERT INTO public.predictions (video_id, model_name, model_version,"
                    " predicted_ctr, predicted_roas, logged_at) VALUES (%s, 'm', '1', %s, %s, %s)",
                    [video_of(ad), ctr + ad / 5_000, 1.0, logged_on],
                )

    def date_videos(self, since: int, on: date) -> None:
        """Let all that was logged of videos from this row on have been said on a day."""
        with self.warehouse.transaction() as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(
                "UPDATE actuals.video_log SET logged_at = %s + sequence * interval '1 second'"
                " WHERE sequence >= %s",
                [datetime(on.year, on.month, on.day, 12, tzinfo=UTC), since],
            )

    def change_videos(self, on: date) -> None:
        """Relink, correct, undate and delete videos; let another, older one take an ad."""
        with self.warehouse.transaction() as connection:
            for ad, change in enumerate(
                (
                    "meta_platform_id = 'ad of another'",
                    "meta_platform_id = NULL",
                    "created_at = created_at - interval '90 days'",
                    "created_at = created_at + interval '40 days'",
                    "meta_platform_id = 'ad 5'",
                )
            ):
                connection.execute(
                    f"UPDATE public.videos SET {change} WHERE id = %s".encode(),  # noqa: S608
                    [video_of(ad)],
                )
            connection.execute("DELETE FROM public.videos WHERE id = %s", [video_of(6)])
            connection.execute(
                "INSERT INTO public.videos (id, meta_platform_id, created_at) VALUES"
                " (%s, 'ad 7', '2025-12-01'), (%s, 'ad 99', '2025-12-01')",
                [video_of(100), video_of(101)],
            )
        self.date_videos(N_ADS + 1, on)

    def predictions(self) -> pd.DataFrame:
        """The log, as if the first prediction of each ad had come in time and the others lately."""
        found = prediction_log.predictions(self.warehouse)
        in_time, lately = (
            datetime(each.year, each.month, each.day, 12, tzinfo=UTC) for each in (day(0), day(47))
        )
        received = [in_time if sequence <= N_ADS else lately for sequence in found["sequence"]]
        return found.assign(received_at=pd.Series(received, dtype="datetime64[us, UTC]"))

    def scores(self, days: DayWindow) -> Scores:
        """What the three assets make of `days`, in one run."""
        launches = Launches(self.warehouse, self.settings, days)
        predictions = self.predictions()
        pairs = launches.judged_pairs(predictions, days)
        return {
            "pairs": pairs,
            "models": score_models(
                pairs, launches.delivered(days), launches.unmatched(predictions, days)
            ),
            "statistics": model_statistics(pairs),
        }


@pytest.fixture
def installation(
    warehouse: Warehouse, connection: psycopg.Connection, rows_of: RowsOf
) -> Installation:
    for ad in range(N_ADS):
        connection.execute(
            "INSERT INTO public.videos (id, meta_platform_id, created_at) VALUES (%s, %s, %s)",
            [video_of(ad), f"ad {ad}", day(0)],
        )
    found = Installation(warehouse, rows_of)
    found.date_videos(1, day(0))
    found.predict(ctr=0.02, logged_on=day(0))
    return found


def video_of(ad: int) -> UUID:
    return UUID(int=ad + 1)


def of_day(scores: Scores, on: date) -> Scores:
    return {
        name: frame[frame["as_of_date"] == on].reset_index(drop=True)
        for name, frame in scores.items()
    }


def test_a_past_day_stays_the_same_after_restatements_imports_and_relinks_alone_or_among_others(
    installation: Installation,
) -> None:
    for number in range(46):
        installation.fetch(day(number), 4)
    published = installation.scores(DayWindow.inclusive(PUBLISHED, PUBLISHED))
    (headline,) = published["models"].query("protocol == 'headline_unattested'").to_dict("records")
    assert headline["n_ctr"] == headline["n_roas"] == N_ADS
    assert headline["prediction_accuracy_low"] < headline["prediction_accuracy_high"]

    for number in range(46, 50):
        installation.fetch(day(number), 30)
    installation.predict(ctr=0.03, logged_on=day(1))
    installation.change_videos(day(48))

    again = installation.scores(DayWindow.inclusive(PUBLISHED, PUBLISHED))
    for days in (DayWindow.inclusive(day(40), day(49)), DayWindow.inclusive(day(1), PUBLISHED)):
        among = of_day(installation.scores(days), PUBLISHED)
        for name, frame in published.items():
            assert_frame_equal(again[name], frame, check_exact=True, obj=f"{name} alone")
            assert_frame_equal(among[name], frame, check_exact=True, obj=f"{name} among {days}")

    later = DayWindow.inclusive(day(47), day(47))
    predicted = installation.scores(later)["pairs"]["predicted_ctr"]
    assert predicted.min() == 0.03, "from the day of the import on it counts"
    before, after = (installation.scores(DayWindow.inclusive(day(n), day(n))) for n in (47, 48))
    ads = [set(each["pairs"]["ad_id"]) for each in (before, after)]
    assert ads[0] - ads[1] == {"ad 0", "ad 1", "ad 4", "ad 6"}, "from the day of the relink on"
    assert ads[1] - ads[0] == {"ad of another"}
    assert [each["models"]["n_unmatched"].unique().tolist() for each in (before, after)] == [
        [0],
        [2],
    ]


@pytest.mark.parametrize("wide", ["ctr", "roas"])
def test_the_tolerance_that_is_set_for_a_metric_decides_its_verdicts(
    installation: Installation, wide: str
) -> None:
    installation.fetch(PUBLISHED, 46)
    installation.settings = Settings.from_environment(
        {
            "ACTUALS_MAX_AGE_DAYS": "100",
            "ACTUALS_CTR_TOLERANCE": "10" if wide == "ctr" else "0",
            "ACTUALS_ROAS_TOLERANCE": "10" if wide == "roas" else "0",
        }
    )
    pairs = installation.scores(DayWindow.inclusive(PUBLISHED, PUBLISHED))["pairs"]
    to_date = pairs[pairs["protocol"].eq("launch_to_date")]
    within = {
        metric: int(to_date[f"{metric}_verdict"].eq("within_tolerance").sum())
        for metric in ("ctr", "roas")
    }
    assert within == {"ctr": 0, "roas": 0, wide: N_ADS}
