from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isnan
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.contract import PAIRS
from actuals_pipeline.accuracy.pair import delivered_ads, pair, unmatched_videos
from actuals_pipeline.errors import FrameMismatch, InputError
from actuals_pipeline.frames import check_frame
from actuals_pipeline.report_days import is_settled

Frames = Callable[..., pd.DataFrame]

AGES: dict[str, Any] = {"min_age_hours": 24, "max_age_days": 30, "default_zone": "UTC"}
ZONES = {"42": "Pacific/Honolulu", "43": "Asia/Tokyo"}
AS_OF = date(2026, 3, 10)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    [row] = frame.to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.mark.parametrize(
    ("logged_at", "status"),
    [("2026-03-03T09:59:59.999999", "eligible"), ("2026-03-03T10:00:00", "leaked")],
)
def test_a_prediction_counts_only_before_the_first_delivery_day_begins_where_the_account_is(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames, logged_at: str, status: str
) -> None:
    predictions = predictions_of({"logged_at": instant(logged_at)})
    got = only_row(pair(predictions, videos_of({}), actuals_of({}), ZONES, [AS_OF], **AGES))
    assert got["status"] == status


def test_a_day_without_impressions_is_no_first_delivery(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    early = {"report_date": date(2026, 3, 2), "impressions": 0}
    late = {"report_date": date(2026, 3, 8), "impressions": 0, "spend": Decimal(0)}
    predictions = predictions_of({"logged_at": instant("2026-03-03T09:00")})
    actuals = actuals_of(early, {}, {"report_date": date(2026, 3, 5)}, late)
    got = only_row(pair(predictions, videos_of({}), actuals, ZONES, [AS_OF], **AGES))
    assert got["status"] == "eligible"
    assert got["first_delivery_on"] == date(2026, 3, 3)
    assert got["last_delivery_on"] == date(2026, 3, 5)
    assert (got["impressions"], got["revenue"]) == (2000, Decimal("120.00"))


def test_the_latest_prediction_in_time_wins_and_a_later_one_never_replaces_it(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    predictions = predictions_of(
        {"prediction_id": "old", "logged_at": instant("2026-03-01T11:00")},
        {"prediction_id": "tie-a", "logged_at": instant("2026-03-01T12:00")},
        {"prediction_id": "tie-b", "logged_at": instant("2026-03-01T12:00")},
        {"prediction_id": "after", "logged_at": instant("2026-03-04T12:00")},
    )
    videos, actuals = videos_of({}), actuals_of({})
    for rows in (predictions, predictions[::-1]):
        got = only_row(pair(rows, videos, actuals, ZONES, [AS_OF], **AGES))
        assert (got["prediction_id"], got["status"]) == ("tie-b", "eligible")


def test_only_predictions_after_delivery_are_leaked_and_the_latest_is_kept(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    predictions = predictions_of(
        {"prediction_id": "one", "logged_at": instant("2026-03-04T12:00")},
        {"prediction_id": "two", "logged_at": instant("2026-03-05T12:00")},
        {"prediction_id": "not yet", "logged_at": instant("2026-03-11T10:00")},
    )
    got = only_row(pair(predictions, videos_of({}), actuals_of({}), ZONES, [AS_OF], **AGES))
    assert (got["prediction_id"], got["status"]) == ("two", "leaked")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "eligible"),
        ({"predicted_ctr": 0.03}, "ambiguous"),
        ({"predicted_ctr": None}, "ambiguous"),
        ({"predicted_ctr": 0.03, "logged_at": instant("2026-03-01T13:00")}, "eligible"),
        ({"predicted_ctr": 0.03, "model_version": "2"}, "eligible"),
        ({"predicted_ctr": 0.03, "video_id": "v2"}, "ambiguous"),
        ({"video_id": "v2"}, "eligible"),
    ],
    ids=[
        "the same",
        "another",
        "nothing",
        "later",
        "another version",
        "another video",
        "said twice",
    ],
)
def test_different_predictions_that_claim_one_instant_are_ambiguous(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames, change: Any, status: str
) -> None:
    claims = predictions_of(
        {"is_attested": False, "prediction_id": "a"},
        {"is_attested": False, "prediction_id": "b"} | change,
    )
    # Both videos run as the same ad.
    videos = videos_of({}, {"video_id": "v2", "created_at": instant("2026-03-01T11:00")})
    got = pair(claims, videos, actuals_of({}), ZONES, [AS_OF], **AGES)
    assert set(got["status"]) == {status}
    assert set(got["video_id"]) == {"v1"}
    assert not got["is_attested"].any()


