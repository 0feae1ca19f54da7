"""Laws of the invented world, without HTTP."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow, report_day

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
TODAY = date(2026, 3, 29)
PLAN = AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 30)
SIXTY_DAYS = DayWindow.trailing(TODAY, 60)


def world_at(now: datetime, seed: int = 7) -> World:
    return World(seed=seed, now=now, accounts=[PLAN])


def by_key(rows: list[dict[str, Any]]) -> dict[tuple[str, date], dict[str, Any]]:
    return {(row["ad_id"], row["report_date"]): row for row in rows}


def test_the_same_seed_tells_the_same_story() -> None:
    one, two = world_at(NOW), world_at(NOW)
    # Asking for a part first must not change what comes out of the whole.
    two.truth("42", DayWindow.trailing(TODAY - timedelta(days=9), 3))
    assert one.truth("42", SIXTY_DAYS) == two.truth("42", SIXTY_DAYS)
    assert (one.videos(), one.predictions()) == (two.videos(), two.predictions())
    assert one.truth("42", SIXTY_DAYS) != world_at(NOW, seed=8).truth("42", SIXTY_DAYS)


def test_a_world_made_later_tells_the_same_story_about_the_past() -> None:
    moved, made_later = world_at(NOW), world_at(NOW + timedelta(days=3))
    moved.truth("42", SIXTY_DAYS)
    moved.now = NOW + timedelta(days=3)
    window = DayWindow.trailing(TODAY + timedelta(days=3), 20)
    later_ads = {ad.ad_id for ad in made_later.ads("42")}
    shared = [row for row in moved.truth("42", window) if row["ad_id"] in later_ads]
    assert shared == made_later.truth("42", window)


def test_the_past_restates_for_28_days_and_then_never_again() -> None:
    world = world_at(NOW)
    changes: Counter[int] = Counter()
    known = by_key(world.truth("42", SIXTY_DAYS))
    for _ in range(62):
        world.now += timedelta(days=1)
        fresh = by_key(world.truth("42", SIXTY_DAYS))
        for key in known.keys() | fresh.keys():
            if known.get(key) != fresh.get(key):
                changes[(world.today("42") - key[1]).days] += 1
        known = fresh
    # The step to age 29 spans the instant at which the day turns 28 days old.
    assert max(changes) in range(20, 30)
    assert changes[1] > changes[10] > 0


def test_what_was_known_earlier_can_still_be_asked_for() -> None:
    world = world_at(NOW)
    ads = world.ads("42")
    before = [world.days(ad, SIXTY_DAYS) for ad in ads]
    after = [world.days(ad, SIXTY_DAYS, NOW + timedelta(days=90)) for ad in ads]
    assert before != after
    assert [world.days(ad, SIXTY_DAYS, NOW) for ad in ads] == before


def test_ads_of_every_fate_are_there_and_most_are_young() -> None:
    world = world_at(NOW)
    ads = [ad for ad in world.ads("42") if ad.launch_day <= TODAY]
    assert len(ads) == PLAN.ads
    statuses = Counter(ad.status(TODAY) for ad in ads)
    assert {"ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "DISAPPROVED"} <= statuses.keys()
    assert sum((TODAY - ad.launch_day).days <= 30 for ad in ads) >= PLAN.ads // 2
    world.now += timedelta(days=90)
    young = [ad for ad in world.ads("42") if (world.today("42") - ad.launch_day).days <= 30]
    assert len(young) >= PLAN.ads // 2


def test_purchases_arrive_on_days_without_delivery() -> None:
    late = [
        row
        for row in world_at(NOW).truth("42", SIXTY_DAYS)
        if row["conversions"] and not row["impressions"] and not row["spend"]
    ]
    assert late
    assert all(row["revenue"] > 0 and row["reach"] == 0 for row in late)


def test_counts_never_exceed_what_they_are_part_of() -> None:
    for row in world_at(NOW).truth("42", SIXTY_DAYS):
        assert row["link_clicks"] <= row["clicks"] <= row["impressions"]
        assert 0 <= row["reach"] <= row["impressions"]


def test_today_grows_with_the_clock_until_the_day_is_over() -> None:
    world = world_at(datetime(2026, 3, 28, 23, 30, tzinfo=UTC))  # half past midnight in Berlin
    today = DayWindow.inclusive(TODAY, TODAY)
    assert report_day(world.now, world.accounts["42"].zone) == TODAY
    seen = []
    for _ in range(27):
        rows = world.truth("42", today)
        seen.append(tuple(sum(row[name] for row in rows) for name in ("impressions", "spend")))
        world.now += timedelta(hours=1)
    assert seen == sorted(seen)
    assert seen[0] < seen[5] < seen[20]
    # The clocks go forward, so that this day has only 23 hours.
    assert seen[21] < seen[22] == seen[26] or seen[22] < seen[23] == seen[26]


@pytest.mark.parametrize(
    ("currency", "cent"), [("EUR", Decimal("0.01")), ("JPY", Decimal(1)), ("HUF", Decimal(1))]
)
def test_money_is_whole_in_the_currencys_smallest_unit(currency: str, cent: Decimal) -> None:
    world = World(now=NOW, accounts=[AccountPlan("7", "Stand-in", currency, "UTC", 6)])
    rows = world.truth("7", SIXTY_DAYS)
    for row in rows:
        assert isinstance(row["spend"], Decimal)
        assert row["spend"] % cent == 0 == row["revenue"] % cent
    assert any(row["spend"] % (10 * cent) for row in rows)


def test_the_clock_only_moves_forward_and_is_never_naive() -> None:
    world = world_at(NOW)
    with pytest.raises(ValueError, match="cannot go back"):
        world.now = NOW - timedelta(seconds=1)
    with pytest.raises(ValueError, match="naive"):
        world.now = datetime(2027, 1, 1)  # noqa: DTZ001 - the point of the test


def test_the_better_model_version_is_closer_and_some_predictions_leak() -> None:
    world = world_at(NOW)
    ads = {str(ad.product_video_id): ad for ad in world.ads("42")}
    predictions = world.predictions()
    errors: dict[str, list[float]] = {"1": [], "2": []}
    for prediction in predictions:
        rates = ads[prediction["video_id"]].rates
        errors[prediction["model_version"]].append(
            abs(prediction["predicted_ctr"] / rates.click_rate - 1)
            + abs(prediction["predicted_roas"] / rates.roas - 1)
        )
    assert sum(errors["2"]) < sum(errors["1"])
    leaked = {
        prediction["video_id"]
        for prediction in predictions
        if prediction["logged_at"].date() > ads[prediction["video_id"]].launch_day
    }
    predicted = {prediction["video_id"] for prediction in predictions}
    assert 0 < len(leaked) < len(predicted) < len(ads)
    assert len({prediction["id"] for prediction in predictions}) == len(predictions)


def test_what_happens_later_is_not_known_yet() -> None:
    world = world_at(NOW)
    assert all(video["created_at"] <= NOW for video in world.videos())
    assert all(prediction["logged_at"] <= NOW for prediction in world.predictions())
    assert not world.truth("42", DayWindow.trailing(TODAY + timedelta(days=7), 7))


def test_a_video_is_created_shortly_before_its_ads_first_delivery() -> None:
    world = world_at(NOW)
    created = {video["meta_platform_id"]: video["created_at"] for video in world.videos()}
    first: dict[str, date] = {}
    for row in world.truth("42", SIXTY_DAYS):
        if row["impressions"]:
            first.setdefault(row["ad_id"], row["report_date"])
    zone = world.accounts["42"].zone
    for ad_id, day in first.items():
        assert 0 <= (day - report_day(created[ad_id], zone)).days <= 2
