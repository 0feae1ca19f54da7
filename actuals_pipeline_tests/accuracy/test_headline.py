"""The headline: each ad once, final and attested, beside chance and beside having no model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.baseline import account_rates
from actuals_pipeline.accuracy.contract import KNOWN_ACCOUNT_DAYS
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.frames import conform
from actuals_pipeline_tests.accuracy.judging import judged

Frames = Callable[..., pd.DataFrame]

AS_OF = date(2026, 5, 1)
FINAL: dict[str, Any] = {
    "as_of_date": AS_OF, "is_provisional": False, "matures_on": date(2026, 4, 1),
}  # fmt: skip
D7, LTD28 = {"protocol": "launch_d7"}, {"protocol": "launch_ltd28", "completeness": 1.0}


@pytest.fixture
def headline(pairs_of: Frames, delivered_of: Frames) -> Callable[..., dict[str, dict[str, Any]]]:
    """The rows of model_accuracy by protocol; each argument changes an ad's two final pairs."""

    def build(*ads: tuple[dict[str, Any], dict[str, Any]], **baseline: Any) -> dict[str, Any]:
        pairs = [
            FINAL | {"ad_id": f"a{i}"} | window | change
            for i, (ctr, roas) in enumerate(ads)
            for window, change in ((D7, ctr), (LTD28, roas))
        ]
        rows = judged(pairs_of(*pairs)).assign(**baseline)
        delivered = delivered_of(
            *(
                {"as_of_date": AS_OF, "ad_id": f"a{i}", "protocol": protocol}
                for i in range(len(ads))
                for protocol in ("headline", "headline_unattested")
            )
        )
        models = score_models(rows, delivered).to_dict("records")
        return {str(row["protocol"]): dict(row) for row in models}

    return build


Headline = Callable[..., dict[str, dict[str, Any]]]


def test_ctr_is_of_the_first_week_and_roas_of_the_first_four(headline: Headline) -> None:
    row = headline(({"clicks": 250, "revenue": Decimal(0)}, {"clicks": 0}))["headline"]
    assert row["ctr_mae"] == pytest.approx(0)
    assert row["roas_mae"] == pytest.approx(0.15)
    assert row["prediction_accuracy"] == pytest.approx((100 + 95) / 2)
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"], row["n_predicted"]) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "change", [{"status": "immature", "is_provisional": True}, {"is_provisional": True}]
)
def test_a_roas_that_is_not_final_or_not_complete_is_left_out(
    headline: Headline, change: dict[str, Any]
) -> None:
    row = headline(({}, change))["headline"]
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"]) == (1, 1, 0)
    assert row["prediction_accuracy"] == pytest.approx(90)


def test_a_ctr_that_is_not_comparable_leaves_the_roas_alone(headline: Headline) -> None:
    row = headline(({"status": "incomplete_history"}, {}))["headline"]
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"]) == (1, 0, 1)
    assert np.isnan(row["ctr_mae"])


def test_an_immature_pair_is_counted_and_never_scored(headline: Headline) -> None:
    young = {"status": "immature", "is_provisional": True}
    row = headline((young, young))["headline"]
    assert (row["n_pairs"], row["n_immature"]) == (0, 1)
    assert np.isnan(row["prediction_accuracy"])


def test_imported_predictions_have_a_headline_of_their_own(headline: Headline) -> None:
    imported = {"is_attested": False, "clicks": 0}
    rows = headline(({}, {}), (imported, imported))
    assert rows["headline"]["prediction_accuracy"] == pytest.approx(92.5)
    assert rows["headline"]["n_pairs"] == rows["headline_unattested"]["n_pairs"] == 1
    assert rows["headline_unattested"]["prediction_accuracy"] == pytest.approx(95 / 2)