def test_what_only_claims_its_time_never_replaces_what_the_database_dated(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    attested = {"prediction_id": "attested", "logged_at": instant("2026-03-01T11:00")}
    claim = {"prediction_id": "claim", "is_attested": False, "predicted_ctr": 0.0275}
    frames = (videos_of({}), actuals_of({}), ZONES, [AS_OF])
    got = only_row(pair(predictions_of(attested, claim), *frames, **AGES))
    assert (got["prediction_id"], got["is_attested"]) == ("attested", True)
    late = attested | {"logged_at": instant("2026-03-04T12:00")}
    got = only_row(pair(predictions_of(late, claim), *frames, **AGES))
    assert (got["prediction_id"], got["is_attested"]) == ("claim", False)


def test_predicted_videos_without_an_ad_or_a_date_are_counted_from_their_first_prediction_on(
    predictions_of: Frames, videos_of: Frames
) -> None:
    predictions = predictions_of(
        {},
        {"video_id": "unknown"},
        {"video_id": "unknown", "logged_at": instant("2026-03-03T12:00")},
        {"video_id": "no ad", "logged_at": instant("2026-03-03T00:00")},
        {"video_id": "no ad", "model_version": "2", "logged_at": instant("2026-03-02T23:59")},
        {"video_id": "undated", "model_version": "3", "logged_at": instant("2026-03-03T01:00")},
    )
    videos = videos_of(
        {},
        {"video_id": "no ad", "ad_id": None},
        {"video_id": "undated", "ad_id": "6009", "created_at": None},
    )
    days = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]
    got = unmatched_videos(predictions, videos, days, default_zone="UTC")
    assert list(got.itertuples(index=False, name=None)) == [
        (days[0], "ranker", "1", 1, True),
        (days[1], "ranker", "1", 1, True),
        (days[1], "ranker", "2", 1, True),
        (days[2], "ranker", "1", 2, True),
        (days[2], "ranker", "2", 1, True),
        (days[2], "ranker", "3", 1, True),
    ]
    assert unmatched_videos(predictions, videos, [], default_zone="UTC").empty


@pytest.mark.parametrize(
    ("prediction", "day", "as_of", "status"),
    [
        ({}, {}, date(2026, 3, 10), "eligible"),
        ({"logged_at": instant("2026-03-09T12:00")}, {}, date(2026, 3, 10), "leaked"),
        ({}, {"impressions": 0}, date(2026, 3, 10), "no_delivery"),
        ({}, {}, date(2026, 3, 2), "no_delivery"),
        (
            {"predicted_ctr": 1.01, "predicted_roas": -1},
            {},
            date(2026, 3, 10),
            "invalid_prediction",
        ),
        (
            {"predicted_ctr": None, "predicted_roas": float("inf")},
            {},
            date(2026, 3, 10),
            "invalid_prediction",
        ),
        ({"predicted_ctr": None}, {}, date(2026, 3, 10), "eligible"),
        ({"predicted_roas": -1}, {}, date(2026, 3, 10), "eligible"),
        # Made at 10:00 UTC of the 1st; the day of Honolulu ends at 10:00 UTC of the next.
        ({}, {}, date(2026, 3, 30), "eligible"),
        ({}, {}, date(2026, 3, 31), "too_old"),
    ],
)
def test_the_status_says_the_first_reason_why_a_pair_does_not_count(
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    *,
    prediction: dict[str, Any],
    day: dict[str, Any],
    as_of: date,
    status: str,
) -> None:
    predictions, actuals = predictions_of(prediction), actuals_of(day)
    got = only_row(pair(predictions, videos_of({}), actuals, ZONES, [as_of], **AGES))
    assert got["status"] == status


@pytest.mark.parametrize(
    ("created_at", "status"),
    [("2026-03-03T10:00:00", "eligible"), ("2026-03-03T10:00:00.000001", "too_young")],
)
def test_age_counts_from_the_video_to_the_end_of_the_accounts_day(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames, created_at: str, status: str
) -> None:
    videos = videos_of({"created_at": instant(created_at)})
    actuals = actuals_of({"report_date": date(2026, 3, 3)})
    got = only_row(pair(predictions_of({}), videos, actuals, ZONES, [date(2026, 3, 3)], **AGES))
    assert got["status"] == status


