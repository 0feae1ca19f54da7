"""What is said of a model beyond its headline: the reference's vectors through the whole module."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.contract import JUDGED_PAIRS, MODEL_STATISTICS
from actuals_pipeline.accuracy.model_statistics import model_statistics
from actuals_pipeline.frames import check_frame, empty_frame
from actuals_pipeline_tests.accuracy.judging import judged

Frames = Callable[..., pd.DataFrame]
Pairs = Callable[..., pd.DataFrame]

AS_OF = date(2026, 5, 1)
FINAL: dict[str, Any] = {
    "as_of_date": AS_OF, "is_provisional": False, "matures_on": date(2026, 4, 1),
}  # fmt: skip


@pytest.fixture
def final(pairs_of: Frames) -> Pairs:
    """Judged final pairs, both windows of each ad alike, in campaigns and ad sets of their own."""

    def build(*ads: dict[str, Any], **columns: Any) -> pd.DataFrame:
        rows = [
            FINAL | {"ad_id": f"a{i}", "protocol": protocol} | ad
            for i, ad in enumerate(ads)
            for protocol in ("launch_d7", "launch_ltd28")
        ]
        placed = judged(pairs_of(*rows))
        usual: dict[str, Any] = {
            "campaign_id": "c" + placed["ad_id"],
            "adset_id": "s1",
            # It comes from all the ads of the account since launch, which are not here.
            "order_value": 15.0,
        }
        return placed.assign(**(usual | columns))

    return build


def told(pairs: pd.DataFrame, segment: str = "") -> dict[str, float]:
    found = model_statistics(pairs)
    check_frame(found, MODEL_STATISTICS)
    part = found[found["segment"].eq(segment)]
    return dict(zip(part["statistic"], part["value"], strict=True))


def of_all(pairs: pd.DataFrame, statistic: str) -> list[dict[str, Any]]:
    found = model_statistics(pairs)
    rows = found[found["statistic"].eq(statistic) & found["segment"].eq("")].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def test_the_references_toy_model(final: Pairs) -> None:
    ads = [
        {"predicted_ctr": p, "impressions": n, "clicks": c}
        for p, n, c in ((0.02, 10_000, 220), (0.03, 5000, 140), (0.01, 20_000, 190))
    ]
    got = told(final(*ads))
    want = {
        "ctr_log_loss": 0.0791787680, "ctr_ne": 0.9792747085, "ctr_ne_floor": 0.9787104636,
        "ctr_calibration": 540 / 550, "ctr_brier": 0.0154142857, "ctr_mae": 0.0015,
        "ctr_weighted_mae": 0.00114286, "ctr_wape": 0.0727273,
    }  # fmt: skip
    want["ctr_calibration"] = (200 + 150 + 200) / 550
    assert {name: got[name] for name in want} == pytest.approx(want, rel=1e-5)


def test_no_final_pairs_are_no_statistics(final: Pairs) -> None:
    for nothing in (
        empty_frame(JUDGED_PAIRS),
        final({"status": "immature", "is_provisional": True}),
        final({}).assign(protocol="launch_to_date").drop_duplicates("ad_id"),
    ):
        got = model_statistics(nothing)
        check_frame(got, MODEL_STATISTICS)
        assert got.empty


def test_roas_is_measured_against_what_it_will_be(final: Pairs) -> None:
    half = {"completeness": 0.5, "revenue": Decimal(150), "spend": Decimal(100)}
    got = told(final(*[half] * 3))
    assert got["roas_calibration"] == pytest.approx(1)
    assert got["roas_wape"] == pytest.approx(0)


def test_money_of_two_currencies_is_told_apart(final: Pairs) -> None:
    pairs = final({}, {}, {"currency": "JPY", "account_id": "43", "revenue": Decimal(600)})
    assert "roas_calibration" not in told(pairs)
    assert told(pairs, "currency EUR")["roas_calibration"] == pytest.approx(300 / 285)
    assert told(pairs, "currency JPY")["roas_calibration"] == pytest.approx(0.5)
    # Rates of clicks have no currency.
    assert told(pairs)["ctr_calibration"] == pytest.approx(250 / 275)


def test_the_order_is_judged_within_ad_sets(final: Pairs) -> None:
    rising = [{"predicted_ctr": 0.01 * i, "clicks": 100 * i} for i in range(1, 7)]
    falling = [{"predicted_ctr": 0.01 * i, "clicks": 100 * (7 - i)} for i in range(1, 7)]
    assert told(final(*rising))["ctr_spearman"] > 0.9
    assert told(final(*falling))["ctr_spearman"] < -0.9
    assert told(final(*rising))["ctr_hit_at_3"] == pytest.approx(1)
    assert "ctr_spearman" not in told(final(*rising, adset_id=[f"s{i // 2}" for i in range(12)]))


def test_skill_is_measured_where_there_is_a_baseline(final: Pairs) -> None:
    ads = [{"clicks": 250}, {"clicks": 300}]
    assert "ctr_skill" not in told(final(*ads))
    got = told(final(*ads, baseline_ctr=0.02, baseline_roas=1.0))
    assert got["ctr_skill"] == pytest.approx(1 - 0.005 / 0.015)
    assert got["ctr_ne_asof"] < 1


def test_figures_made_of_sums_have_an_interval_from_ten_campaigns_on(final: Pairs) -> None:
    ads = [{"clicks": 200 + 10 * i} for i in range(12)]
    [row] = of_all(final(*ads), "ctr_calibration")
    assert row["low"] < row["value"] < row["high"]
    assert row["n_clusters"] == 12
    [few] = of_all(final(*ads[:9]), "ctr_calibration")
    assert np.isnan(few["low"])


def test_a_campaign_that_is_off_is_found_among_many(final: Pairs) -> None:
    ads = [{"impressions": 50_000, "clicks": 1250} for _ in range(9)]
    ads.append({"impressions": 50_000, "clicks": 2500})
    found = model_statistics(final(*ads))
    segments = found[found["statistic"].eq("ctr_calibration") & found["segment"].ne("")]
    assert segments.loc[segments["is_off"], "segment"].tolist() == ["campaign ca9"]


@pytest.mark.parametrize(
    ("second", "verdict"), [(0.0275, "better"), (0.0225, "worse"), (0.025, "unresolved")]
)
def test_two_versions_are_compared_on_the_ads_of_both(
    final: Pairs, second: float, verdict: str
) -> None:
    first = [{"clicks": 275 + (i % 3), "predicted_roas": None} for i in range(12)]
    later = datetime(2026, 3, 2, tzinfo=UTC)
    both = pd.concat(
        [
            final(*first),
            final(*({**ad, "predicted_ctr": second, "model_version": "2", "predicted_at": later}
                    for ad in first)),
        ],
        ignore_index=True,
    )  # fmt: skip
    found = model_statistics(both)
    row = found[found["statistic"].eq("accuracy_difference")].iloc[0]
    assert (row["model_version"], row["segment"], row["n_pairs"]) == ("2", "version 1", 12)
    assert row["verdict"] == verdict


def test_a_version_that_reappears_is_still_the_older_one(final: Pairs) -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    good = [{"clicks": 275 + (i % 3), "predicted_roas": None} for i in range(12)]
    first = [ad | {"predicted_at": days[0 if i < 6 else 2]} for i, ad in enumerate(good)]
    second = [
        ad | {"predicted_ctr": 0.0275, "model_version": "2", "predicted_at": days[1]} for ad in good
    ]
    both = pd.concat([final(*first), final(*second)], ignore_index=True)
    found = model_statistics(both)
    [row] = found[found["statistic"].eq("accuracy_difference")].to_dict("records")
    assert (row["model_version"], row["segment"]) == ("2", "version 1")
    assert (row["value"] > 0, row["verdict"]) == (True, "better")


def test_the_order_of_rows_changes_no_digit(final: Pairs) -> None:
    ads = [
        {"clicks": 150 + 17 * i, "predicted_ctr": 0.02 + i / 1000, "predicted_roas": 1 + i / 7}
        for i in range(14)
    ]
    pairs = final(*ads, baseline_ctr=0.02)
    shuffled = pairs.sample(frac=1, random_state=3)
    assert_frame_equal(model_statistics(shuffled), model_statistics(pairs), check_exact=True)


def test_days_are_told_apart(final: Pairs) -> None:
    pairs = pd.concat(
        [
            final({}, {}),
            final({"clicks": 250}, {"clicks": 250}).assign(as_of_date=AS_OF + timedelta(days=1)),
        ],
        ignore_index=True,
    )
    found = model_statistics(pairs)
    ratios = found[found["statistic"].eq("ctr_calibration") & found["segment"].eq("")]
    assert ratios["value"].tolist() == pytest.approx([250 / 275, 1])


def test_a_campaign_that_sold_nothing_is_ranked_like_the_others(final: Pairs) -> None:
    ads = [{"revenue": Decimal(40 * i), "conversions": i, "predicted_roas": i} for i in range(6)]
    for _ in range(2):
        got = told(final(*ads))
        assert got["roas_spearman"] > 0.9
        ads = [ad | {"revenue": Decimal(0), "conversions": 0} for ad in ads[:3]] + ads[3:]
    assert "roas_calibration" in told(final(*ads))