def test_what_was_predicted_after_the_launch_is_told_apart_and_scores_nothing(
    headline: Headline,
) -> None:
    leaked = {"status": "leaked", "clicks": 250, "revenue": Decimal(300)}
    young = leaked | {"is_provisional": True, "clicks": 0}
    row = headline(({}, {}), (leaked, leaked), (young, young))["headline"]
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"], row["n_leaked"]) == (1, 1, 1, 2)
    assert row["prediction_accuracy"] == pytest.approx(92.5)
    assert row["leaked_accuracy"] == pytest.approx(100)
    assert np.isnan(headline(({}, {}))["headline"]["leaked_accuracy"])


def test_of_the_pairs_that_count_those_learnt_afterwards_are_counted(headline: Headline) -> None:
    learnt = {"is_reconstructed": True}
    young = learnt | {"status": "immature", "is_provisional": True}
    row = headline(({}, {}), (learnt, learnt), (learnt, learnt), (young, young))["headline"]
    assert (row["n_pairs"], row["n_reconstructed"]) == (3, 2)


def test_missing_revenue_is_allowed_for(headline: Headline) -> None:
    """Of spend that has brought only half of its revenue so far, twice the ROAS is expected."""
    row = headline(({}, {"completeness": 0.5, "revenue": Decimal("142.50")}))["headline"]
    assert row["roas_mae"] == pytest.approx(0.15)


def test_the_ceiling_is_what_a_perfect_model_would_score_and_the_baseline_what_none_costs(
    headline: Headline,
) -> None:
    ads = [({"impressions": 5000, "clicks": 125}, {"predicted_roas": None})] * 12
    row = headline(*ads, baseline_ctr=0.02, campaign_id="c")["headline"]
    # Both are of the reference: 92.957974 % at 5,000 impressions of 2.5 %.
    assert row["noise_ceiling"] == pytest.approx(92.957974, abs=1e-6)
    assert row["baseline_accuracy"] == pytest.approx(75)
    assert row["prediction_accuracy"] == pytest.approx(100)
    assert row["accuracy_of_achievable"] == pytest.approx((100 - 75) / (92.957974 - 75))


def test_the_achievable_is_told_of_the_pairs_that_have_a_baseline(headline: Headline) -> None:
    known = ({"impressions": 5000, "clicks": 125}, {"predicted_roas": None})
    unknown = ({"impressions": 300, "clicks": 3}, {"predicted_roas": None})
    row = headline(known, unknown, baseline_ctr=[0.02, 0.02, np.nan, np.nan])["headline"]
    assert row["prediction_accuracy"] == pytest.approx((100 + 40) / 2)
    assert row["noise_ceiling"] == pytest.approx((92.957974 + 71.150388) / 2, abs=1e-6)
    assert row["baseline_accuracy"] == pytest.approx(75)
    assert row["accuracy_of_achievable"] == pytest.approx((100 - 75) / (92.957974 - 75))


def test_the_ceiling_of_roas_is_that_of_the_purchases_to_be_expected_so_far(
    pairs_of: Frames,
) -> None:
    half = LTD28 | {"completeness": 0.5, "conversions": 20, "revenue": Decimal(300)}
    [ceiling] = judged(pairs_of(FINAL | half))["roas_ceiling"]
    # 100 spent at 3 bring 300, of which half is known: ten purchases of 15.
    assert ceiling == pytest.approx(1 - np.sqrt(2 / np.pi * 1.64 / 10))


def test_not_knowing_how_much_is_missing_is_an_error_of_its_own(pairs_of: Frames) -> None:
    known, guessed = judged(
        pairs_of(
            *(
                FINAL | LTD28 | {"ad_id": f"a{error}", "completeness_se": error}
                for error in (0.0, 0.2)
            )
        )
    ).to_dict("records")
    assert known["roas_relative_se"] == pytest.approx(np.sqrt(1.64 / 20))
    assert guessed["roas_relative_se"] == pytest.approx(np.sqrt(1.64 / 20 + 0.2**2))
    assert guessed["roas_low"] < known["roas_low"] < known["roas_high"] < guessed["roas_high"]
    assert 0 < abs(guessed["roas_z"]) < abs(known["roas_z"])
    assert guessed["roas_ceiling"] < known["roas_ceiling"]