def test_before_its_first_figure_an_ad_lives_in_the_default_zone(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    predictions = predictions_of({"logged_at": instant("2026-03-02T09:00")})
    frames = (predictions, videos_of({}), actuals_of({}))
    first = [date(2026, 3, 1), date(2026, 3, 2)]
    got = only_row(pair(*frames, ZONES, first, **AGES))
    assert got["as_of_date"] == date(2026, 3, 2)
    assert pd.isna(got["account_id"])
    assert pd.isna(got["currency"])
    assert got["first_delivery_on"] is None
    assert (got["impressions"], got["spend"]) == (0, Decimal(0))
    honolulu = pair(*frames, ZONES, first, **AGES | {"default_zone": "Pacific/Honolulu"})
    assert honolulu["as_of_date"].tolist() == first


@pytest.mark.parametrize(
    ("video", "predicted"),
    [
        ({"ad_id": None}, "v1"),
        ({"ad_id": ""}, "v1"),
        ({"created_at": instant("2026-03-11T10:00")}, "v1"),
        ({"created_at": None}, "v1"),
        ({}, "another"),
    ],
    ids=["no ad", "empty ad", "not made yet", "never made", "not predicted"],
)
def test_a_video_without_an_ad_or_a_prediction_or_not_made_yet_has_no_row(
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    *,
    video: dict[str, Any],
    predicted: str,
) -> None:
    predictions = predictions_of({"video_id": predicted})
    got = pair(predictions, videos_of(video), actuals_of({}), ZONES, [AS_OF], **AGES)
    check_frame(got, PAIRS)
    assert got.empty


def test_settled_spend_is_seen_from_the_as_of_day(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    days = [date(2026, 3, 3) + timedelta(days=i) for i in range(40)]
    actuals = actuals_of(*({"report_date": day, "spend": Decimal(1)} for day in days))
    got = pair(predictions_of({}), videos_of({}), actuals, ZONES, days, **AGES)
    for as_of, share in zip(got["as_of_date"], got["settled_spend_share"], strict=True):
        past = [day for day in days if day <= as_of]
        assert share == sum(is_settled(day, as_of) for day in past) / len(past)


def test_an_ad_of_two_accounts_or_currencies_is_refused(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    for change in ({"account_id": "43"}, {"currency": "USD"}):
        actuals = actuals_of({}, {"report_date": date(2026, 3, 4)} | change)
        with pytest.raises(FrameMismatch, match="is the same all the ad's life"):
            pair(predictions_of({}), videos_of({}), actuals, ZONES, [AS_OF], **AGES)


def test_an_unknown_zone_is_refused(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    frames = (predictions_of({}), videos_of({}), actuals_of({}))
    with pytest.raises(InputError, match="Mars/Base"):
        pair(*frames, {"42": "Mars/Base"}, [AS_OF], **AGES)


@pytest.mark.parametrize(
    ("video", "day", "as_of", "comparable"),
    [
        ({}, {}, date(2026, 3, 10), True),
        ({}, {"impressions": 0}, date(2026, 3, 10), False),
        ({}, {}, date(2026, 3, 2), False),
        ({}, {}, date(2026, 3, 31), False),
        ({"ad_id": None}, {}, date(2026, 3, 10), False),
    ],
    ids=["delivered", "not shown", "not yet", "too old", "no ad"],
)
def test_delivered_ads_are_those_a_prediction_could_be_compared_with(
    videos_of: Frames,
    actuals_of: Frames,
    *,
    video: dict[str, Any],
    day: dict[str, Any],
    as_of: date,
    comparable: bool,
) -> None:
    got = delivered_ads(
        videos_of(video), actuals_of(day), ZONES, [as_of], evaluation_days=365, **AGES
    )
    got = got[got["protocol"] == "launch_to_date"]
    assert got["spend"].tolist() == ([Decimal("10.00")] if comparable else [])


# The oracle: the same law for one ad, one model version and one day, in plain Python.

DAYS = [date(2026, 3, 1) + timedelta(days=i) for i in range(7)]
ZONE_OF_AD = {"a1": ("42", "Pacific/Honolulu"), "a2": ("43", "Asia/Tokyo"), "a3": ("44", "UTC")}

hours = st.integers(-30, 24 * 9).map(lambda hour: instant("2026-03-01") + timedelta(hours=hour))
logged_predictions = st.lists(
    st.fixed_dictionaries(
        {
            "video_id": st.sampled_from(["v1", "v2", "v3"]),
            "model_version": st.sampled_from("12"),
            "predicted_ctr": st.sampled_from([0.02, 0.0, -1.0, float("nan"), float("inf")]),
            "predicted_roas": st.sampled_from([2.0, -1.0, float("nan")]),
            "logged_at": hours,
            "is_attested": st.booleans(),
        }
    ),
    max_size=12,
).map(lambda rows: [row | {"prediction_id": f"p{i}", "sequence": i} for i, row in enumerate(rows)])
made_videos = st.lists(hours, min_size=3, max_size=3).map(
    lambda made: [
        {"video_id": f"v{i}", "ad_id": f"a{i}", "created_at": at} for i, at in enumerate(made, 1)
    ]
)
daily_figures = st.lists(
    st.fixed_dictionaries(
        {
            "ad_id": st.sampled_from(list(ZONE_OF_AD)),
            "report_date": st.sampled_from(DAYS),
            "impressions": st.sampled_from([0, 0, 500, 1000]),
            "clicks": st.integers(0, 30),
            "spend": st.decimals(0, 10**12, places=9, allow_nan=False),
            "revenue": st.decimals(-(10**12), 10**12, places=9, allow_nan=False),
        }
    ),
    max_size=14,
    unique_by=lambda row: (row["ad_id"], row["report_date"]),
).map(lambda rows: [row | {"account_id": ZONE_OF_AD[str(row["ad_id"])][0]} for row in rows])


def midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def said(row: dict[str, Any]) -> str:
    return f"{row['predicted_ctr']} {row['predicted_roas']}"


def expected_row(
    video: dict[str, Any], version: str, as_of: date, logged: list[Any], days: list[Any]
) -> dict[str, Any] | None:
    past = [row for row in days if row["ad_id"] == video["ad_id"] and row["report_date"] <= as_of]
    zone = ZONE_OF_AD[video["ad_id"]][1] if past else "UTC"
    end = midnight(as_of + timedelta(days=1), zone)
    mine = sorted(
        (row["logged_at"], row["sequence"], row["is_attested"], said(row))
        for row in logged
        if (row["video_id"], row["model_version"]) == (video["video_id"], version)
        and row["logged_at"] < end
        and not (isnan(row["predicted_ctr"]) and isnan(row["predicted_roas"]))
    )
    if not mine or video["created_at"] >= end:
        return None
    shown = sorted(row["report_date"] for row in past if row["impressions"])
    in_time = [one for one in mine if not shown or one[0] < midnight(shown[0], zone)]
    last = ([one for one in in_time if one[2]] or in_time or mine)[-1]
    chosen = next(row for row in logged if row["sequence"] == last[1])
    at_once = {one[3] for one in mine if (one[0], one[2]) == (last[0], last[2])}
    valid = 0 <= chosen["predicted_ctr"] <= 1 or 0 <= chosen["predicted_roas"] < float("inf")
    too_young = end - video["created_at"] < timedelta(hours=24)
    reasons = [
        ("leaked", not in_time),
        ("no_delivery", not shown),
        ("ambiguous", len(at_once) > 1),
        ("invalid_prediction", not valid),
        ("too_young", too_young),
        ("eligible", True),
    ]
    return {
        "as_of_date": as_of,
        "ad_id": video["ad_id"],
        "model_version": version,
        "prediction_id": chosen["prediction_id"],
        "status": next(reason for reason, applies in reasons if applies),
        "impressions": sum(row["impressions"] for row in past),
        "clicks": sum(row["clicks"] for row in past),
        "spend": sum((row["spend"] for row in past), Decimal(0)),
        "revenue": sum((row["revenue"] for row in past), Decimal(0)),
        "first_delivery_on": shown[0] if shown else None,
        "last_delivery_on": shown[-1] if shown else None,
        "days_since_prediction": (end - chosen["logged_at"]).days,
    }


@settings(max_examples=40)
@given(logged=logged_predictions, made=made_videos, days=daily_figures)
def test_many_days_at_once_are_what_each_day_alone_would_be(
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    *,
    logged: list[Any],
    made: list[Any],
    days: list[Any],
) -> None:
    zones = {"42": "Pacific/Honolulu", "43": "Asia/Tokyo"}
    frames = (predictions_of(*logged), videos_of(*made), actuals_of(*days))
    got = pair(*frames, zones, DAYS, **AGES)
    rows = [
        expected_row(video, version, as_of, logged, days)
        for as_of in DAYS
        for video in made
        for version in "12"
    ]
    want = [row for row in rows if row]
    assert got[list(want[0]) if want else []].to_dict("records") == want


@settings(max_examples=15)
@given(
    logged=logged_predictions,
    made=made_videos,
    days=daily_figures,
    known=st.sampled_from(DAYS[:-1]),
    order=st.randoms(use_true_random=False),
)
def test_what_happens_later_never_changes_a_past_day_nor_does_the_order_of_rows(
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    *,
    logged: list[Any],
    made: list[Any],
    days: list[Any],
    known: date,
    order: Any,
) -> None:
    def up_to_known(days: list[Any], logged: list[Any]) -> pd.DataFrame:
        frames = (predictions_of(*logged), videos_of(*made), actuals_of(*days))
        return pair(*frames, ZONES, [day for day in DAYS if day <= known], **AGES)

    then = up_to_known(
        [row for row in days if row["report_date"] <= known],
        # The latest midnight that can end the day anywhere on Earth.
        [row for row in logged if row["logged_at"] < midnight(known, "UTC") + timedelta(days=2)],
    )
    order.shuffle(days)
    order.shuffle(logged)
    assert_frame_equal(up_to_known(days, logged), then)


@pytest.mark.parametrize(
    ("fetched", "status"),
    [
        (range(1, 11), "eligible"),
        # Tonight the as-of day has not begun for an account in the west.
        (range(1, 10), "eligible"),
        (range(2, 11), "incomplete_history"),
        ([*range(1, 5), *range(6, 11)], "incomplete_history"),
        ([], "incomplete_history"),
    ],
    ids=["whole", "up to the eve", "launch unknown", "a gap", "nothing"],
)
def test_an_ad_whose_days_since_launch_are_not_all_known_is_not_compared(
    fetched: Iterable[int],
    status: str,
    predictions_of: Frames,
    videos_of: Frames,
    actuals_of: Frames,
    known_days_of: Frames,
) -> None:
    frames = predictions_of({}), videos_of({}), actuals_of({})
    known = known_days_of(*({"report_date": date(2026, 3, day)} for day in fetched))
    as_of = [date(2026, 3, 10)]
    got = only_row(pair(*frames, ZONES, as_of, known_days=known, **AGES))
    assert got["status"] == status


def test_days_begin_where_the_account_is_and_count_once_they_are_known(
    known_days_of: Frames,
) -> None:
    days = [date(2026, 3, number) for number in range(1, 11)]
    # The fifth was fetched on the ninth.
    known = known_days_of(
        *({"report_date": day, "known_since": max(day, date(2026, 3, 9))} for day in days[4:5]),
        *({"report_date": day} for day in days[:4] + days[5:]),
    )
    # 05:00 in UTC is still the last of February in Honolulu.
    rows = pd.DataFrame(
        {
            "account_id": ["42"] * 3 + ["43"],
            "created_at": [instant("2026-03-01T12:00")] * 2 + [instant("2026-03-01T05:00")] * 2,
        }
    )
    by = pd.Series([date(2026, 3, 8), *[date(2026, 3, 9)] * 3], dtype=object)
    until = pd.Series([date(2026, 3, 8)] * 4, dtype=object)
    of_accounts = pd.concat([known, known.assign(account_id="43")], ignore_index=True)
    knowledge = Knowledge.of(of_accounts, ZONES, "UTC")
    assert knowledge.is_whole(rows, until=until, known_by=by).tolist() == [False, True, False, True]


def test_what_predicts_nothing_is_no_prediction(
    predictions_of: Frames, videos_of: Frames, actuals_of: Frames
) -> None:
    nothing = {"predicted_ctr": None, "predicted_roas": None}
    later = {"prediction_id": "p2", "logged_at": datetime(2026, 3, 1, 13, tzinfo=UTC), **nothing}
    frames = videos_of({}), actuals_of({}), ZONES, [AS_OF]
    assert only_row(pair(predictions_of({}, later), *frames, **AGES))["prediction_id"] == "p1"
    assert pair(predictions_of(later), *frames, **AGES).empty
