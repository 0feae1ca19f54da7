from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.contract import (
    DELIVERED_ADS,
    JUDGED_PAIRS,
    MODEL_ACCURACY,
    PAIR_STATUSES,
)
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.accuracy.pair import delivered_ads, pair
from actuals_pipeline.accuracy.rounding import at_the_edge
from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.frames import check_frame, empty_frame
from actuals_pipeline_tests.accuracy.judging import judged

Frames = Callable[..., pd.DataFrame]

NAN = float("nan")
AS_OF = date(2026, 3, 10)
AGES: dict[str, Any] = {"min_age_hours": 24, "max_age_days": 30, "default_zone": "UTC"}
HEADLINE = [
    *("ctr_mae", "roas_mae", "prediction_accuracy", "n_pairs", "n_ctr", "n_roas"),
    *("coverage_ads", "coverage_spend", "settled_spend_share"),
]


def one(frame: pd.DataFrame) -> dict[str, Any]:
    [row] = frame.to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.fixture(scope="session")
def model_of(pairs_of: Frames, delivered_of: Frames) -> Callable[..., dict[str, Any]]:
    """The one MODEL_ACCURACY row of pairs of ads a0, a1, ..., all of them delivered."""

    def build(*pairs: dict[str, Any]) -> dict[str, Any]:
        ads = [{"ad_id": f"a{i}"} | row for i, row in enumerate(pairs)]
        known = [
            {name: value for name, value in ad.items() if name in DELIVERED_ADS.names} for ad in ads
        ]
        return one(score_models(judged(pairs_of(*ads)), delivered_of(*known)))

    return build


def test_the_specifications_two_examples_make_its_dashboard_number(
    model_of: Callable[..., dict[str, Any]],
) -> None:
    row = model_of({})
    assert at_the_edge(row["prediction_accuracy"]) == Decimal("92.5")
    assert row["ctr_mae"] == pytest.approx(0.25)
    assert row["roas_mae"] == pytest.approx(0.15)
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"]) == (1, 1, 1)
    assert (row["coverage_ads"], row["coverage_spend"], row["n_no_prediction"]) == (1, 1, 0)


def test_each_pair_weighs_the_same_even_when_it_has_only_one_metric(
    model_of: Callable[..., dict[str, Any]],
) -> None:
    row = model_of({}, {"predicted_roas": NAN, "clicks": 250, "impressions": 20_000})
    # (90 % and 95 %) and 50 % alone: the mean of the two pairs, not of the three accuracies.
    assert row["prediction_accuracy"] == pytest.approx((92.5 + 50) / 2)
    assert (row["n_pairs"], row["n_ctr"], row["n_roas"]) == (2, 2, 1)
    assert row["ctr_mae"] == pytest.approx((0.25 + 1.25) / 2)


def test_predicting_zero_does_not_take_a_pair_out_of_the_mean(
    model_of: Callable[..., dict[str, Any]],
) -> None:
    row = model_of({"predicted_ctr": 0.0, "predicted_roas": 0.0})
    assert (row["prediction_accuracy"], row["n_pairs"]) == (0, 1)
    assert row["ctr_mae"] == pytest.approx(2.75)


@pytest.mark.parametrize("status", PAIR_STATUSES[:-1])
def test_a_pair_that_does_not_count_is_counted_but_never_scored_into_the_headline(
    model_of: Callable[..., dict[str, Any]], status: str
) -> None:
    row = model_of({"status": status})
    column = {"invalid_prediction": "n_invalid"}.get(status, f"n_{status}")
    assert (row[column], row["n_predicted"], row["n_pairs"]) == (1, 1, 0)
    assert all(pd.isna(row[name]) for name in ("ctr_mae", "roas_mae", "prediction_accuracy"))
    assert pd.isna(row["settled_spend_share"])
    assert (row["coverage_ads"], row["coverage_spend"]) == (0, 0)


def test_an_eligible_pair_without_a_comparable_metric_is_unscored(
    model_of: Callable[..., dict[str, Any]],
) -> None:
    row = model_of({"predicted_ctr": NAN, "spend": Decimal(0)})
    assert (row["n_unscored"], row["n_pairs"]) == (1, 0)
    assert pd.isna(row["prediction_accuracy"])


