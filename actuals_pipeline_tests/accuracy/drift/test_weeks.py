"""Pairs by week: which count, what they sum to, and how certain it is."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.drift.charts import charted
from actuals_pipeline.accuracy.drift.contract import CHARTED_WEEKS, MODEL_WEEKS
from actuals_pipeline.accuracy.drift.weeks import model_weeks
from actuals_pipeline.frames import check_frame
from actuals_pipeline_tests.accuracy.drift.made_up_models import FIRST_MONDAY, pairs_of

SUNDAY = FIRST_MONDAY + timedelta(days=6)


def only(frame: pd.DataFrame) -> Any:
    check_frame(frame, MODEL_WEEKS)
    (row,) = frame.itertuples()
    return row


def week(n: int = 30, **columns: Any) -> Any:
    return only(model_weeks(pairs_of(n, **columns), as_of=SUNDAY))


def test_clicks_of_a_week_by_hand() -> None:
    # Predicted 2.4 %, came 2 % of 10,000 impressions each.
    row = week(predicted_ctr=0.024)
    assert (row.metric, row.week, row.n_pairs, row.clicks) == ("ctr", FIRST_MONDAY, 30, 6000)
    assert row.ln_calibration == pytest.approx(np.log(1.2))
    assert row.standard_error == pytest.approx(np.sqrt((1 - 0.024) / 6000))
    assert row.upper - row.lower == pytest.approx(2 * 1.6448536 * row.standard_error)
    assert row.is_eligible


def test_the_score_is_the_textbook_z_of_clicks_against_the_prediction() -> None:
    random = np.random.default_rng(1)
    n, p = random.integers(5_000, 50_000, 40), random.uniform(0.01, 0.03, 40)
    clicks = random.binomial(n, p)
    row = week(40, impressions=n, predicted_ctr=p, clicks=clicks, dispersion=2.0)
    z = (clicks.sum() - (n * p).sum()) / np.sqrt(2 * (n * p * (1 - p)).sum())
    assert -row.ln_calibration / row.standard_error == pytest.approx(z, rel=0.03)


def test_pairs_that_scatter_more_than_chance_widen_the_error() -> None:
    clicks = [150, 250] * 15
    row = week(clicks=clicks)
    assert row.ln_calibration == pytest.approx(0)
    assert row.standard_error == pytest.approx(np.sqrt(30 * 50**2 * 30 / 29) / 6000)


def test_revenue_of_a_week_by_hand() -> None:
    row = week(protocol="launch_ltd28", predicted_roas=3.3)
    assert (row.metric, row.purchases) == ("roas", 300)
    assert row.ln_calibration == pytest.approx(np.log(1.1))
    assert row.standard_error == pytest.approx(0.4 / np.sqrt(30))
    assert row.is_eligible


def test_currencies_are_not_added() -> None:
    euros = pairs_of(30, protocol="launch_ltd28", predicted_roas=3.3)
    yen = pairs_of(
        30, protocol="launch_ltd28", predicted_roas=2.7, currency="JPY", spend=Decimal(16_000)
    )
    yen["ad_id"] = "y" + yen["ad_id"]
    both = only(model_weeks(pd.concat([euros, yen], ignore_index=True), as_of=SUNDAY))
    alone = [only(model_weeks(each, as_of=SUNDAY)) for each in (euros, yen)]
    # Equally certain, so the mean; in one sum the yen would have drowned the euros.
    assert both.ln_calibration == pytest.approx(np.mean([each.ln_calibration for each in alone]))
    assert both.standard_error == pytest.approx(alone[0].standard_error / np.sqrt(2))


def test_a_pair_counts_once_in_the_week_in_which_it_matured_and_that_week_has_ended() -> None:
    days = [FIRST_MONDAY + timedelta(days=each) for each in (0, 6, 7, 13, 14, 20)] * 10
    weeks = model_weeks(pairs_of(60, matures_on=days), as_of=date(2024, 1, 20))
    assert weeks["week"].tolist() == [FIRST_MONDAY, FIRST_MONDAY + timedelta(days=7)]
    assert weeks["n_pairs"].tolist() == [20, 20]


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "leaked"},
        {"ctr_status": "no_prediction", "predicted_ctr": None},
        {"is_attested": False},
        {"is_provisional": True},
    ],
)
def test_other_pairs_do_not_count_but_their_spend_is_missed(columns: dict[str, Any]) -> None:
    counted, other = pairs_of(30), pairs_of(10, **columns)
    other["ad_id"] = "x" + other["ad_id"]
    row = only(model_weeks(pd.concat([counted, other], ignore_index=True), as_of=SUNDAY))
    assert (row.n_pairs, row.clicks) == (30, 6000)
    assert row.coverage_spend == pytest.approx(0.75)
    assert not row.is_eligible


@pytest.mark.parametrize(
    ("n", "columns", "eligible"),
    [
        (30, {"clicks": 34, "impressions": 1700}, True),
        (29, {}, False),
        (30, {"clicks": 33}, False),
        (30, {"protocol": "launch_ltd28", "conversions": 9}, False),
        (30, {"protocol": "launch_ltd28"}, True),
        (30, {"clicks": 0}, False),
    ],
)
def test_a_week_with_too_little_is_not_eligible(
    *, n: int, columns: dict[str, Any], eligible: bool
) -> None:
    assert week(n, **columns).is_eligible == eligible


def test_the_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(2)
    pairs = pairs_of(200, clicks=random.integers(100, 300, 200))
    mixed = pairs.sample(frac=1, random_state=3, ignore_index=True)
    first, second = (model_weeks(each, as_of=SUNDAY) for each in (pairs, mixed))
    pd.testing.assert_frame_equal(first, second)


def test_predictions_are_held_against_those_of_all_weeks_before() -> None:
    random = np.random.default_rng(5)
    mondays = [FIRST_MONDAY + timedelta(weeks=n) for n in range(4)]
    levels = (0.02, 0.02, 0.02, 0.04)
    predicted = [random.lognormal(np.log(level), 0.2, 60) for level in levels]
    pairs = pairs_of(
        240, matures_on=np.repeat(np.array(mondays, dtype=object), 60),
        predicted_ctr=np.concatenate(predicted),
    )  # fmt: skip
    # Fewer than can be told from chance, and no reference for those after them either.
    days = np.repeat(np.array(mondays[:2], dtype=object), [29, 60])
    few = pairs_of(89, model_version="2", matures_on=days, predicted_ctr=0.5)
    weeks = model_weeks(
        pd.concat([pairs, few], ignore_index=True), as_of=mondays[-1] + timedelta(days=6)
    )
    first, *alike, other = weeks[weeks["model_version"] == "1"].to_dict("records")
    assert np.isnan(first["predicted_shift"])
    assert all(row["predicted_shift_chance"] > 0.01 for row in alike)
    assert (other["predicted_shift"] > 1, other["predicted_shift_chance"] < 1e-9) == (True, True)
    # A model that predicts more of everything errs here, and its errors are told elsewhere.
    assert weeks.loc[weeks["model_version"] == "2", "predicted_shift"].isna().all()


def test_no_pairs_make_no_weeks() -> None:
    for pairs in (pairs_of(0), pairs_of(matures_on=None), pairs_of(protocol="launch_to_date")):
        weeks = model_weeks(pairs, as_of=SUNDAY)
        check_frame(weeks, MODEL_WEEKS)
        charts = charted(weeks)
        check_frame(charts, CHARTED_WEEKS)
        assert charts.empty
