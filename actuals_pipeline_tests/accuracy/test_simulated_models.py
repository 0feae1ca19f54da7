"""What is claimed of the accuracy, shown on ads whose truth is known, through the whole path."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.bootstrap import BootstrapInterval, bootstrap_intervals
from actuals_pipeline.accuracy.calibration import calibration_ratio
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.sums import Summed
from actuals_pipeline_tests.accuracy.simulated_ads import ORDER_VALUE_CV, Scored, SimulatedAds

N_ADS = 1200
HONEST = ["perfect", "biased", "constant"]


@pytest.fixture(scope="module")
def ads() -> SimulatedAds:
    return SimulatedAds.made(N_ADS)


@pytest.fixture(scope="module")
def honest(ads: SimulatedAds) -> list[pd.DataFrame]:
    """What was said before launch: the truth, a fifth more, and the same of every ad."""
    return [
        ads.predictions("perfect", ads.ctr, ads.roas),
        ads.predictions("biased", 1.2 * ads.ctr, 1.2 * ads.roas),
        ads.predictions("constant", 0.02, 3.0),
    ]


@pytest.fixture(scope="module")
def scored(ads: SimulatedAds, honest: list[pd.DataFrame]) -> Scored:
    return ads.scored(*honest)


@pytest.fixture(scope="module")
def actuals(ads: SimulatedAds, scored: Scored) -> tuple[Any, Any]:
    """The CTR and the ROAS that each ad came to have, in the order of the ads."""
    ctr = scored.of("perfect", "launch_d7").set_index("ad_id")["actual_ctr"]
    roas = scored.of("perfect", "launch_ltd28").set_index("ad_id")["actual_roas"]
    return ctr[ads.ad_ids].to_numpy(), roas[ads.ad_ids].to_numpy()


@pytest.fixture(scope="module")
def copying(ads: SimulatedAds, honest: list[pd.DataFrame], actuals: tuple[Any, Any]) -> Scored:
    """The same with two that copy the actuals, one after delivery began, one said before it."""
    late = ads.predictions("late", *actuals, after_launch=timedelta(days=40))
    return ads.scored(*honest, late, ads.predictions("early", *actuals))


def standard_error(headline: dict[str, Any]) -> float:
    low, high = headline["prediction_accuracy_low"], headline["prediction_accuracy_high"]
    return float(high - low) / (2 * 1.96)


def truth_of(rows: pd.DataFrame, ads: SimulatedAds, truth: Any) -> Any:
    return pd.Series(truth, index=ads.ad_ids)[rows["ad_id"]].to_numpy()


def calibration(rows: pd.DataFrame, metric: str, *, completeness: Any = 1.0) -> BootstrapInterval:
    """Predicted over observed, with its interval by campaign."""
    figure: Summed
    if metric == "ctr":
        predicted = rows["predicted_ctr"]
        figure = calibration_ratio(CtrPairs.of(predicted, rows["impressions"], rows["clicks"]))
    else:
        spend = rows["spend"].astype("float64") * completeness
        revenue = rows["revenue"].astype("float64")
        figure = calibration_ratio(
            RoasPairs.of(
                rows["predicted_roas"],
                spend,
                revenue,
                order_value=rows["order_value"],
                order_value_cv=ORDER_VALUE_CV,
            )
        )
    return bootstrap_intervals({"it": figure}, rows["campaign_id"], seed_text=metric)["it"]


def test_a_perfect_model_scores_at_the_noise_ceiling(scored: Scored) -> None:
    row = scored.headline("perfect")
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"]) == (N_ADS,) * 3
    assert row["prediction_accuracy_low"] < row["noise_ceiling"] < row["prediction_accuracy_high"]
    assert row["noise_ceiling"] < 92
    assert row["accuracy_of_achievable"] == pytest.approx(1, abs=0.05)


def test_a_perfect_model_is_accused_no_more_often_than_chance_allows(scored: Scored) -> None:
    rows = {
        "ctr": scored.of("perfect", "launch_d7"),
        "roas": scored.of("perfect", "launch_ltd28"),
    }
    for metric, pairs in rows.items():
        assert pairs[f"{metric}_verdict"].isin(["over", "under"]).mean() < 0.07
        assert pairs[f"{metric}_is_discovery"].mean() < 0.02
        assert (pairs[f"{metric}_z"] ** 2).mean() == pytest.approx(1, abs=0.15)


def test_intervals_of_pairs_cover_the_true_rates_as_often_as_they_promise(
    ads: SimulatedAds, scored: Scored
) -> None:
    for protocol, metric, truth in (
        ("launch_d7", "ctr", ads.ctr),
        ("launch_ltd28", "roas", ads.roas),
    ):
        rows = scored.of("perfect", protocol)
        true = truth_of(rows, ads, truth)
        covers = (rows[f"{metric}_low"] <= true) & (true <= rows[f"{metric}_high"])
        assert 0.93 < covers.mean() < 0.97


def test_campaigns_with_a_weather_of_their_own_are_told_from_the_others(scored: Scored) -> None:
    rows = scored.of("perfect", "launch_d7")
    varies = rows["campaign_id"].str[-2:].astype(int) % 4 == 1
    assert rows.loc[varies, "dispersion"].mean() > 2
    assert rows.loc[~varies, "dispersion"].mean() < 1.2


def test_revenue_that_is_still_missing_is_no_error_of_the_model(scored: Scored) -> None:
    rows = scored.of("perfect", "launch_ltd28")
    assert rows["completeness"].mean() == pytest.approx(0.946, abs=0.005)
    allowed_for = calibration(rows, "roas", completeness=rows["completeness"])
    assert allowed_for.low < 1 < allowed_for.high
    assert calibration(rows, "roas").low > 1.03


def test_a_fifth_too_much_is_seen_as_that(scored: Scored) -> None:
    ctr, roas = scored.of("biased", "launch_d7"), scored.of("biased", "launch_ltd28")
    for found in (
        calibration(ctr, "ctr"),
        calibration(roas, "roas", completeness=roas["completeness"]),
    ):
        assert 1.1 < found.low < 1.2 < found.high < 1.3
    for metric, rows, least in (("ctr", ctr, 0.5), ("roas", roas, 0.2)):
        verdicts = rows[f"{metric}_verdict"].value_counts(normalize=True)
        assert verdicts["over"] > least
        assert verdicts.get("under", 0) < 0.005
        assert verdicts.get("within_tolerance", 0) < 0.04


def test_a_fifth_too_much_costs_accuracy(scored: Scored) -> None:
    row = scored.headline("biased")
    assert row["prediction_accuracy"] < row["noise_ceiling"] - 3 * standard_error(row)
    assert 0 < row["accuracy_of_achievable"] < 0.7


def test_the_same_prediction_for_every_ad_is_worth_what_the_baseline_is(scored: Scored) -> None:
    row = scored.headline("constant")
    assert row["accuracy_of_achievable"] == pytest.approx(0, abs=0.05)
    assert row["prediction_accuracy"] == pytest.approx(row["baseline_accuracy"], abs=1)


def test_what_is_said_after_delivery_began_is_leaked_and_never_scored(copying: Scored) -> None:
    rows = copying.judged[copying.judged["model_version"].eq("late")]
    assert set(rows["status"]) == {"leaked"}
    assert set(rows["protocol"]) == {"launch_to_date", "launch_d7", "launch_ltd28"}
    row = copying.headline("late")
    assert (row["n_leaked"], row["n_pairs"], row["coverage_ads"]) == (N_ADS, 0, 0)
    assert np.isnan(row["prediction_accuracy"])


def test_a_leak_does_not_move_the_scores_of_others(scored: Scored, copying: Scored) -> None:
    for got, want in ((copying.models, scored.models), (copying.judged, scored.judged)):
        kept = got[got["model_version"].isin(HONEST)].reset_index(drop=True)
        assert_frame_equal(kept, want, check_exact=True)


def test_actuals_that_were_copied_in_time_are_too_good_to_be_true(copying: Scored) -> None:
    """What the check looks at: nobody scores above the ceiling by more than chance."""
    for version in ("early", *HONEST):
        row = copying.headline(version)
        spread = standard_error(copying.headline("perfect"))
        is_too_good = row["prediction_accuracy"] > row["noise_ceiling"] + 3 * spread
        assert is_too_good == (version == "early")
