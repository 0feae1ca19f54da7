"""What the scores never depend on: the order of rows, the future, how the past was learnt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.achievable import ctr_ceiling
from actuals_pipeline.accuracy.contract import REVISIONS
from actuals_pipeline.accuracy.intervals import wilson
from actuals_pipeline_tests.accuracy.simulated_ads import AS_OF, Scored, SimulatedAds, cents

ADS = SimulatedAds.made(60, n_campaigns=12)
SCORE = [
    *("ctr_mae", "roas_mae", "prediction_accuracy", "prediction_accuracy_low"),
    *("prediction_accuracy_high", "n_clusters", "n_pairs", "n_ctr", "n_roas"),
    *("coverage_ads", "coverage_spend", "settled_spend_share"),
]
"""What the headline says of the model."""
OF_THE_DAY = ["as_of_date", "days_since_prediction", "baseline_ctr", "baseline_roas"]
"""What is said of a final pair as of today: the account's days before the launch go on moving."""


def predictions(ads: SimulatedAds = ADS) -> list[pd.DataFrame]:
    return [
        ads.predictions("1", 1.1 * ads.ctr, 0.9 * ads.roas),
        ads.predictions("2", 0.02, np.where(np.arange(len(ads.ad_ids)) % 5, ads.roas, np.nan)),
    ]


@pytest.fixture(scope="module")
def usual() -> Scored:
    return ADS.scored(*predictions())


def written(scored: Scored) -> tuple[str, str]:
    """Every digit of it."""
    return scored.judged.to_csv(), scored.models.to_csv()


def headlines(scored: Scored) -> pd.DataFrame:
    rows = scored.models
    found = rows[rows["protocol"].eq("headline")].set_index(["model_name", "model_version"])
    assert len(found) == 2
    return found[SCORE]


def test_campaigns_are_what_is_drawn_and_what_their_scatter_is_estimated_of(usual: Scored) -> None:
    assert usual.headline("1")["n_clusters"] == 12
    rows = usual.of("1", "launch_d7")
    known = wilson(rows["clicks"], rows["impressions"], overdispersion=rows["dispersion"])
    # It is an estimate, which widens the interval.
    assert (rows["ctr_low"] < known.low).all()
    assert (rows["ctr_high"] > known.high).all()


def test_the_ceiling_of_ctr_is_that_of_independent_impressions(usual: Scored) -> None:
    rows = usual.of("1", "launch_d7")
    assert (rows["dispersion"] > 1).any()
    independent = np.rint(rows["impressions"] / rows["dispersion"])
    want = ctr_ceiling(rows["predicted_ctr"], independent)
    assert rows["ctr_ceiling"].to_numpy() == pytest.approx(want)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_any_order_of_rows_every_digit_is_the_same(usual: Scored, seed: int) -> None:
    assert written(ADS.scored(*predictions(), order_of_rows=seed)) == written(usual)


def test_said_again_it_is_the_same_to_the_byte(usual: Scored) -> None:
    again = SimulatedAds.made(60, n_campaigns=12)
    assert written(again.scored(*predictions(again))) == written(usual)


def test_a_past_day_says_what_it_said_then() -> None:
    """Computed later, from all that was learnt and predicted since, to the byte."""
    day = AS_OF - timedelta(days=35)
    told = ADS.revisions
    then = replace(ADS, revisions=told[told["as_of_date"] <= day].reset_index(drop=True))
    later = ADS.predictions("3", ADS.ctr, ADS.roas, after_launch=timedelta(days=60))
    want = then.scored(*predictions(), as_of=day)
    assert 0 < want.headline("1")["n_roas"] < 60
    assert written(ADS.scored(*predictions(), later, as_of=day)) == written(want)


