"""The statements of `docs/accuracy.md` run, and say what the page says that they do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from actuals_pipeline.accuracy.contract import PAIR_STATUSES
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    ad_actuals_revisions,
    model_accuracy,
    model_statistics,
    revenue_development,
)

PAGE = (PROJECT_ROOT / "docs" / "accuracy.md").read_text("utf-8")

LAUNCH = date(2026, 1, 10)
NOW = LAUNCH + timedelta(days=56)
SHARES = [0.5, 0.7, 0.8]
"""Of a day's revenue by age; then all of it."""


def statement(heading: str) -> str:
    """The statement of a section."""
    section = re.split(rf"^##+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    (found, *_) = re.findall(r"^```sql\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return str(found)


def answer(connection: psycopg.Connection, text: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text.encode()).fetchall()


@pytest.fixture
def advertised(insert: Callable[..., None]) -> None:
    """An ad that spends 100 a day and earns 300 by each, in the end; it runs for nine weeks."""
    share = dict(enumerate(SHARES))
    for as_of in (*(LAUNCH + timedelta(days=days) for days in (3, 7, 14, 28)), NOW):
        for age in range(29):
            insert(
                revenue_development, as_of_date=as_of, age_days=age,
                revenue_share=share.get(age, 1.0), revenue_share_se=0.0,
            )  # fmt: skip
    for number in range(57):
        day = LAUNCH + timedelta(days=number)
        known = {"report_date": day, "spend": 100, "impressions": 10}
        insert(ad_actuals, revenue=300 * share.get(56 - number, 1.0), **known)
        for age in range(4):
            revenue = 300 * share.get(age, 1.0)
            as_of = day + timedelta(days=age)
            insert(ad_actuals_revisions, as_of_date=as_of, is_listed=True, revenue=revenue, **known)


@pytest.mark.usefixtures("advertised")
def test_the_back_test_tells_what_was_missing_and_that_the_curve_made_up_for_it(
    connection: psycopg.Connection,
) -> None:
    rows = answer(connection, statement("How far off provisional figures were"))
    assert [(row["days_since_launch"], row["ads"]) for row in rows] == [
        (3, 1), (7, 1), (14, 1), (28, 1),
    ]  # fmt: skip
    # Three days with 50, 70 and 80 %: a third is missing; later the same 1.0 days of many.
    want = [-1 / 3, *(-1.0 / days for days in (7, 14, 28))]
    assert [row["plain_error"] for row in rows] == pytest.approx(want)
    for name in ("adjusted_error", "adjusted_miss"):
        assert [row[name] for row in rows] == pytest.approx([0.0] * 4, abs=1e-12)


@pytest.mark.usefixtures("advertised")
def test_the_curve_of_an_account_is_shown_by_age(connection: psycopg.Connection) -> None:
    rows = answer(connection, statement("How a day's revenue matures"))
    assert [row["age_days"] for row in rows] == list(range(29))
    assert [row["revenue_share"] for row in rows][:4] == [*SHARES, 1.0]


def test_what_may_be_told_to_an_investor_is_one_query_away(
    connection: psycopg.Connection, insert: Callable[..., None]
) -> None:
    figures = {
        "n_pairs": 148, "coverage_spend": 0.97, "prediction_accuracy": 92.5,
        "prediction_accuracy_low": 90.8, "prediction_accuracy_high": 94.1,
        "baseline_accuracy": 88.4, "noise_ceiling": 93.0,
    }  # fmt: skip
    version = {"model_name": "ranker", "model_version": "2", "protocol": "headline"}
    insert(model_accuracy, **version, **figures)
    insert(model_accuracy, **version | {"protocol": "launch_to_date"})
    for statistic, segment in (
        ("ctr_calibration", ""),
        ("ctr_calibration", "campaign 1"),
        ("x", ""),
    ):
        said = {"statistic": statistic, "segment": segment, "value": 1.02, "unit": "ratio"}
        insert(model_statistics, **version, **said | {"verdict": None})
    [told] = answer(connection, statement("Which sentence may be told to an investor?"))
    assert told == {
        "model_name": "ranker",
        "model_version": "2",
        **figures,
        "ctr_calibration": 1.02,
    }


def test_the_page_explains_every_reason_why_a_prediction_does_not_count() -> None:
    section = PAGE.partition("### Which predictions count?")[2].partition("\n### ")[0]
    named = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))
    )
    # An eligible pair neither of whose metrics can be compared is left out, too.
    assert named == (set(PAIR_STATUSES) - {"eligible"}) | {"unscored"}


def test_the_page_names_only_statistics_that_are_made() -> None:
    section = PAGE.partition("### For specialists: every other statistic")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:ctr|roas|accuracy)_[a-z_0-9]+)`", section))
    assert len(named) > 10
    source = (PROJECT_ROOT / "actuals_pipeline" / "accuracy" / "model_statistics.py").read_text()
    for name in named:
        short = re.sub(r"^(ctr|roas)_", "", name).replace("_at_3", "_at_")
        assert f'"{short}' in source or f'"{name}"' in source, name