def test_coverage_is_a_share_of_all_delivered_ads_and_of_their_spend(
    pairs_of: Frames, delivered_of: Frames
) -> None:
    delivered = delivered_of({}, *({"ad_id": f"b{i}", "spend": Decimal("33.30")} for i in range(3)))
    scored = judged(pairs_of({}, {"ad_id": "b0", "status": "leaked"}))
    row = one(score_models(scored, delivered))
    assert row["coverage_ads"] == 0.25
    assert row["coverage_spend"] == pytest.approx(100 / 199.9)
    # b0 was predicted, if too late; b1 and b2 were not.
    assert row["n_no_prediction"] == 2


def test_amounts_of_several_currencies_have_no_share_but_the_score_stands(
    model_of: Callable[..., dict[str, Any]],
) -> None:
    row = model_of({}, {"currency": "JPY", "account_id": "43"})
    assert pd.isna(row["coverage_spend"])
    assert pd.isna(row["settled_spend_share"])
    assert (row["coverage_ads"], at_the_edge(row["prediction_accuracy"])) == (1, Decimal("92.5"))


def test_the_settled_share_is_weighted_by_spend(model_of: Callable[..., dict[str, Any]]) -> None:
    row = model_of(
        {"settled_spend_share": 1.0, "spend": Decimal(300)}, {"settled_spend_share": 0.2}
    )
    assert row["settled_spend_share"] == pytest.approx(0.8)


def test_versions_and_days_are_kept_apart(pairs_of: Frames, delivered_of: Frames) -> None:
    later = {"as_of_date": date(2026, 3, 11)}
    scored = judged(pairs_of({}, {"model_version": "2", "predicted_ctr": 0.0275}, later))
    got = score_models(scored, delivered_of({}, later))
    assert got[["as_of_date", "model_version"]].to_numpy().tolist() == [
        [AS_OF, "1"],
        [AS_OF, "2"],
        [later["as_of_date"], "1"],
    ]
    assert got["prediction_accuracy"].tolist() == pytest.approx([92.5, 97.5, 92.5])


def test_an_eligible_pair_of_an_ad_that_was_not_delivered_is_refused(
    pairs_of: Frames, delivered_of: Frames
) -> None:
    with pytest.raises(FrameMismatch, match="is of a delivered ad"):
        score_models(judged(pairs_of({})), delivered_of({"ad_id": "another"}))


def test_a_model_whose_videos_all_have_no_pair_is_shown_with_their_number(
    pairs_of: Frames, delivered_of: Frames
) -> None:
    unmatched = pd.DataFrame(
        [(AS_OF, "ranker", "1", 2, True), (AS_OF, "ranker", "2", 5, True)],
        columns=["as_of_date", "model_name", "model_version", "n_unmatched", "is_attested"],
    )
    got = score_models(judged(pairs_of({})), delivered_of({}), unmatched)
    assert got["n_unmatched"].tolist() == [2, 5, 5]
    alone = got[got["model_version"].eq("2")]
    assert sorted(alone["protocol"]) == ["headline", "launch_to_date"]
    assert alone[["n_pairs", "n_predicted", "n_clusters"]].eq(0).all(axis=None)
    assert alone["prediction_accuracy"].isna().all()
    to_date = one(alone[alone["protocol"].eq("launch_to_date")])
    assert (to_date["n_no_prediction"], to_date["coverage_ads"]) == (1, 0)


def test_no_pairs_are_no_models() -> None:
    got = score_models(empty_frame(JUDGED_PAIRS), empty_frame(DELIVERED_ADS))
    check_frame(got, MODEL_ACCURACY)
    assert got.empty


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (92.5, "92.5"),
        (92.45, "92.4"),
        (92.55, "92.6"),
        (92.45000000000002, "92.4"),
        (92.4500001, "92.5"),
        (0.0, "0.0"),
        (100.0, "100.0"),
    ],
)
def test_halves_are_rounded_to_even_only_at_the_edge(value: float, printed: str) -> None:
    assert str(at_the_edge(value)) == printed


def test_nothing_is_printed_for_nothing() -> None:
    assert at_the_edge(NAN) is None


