"""One ad, fetched and stored at once: what is answered, what is stored, what is left alone."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.serving.conftest import (
    Command,
    Insert,
    Row,
    Stored,
    rows_anywhere,
    sentence_of,
)

FIGURES = ("report_date", "impressions", "clicks", "spend", "conversions", "revenue")


@pytest.fixture
def today(world: World) -> date:
    """The day in the account of these tests."""
    return world.today("42")


def truth(world: World, window: DayWindow) -> dict[str, list[Row]]:
    """What happened to each ad of the account, by ad."""
    found: dict[str, list[Row]] = {}
    for row in world.truth("42", window):
        found.setdefault(row["ad_id"], []).append({name: row[name] for name in FIGURES})
    return found


def busiest(world: World, window: DayWindow) -> str:
    """The ad with most impressions, hence with clicks, spend and purchases."""
    found = truth(world, window)
    return max(found, key=lambda ad_id: sum(row["impressions"] for row in found[ad_id]))


def answer_of(result: Result) -> Any:
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout, parse_float=Decimal)


@pytest.mark.parametrize(("options", "days"), [((), 7), (("--days-back", "3"), 3)], ids=str)
def test_an_ads_figures_are_the_exact_sums_of_its_days_and_both_tables_hold_them(
    options: tuple[str, ...],
    days: int,
    command: Command,
    world: World,
    stored: Stored,
    today: date,
    product: None,
) -> None:
    window = DayWindow.trailing(today, days)
    ad_id = busiest(world, window)
    want = truth(world, window)[ad_id]
    # Just after midnight today has nothing to say yet.
    assert len(want) in {days - 1, days}

    answer = answer_of(command("fetch", ad_id, *options, "--json"))
    assert (answer["status"], answer["saved_to_db"]) == ("success", True)
    assert answer["source"] == "stand-in"
    assert answer["window"] == {"since": str(window.since), "until": str(window.until)}
    total = {name: sum(row[name] for row in want) for name in FIGURES[1:]}
    figures = answer["actuals"]
    assert {name: figures[name] for name in total} == total
    per = Decimal("0.0001")
    assert figures["ctr"] == (Decimal(100 * total["clicks"]) / total["impressions"]).quantize(per)
    assert figures["roas"] == (total["revenue"] / total["spend"]).quantize(per)
    assert figures["cpm"] == (1000 * total["spend"] / total["impressions"]).quantize(per)
    assert figures["cpc"] == (total["spend"] / total["clicks"]).quantize(per)
    # People of several days are the same people in part.
    daily = [row["reach"] for row in world.truth("42", window) if row["ad_id"] == ad_id]
    assert max(daily) < figures["reach"] < sum(daily)
    assert figures["frequency"] == (Decimal(total["impressions"]) / figures["reach"]).quantize(per)

    assert stored("ad_actuals", *FIGURES) == want
    raw = stored("raw_meta_insights")
    assert [(row["ad_id"], row["report_date"]) for row in raw] == [
        (ad_id, row["report_date"]) for row in want
    ]
    (log,) = stored("fetch_log")
    assert (log["kind"], log["account_id"], log["ad_id"]) == ("ad", "42", ad_id)
    assert (log["outcome"], log["rows"], log["is_stand_in"]) == ("complete", len(want), True)
    assert {row["run_id"] for row in raw} == {log["run_id"]}


def test_only_the_ads_own_days_of_the_window_are_replaced(
    command: Command, world: World, insert: Insert, stored: Stored, today: date
) -> None:
    window = DayWindow.trailing(today, 7)
    found = truth(world, window)
    ad_id = next(each for each, rows in found.items() if 0 < len(rows) < len(window))
    empty = next(day for day in window if day not in {row["report_date"] for row in found[ad_id]})
    kept = (
        {"ad_id": "6001", "report_date": today, "account_id": "42"},
        {"ad_id": ad_id, "report_date": window.since - timedelta(days=1), "account_id": "42"},
        {"ad_id": ad_id, "report_date": today, "account_id": "43"},
    )
    for table, extra in (("ad_actuals", {}), ("raw_meta_insights", {"payload": "{}"})):
        for key in (*kept, {"ad_id": ad_id, "report_date": empty, "account_id": "42"}):
            insert(table, **key, **extra)

    answer_of(command("fetch", ad_id, "--json"))
    fresh = [
        {"ad_id": ad_id, "report_date": row["report_date"], "account_id": "42"}
        for row in found[ad_id]
    ]
    for table in ("ad_actuals", "raw_meta_insights"):
        got = stored(table, "ad_id", "report_date", "account_id")
        assert sorted(got, key=str) == sorted((*kept, *fresh), key=str), table


def test_the_video_is_the_products_own_unless_another_is_named(
    command: Command, world: World, stored: Stored, today: date, product: None
) -> None:
    ad_id = busiest(world, DayWindow.trailing(today, 7))
    own = str(next(ad.product_video_id for ad in world.ads("42") if ad.ad_id == ad_id))
    assert answer_of(command("fetch", ad_id, "--json"))["video_id"] == own
    named = command("fetch", ad_id, "--video-id", "my-video", "--json")
    assert answer_of(named)["video_id"] == "my-video"
    assert {row["video_id"] for row in stored("ad_actuals")} == {own}, "the name is for the answer"
    other = next(
        ad for ad in world.ads("42") if ad.product_video_id and str(ad.product_video_id) != own
    )
    refused = command("fetch", ad_id, "--video-id", str(other.product_video_id))
    assert refused.exit_code == 2
    told = f"Video {other.product_video_id} runs as ad {other.ad_id}, not as {ad_id}"
    assert sentence_of(refused).startswith(told)


def test_an_ad_without_a_video_is_fetched_all_the_same(
    command: Command, world: World, today: date
) -> None:
    answer = answer_of(command("fetch", busiest(world, DayWindow.trailing(today, 7)), "--json"))
    assert (answer["status"], answer["video_id"]) == ("success", None)


def test_an_ad_that_never_delivered_is_told_from_one_that_did_on_other_days(
    command: Command, world: World, stored: Stored, today: date
) -> None:
    never = next(ad.ad_id for ad in world.ads("42") if ad.fate.n_days == 0)
    answer = answer_of(command("fetch", never, "--json"))
    assert (answer["status"], answer["saved_to_db"], answer["actuals"]) == (
        *("no_delivery", False),
        None,
    )
    assert answer["message"] == f"Ad {never} has not delivered yet."
    assert never in command("fetch", never).stdout

    whole, recent = DayWindow.trailing(today, 90), set(truth(world, DayWindow.trailing(today, 7)))
    ended = next(ad_id for ad_id in truth(world, whole) if ad_id not in recent)
    days = [row["report_date"] for row in truth(world, whole)[ended]]
    answer = answer_of(command("fetch", ended, "--json"))
    assert (answer["status"], answer["saved_to_db"], answer["actuals"]) == (
        *("outside_window", False),
        None,
    )
    assert f"has figures from {min(days)} to {max(days)}, none in" in answer["message"]
    assert "ask for more days back" in answer["message"]
    assert not stored("ad_actuals")
    assert {row["outcome"] for row in stored("fetch_log")} == {"complete"}

    # What the message advises helps.
    reaching_back = (today - max(days)).days + 1
    answer = answer_of(command("fetch", ended, "--days-back", str(reaching_back), "--json"))
    assert answer["status"] == "success"


def test_what_is_no_ad_is_told_from_an_ad_of_another_account(
    command: Command, world: World, database: str
) -> None:
    ad = world.ads("42")[0]
    for object_id, words in (
        ("129999999999999999", "Meta found nothing for ad 129999999999999999"),
        (ad.campaign_id, f"{ad.campaign_id} is not an ad"),
        (ad.adset_id, f"{ad.adset_id} is not an ad"),
    ):
        sentence = sentence_of(command("fetch", object_id))
        assert words in sentence
        assert "check the id of the ad" in sentence
    other = world.ads("43")[0].ad_id
    sentence = sentence_of(command("fetch", other, META_AD_ACCOUNT_ID="act_42"))
    assert f"Ad {other} belongs to account act_43, which META_AD_ACCOUNT_ID does not" in sentence
    assert not rows_anywhere(database)


@pytest.mark.parametrize(
    ("code", "exit_code", "outcome"),
    [(190, 2, "refused"), (200, 2, "refused"), (99_999, 1, "failed")],
    ids=["expired token", "no permission", "unknown error"],
)
def test_a_fetch_that_fails_stores_nothing_and_is_logged(
    code: int,
    exit_code: int,
    outcome: str,
    command: Command,
    graph: GraphStandIn,
    world: World,
    database: str,
    insert: Insert,
    stored: Stored,
    today: date,
) -> None:
    ad_id = busiest(world, DayWindow.trailing(today, 7))
    insert("ad_actuals", ad_id=ad_id, report_date=today)
    before = stored("ad_actuals")
    graph.faults.add(Fault({"error": {"code": code}}, kind="insights", times=None))
    result = command("fetch", ad_id)
    assert result.exit_code == exit_code, result.output
    assert not result.stdout
    (sentence,) = result.stderr.splitlines()
    assert stored("ad_actuals") == before
    assert rows_anywhere(database) == {"ad_actuals": 1, "fetch_log": 1}
    (log,) = stored("fetch_log")
    assert (log["outcome"], log["ad_id"], log["rows"]) == (outcome, ad_id, 0)
    assert sentence == f"actuals: {log['error_message']}"


def test_made_up_figures_are_not_stored_without_being_asked_for(
    command: Command, world: World, database: str, today: date
) -> None:
    ad_id = busiest(world, DayWindow.trailing(today, 7))
    sentence = sentence_of(command("fetch", ad_id, ACTUALS_STAND_IN=""))
    assert "META_GRAPH_URL points at the Graph API stand-in" in sentence
    assert rows_anywhere(database) == {"fetch_log": 1}