def test_an_interval_takes_ten_campaigns_and_is_the_same_every_time(headline: Headline) -> None:
    ads: list[Any] = [({"clicks": 200 + 10 * i}, {}) for i in range(10)]
    row = headline(*ads)["headline"]
    assert row["n_clusters"] == 10
    ends = [row[f"prediction_accuracy{end}"] for end in ("_low", "", "_high")]
    assert ends == sorted(set(ends))
    again = headline(*ads)["headline"]
    assert [again[f"prediction_accuracy{end}"] for end in ("_low", "", "_high")] == ends
    few = headline(*ads[:9])["headline"]
    assert np.isnan(few["prediction_accuracy_low"])


def test_unresolved_verdicts_have_their_share(headline: Headline) -> None:
    small = {"impressions": 100, "clicks": 3, "conversions": 1}
    row = headline((small, small))["headline"]
    assert row["unresolved_share"] == 1


def known_of(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {
        "is_reconstructed": False, "account_id": "42", "known_on": date(2026, 3, 1),
        "impressions": 1000, "clicks": 20, "spend": Decimal(10), "revenue": Decimal(20),
    }  # fmt: skip
    made = pd.DataFrame([usual | row for row in rows], columns=KNOWN_ACCOUNT_DAYS.names)
    return conform(made, KNOWN_ACCOUNT_DAYS)


def test_the_baseline_is_the_accounts_rate_of_the_28_days_before_launch(
    pairs_of: Frames,
) -> None:
    pairs = pairs_of(
        {}, {"ad_id": "a2", "first_delivery_on": None}, {"ad_id": "a3", "account_id": "9"}
    )
    days = known_of(
        {"report_date": date(2026, 2, 2), "clicks": 999},  # 29 days before
        {"report_date": date(2026, 2, 3), "clicks": 40},
        {"report_date": date(2026, 3, 2), "revenue": Decimal(40)},
        {"report_date": date(2026, 3, 3), "clicks": 999},  # the launch itself
        {"report_date": date(2026, 3, 2), "known_on": date(2026, 3, 10), "impressions": 0,
         "clicks": 6, "spend": Decimal(0), "revenue": Decimal(0)},
        {"report_date": date(2026, 3, 2), "known_on": date(2026, 3, 11), "clicks": 999},
    )  # fmt: skip
    got = account_rates(pairs, days, {"42": date(2026, 2, 1)})
    assert got.iloc[0].tolist() == pytest.approx([66 / 2000, 60 / 20])
    assert got.iloc[1:].isna().to_numpy().all()


def test_before_an_account_was_seen_its_earliest_known_rates_count(pairs_of: Frames) -> None:
    days = known_of(
        {"report_date": date(2026, 3, 1), "clicks": 10},
        {"report_date": date(2026, 3, 1), "clicks": 30, "is_reconstructed": True},
    )
    for seen, rate in ((date(2026, 3, 10), 0.01), (date(2026, 3, 11), 0.03)):
        got = account_rates(pairs_of({}), days, {"42": seen})
        assert got["baseline_ctr"].iloc[0] == pytest.approx(rate)


def test_what_a_purchase_is_worth_is_drawn_to_the_ads_own_account_if_that_is_known(
    pairs_of: Frames,
) -> None:
    figures = {"conversions": 10, "revenue": Decimal("300.00")}
    unknown = {
        "ad_id": "a3", "account_id": None, "currency": None, "status": "no_delivery",
        "impressions": 0, "clicks": 0, "conversions": 0, "spend": Decimal(0),
        "revenue": Decimal(0), "first_delivery_on": None, "last_delivery_on": None,
        "settled_spend_share": None,
    }  # fmt: skip
    other = {"ad_id": "a2", "account_id": "43", "conversions": 10, "revenue": Decimal("900.00")}
    rows = judged(pairs_of(unknown, figures, other))
    assert rows["order_value"].tolist() == pytest.approx([float("nan"), 30, 90], nan_ok=True)