def test_a_day_that_comes_to_be_known_in_two_halves_is_that_day() -> None:
    """What of a day is known at once, and what the day after, adds up to the same scores."""
    day = AS_OF - timedelta(days=10)
    told = ADS.revisions
    is_first = told["as_of_date"].eq(told["report_date"])
    numbers = [*("impressions", "clicks", "conversions")]
    half = told[is_first].assign(**{name: told.loc[is_first, name] // 2 for name in numbers})
    halved = half.assign(spend=half["spend"] / 2, revenue=half["revenue"] / 2)
    whole = told[is_first].assign(as_of_date=told.loc[is_first, "report_date"] + timedelta(days=1))
    # What was told a day later anyway takes the place of the second half.
    rest = pd.concat([told[~is_first], whole]).drop_duplicates(
        ["ad_id", "report_date", "as_of_date"]
    )
    halves = replace(ADS, revisions=pd.concat([halved, rest], ignore_index=True))
    got, want = (each.scored(*predictions(), as_of=day) for each in (halves, ADS))
    assert_frame_equal(got.judged, want.judged, check_exact=True)
    assert_frame_equal(got.models, want.models, check_exact=True)


@pytest.mark.parametrize("same_campaigns", [True, False])
def test_ads_that_are_not_final_never_move_the_headline(
    usual: Scored, *, same_campaigns: bool
) -> None:
    young = SimulatedAds.made(
        48, seed=5, n_campaigns=12, first_launch=AS_OF - timedelta(days=19), prefix="young"
    )
    # Nor ten times the clicks and revenue of the others.
    told = young.revisions
    is_young = told["ad_id"].ne("old")
    louder = told.assign(
        clicks=told["clicks"].where(~is_young, told["impressions"]),
        revenue=told["revenue"].where(~is_young, 10 * told["revenue"]),
    )
    is_late = np.array([day > AS_OF - timedelta(days=8) for day in young.launches])
    kept = louder[louder["ad_id"].isin(young.ad_ids[is_late]) | ~is_young]
    young = replace(
        young,
        ad_ids=young.ad_ids[is_late],
        campaigns=young.campaigns[is_late] + ("" if same_campaigns else " of theirs"),
        launches=young.launches[is_late],
        ctr=young.ctr[is_late],
        roas=young.roas[is_late],
        revisions=kept[kept["as_of_date"] <= AS_OF],
    )
    both = ADS.beside(young).scored(*predictions(), *predictions(young))
    assert both.headline("1")["n_immature"] == len(young.ad_ids) > 5
    assert_frame_equal(headlines(both), headlines(usual), check_exact=True)


def test_what_is_said_after_delivery_began_never_moves_a_score(usual: Scored) -> None:
    """Neither of the same version nor of another, however right."""
    hours = (timedelta(0), timedelta(days=3), timedelta(days=30))
    late = [ADS.predictions("1", ADS.ctr, ADS.roas, after_launch=each) for each in hours]
    got = ADS.scored(*predictions(), *late)
    assert written(got) == written(usual)


def test_what_is_restated_after_a_window_is_final_never_moves_its_pairs(usual: Scored) -> None:
    told = ADS.revisions
    newest = told[told["ad_id"].ne("old")].drop_duplicates(["ad_id", "report_date"], keep="last")
    final = dict(zip(ADS.ad_ids, ADS.launches + timedelta(days=28), strict=True))
    restated = newest.assign(
        as_of_date=newest["ad_id"].map(final) + timedelta(days=1),
        clicks=newest["clicks"] // 2,
        conversions=2 * newest["conversions"] + 1,
        spend=cents(np.full(len(newest), 1)).to_numpy(),
        revenue=cents(np.full(len(newest), 99_900)).to_numpy(),
    )
    all_told = pd.concat([told, restated]).drop_duplicates(list(REVISIONS.key), keep="last")
    after = replace(ADS, revisions=all_told.reset_index(drop=True))
    got = after.scored(*predictions())
    assert not got.of("1", "launch_to_date").equals(usual.of("1", "launch_to_date"))
    for protocol in ("launch_d7", "launch_ltd28"):
        for version in ("1", "2"):
            rows = [each.of(version, protocol) for each in (got, usual)]
            one, other = (each.drop(columns=OF_THE_DAY).reset_index(drop=True) for each in rows)
            assert_frame_equal(one, other, check_exact=True)
    assert_frame_equal(headlines(got), headlines(usual), check_exact=True)