pair_rows = st.lists(
    st.fixed_dictionaries(
        {
            "model_version": st.sampled_from("12"),
            "status": st.sampled_from(PAIR_STATUSES),
            "predicted_ctr": st.one_of(st.floats(0, 1), st.sampled_from([NAN, -1.0])),
            "predicted_roas": st.one_of(st.floats(0, 10), st.just(NAN)),
            "impressions": st.integers(1, 10**6),
            "clicks": st.integers(0, 10**5),
            "spend": st.decimals(0, 10**6, places=2, allow_nan=False),
            "revenue": st.decimals(-10, 10**6, places=2, allow_nan=False),
            "settled_spend_share": st.floats(0, 1),
        }
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: [row | {"ad_id": f"a{i}"} for i, row in enumerate(rows)])


@settings(max_examples=15)
@given(rows=pair_rows, order=st.randoms(use_true_random=False))
def test_row_order_changes_no_digit_and_every_pair_is_counted_once(
    pairs_of: Frames, delivered_of: Frames, *, rows: list[dict[str, Any]], order: Any
) -> None:
    ads = [{"ad_id": row["ad_id"], "spend": row["spend"]} for row in rows]
    straight = score_models(judged(pairs_of(*rows)), delivered_of(*ads))
    order.shuffle(rows)
    order.shuffle(ads)
    shuffled = score_models(judged(pairs_of(*rows)), delivered_of(*ads))
    assert_frame_equal(shuffled, straight, check_exact=True)
    parts = ["n_pairs", "n_unscored", "n_leaked", "n_no_delivery", "n_invalid", "n_too_young"]
    parts += ["n_too_old", "n_immature", "n_incomplete_history", "n_ambiguous"]
    assert straight[parts].sum(axis=1).tolist() == straight["n_predicted"].tolist()


def test_row_order_changes_no_digit_of_the_mean_of_many_pairs(
    pairs_of: Frames, delivered_of: Frames
) -> None:
    # Few pairs seldom show that floats added in another order differ in the last digit.
    rows = [
        {"ad_id": f"a{i}", "predicted_ctr": (i * 0.618) % 1, "settled_spend_share": (i * 0.37) % 1}
        for i in range(400)
    ]
    delivered = delivered_of(*({"ad_id": row["ad_id"]} for row in rows))
    straight = score_models(judged(pairs_of(*rows)), delivered)
    for start in range(5):
        turned = pairs_of(*(rows[(i * 7 + start) % 400] for i in range(400)))
        assert_frame_equal(score_models(judged(turned), delivered), straight, check_exact=True)


@settings(max_examples=8)
@given(
    late=st.lists(
        st.fixed_dictionaries(
            {
                "video_id": st.sampled_from(["v1", "v2", "v3"]),
                "predicted_ctr": st.floats(0, 1),
                "predicted_roas": st.floats(0, 10),
                "logged_at": st.integers(0, 24 * 9).map(
                    lambda hour: datetime(2026, 3, 3, tzinfo=UTC) + timedelta(hours=hour)
                ),
            }
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_prediction_made_after_delivery_began_never_changes_the_headline(
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    *,
    late: list[dict[str, Any]],
) -> None:
    videos = videos_of(*({"video_id": f"v{i}", "ad_id": f"a{i}"} for i in (1, 2, 3)))
    actuals = actuals_of(*({"ad_id": f"a{i}", "clicks": 20 + i} for i in (1, 2, 3)))
    in_time = [{"prediction_id": f"p{i}", "video_id": f"v{i}"} for i in (1, 2)]
    days = [AS_OF - timedelta(days=i) for i in range(5)]

    def headline(*predictions: dict[str, Any]) -> pd.DataFrame:
        pairs = pair(predictions_of(*predictions), videos, actuals, {}, days, **AGES)
        delivered = delivered_ads(videos, actuals, {}, days, evaluation_days=365, **AGES)
        return score_models(judged(pairs), delivered)[["as_of_date", *HEADLINE]]

    hindsight = [row | {"prediction_id": f"z{i}"} for i, row in enumerate(late)]
    assert_frame_equal(headline(*in_time, *hindsight), headline(*in_time), check_exact=True)
