"""Ads that Meta's totals include and its listing does not: asked for by id, or a named gap.

The world's listings lack deleted ads, whatever the filter; each test begins while one still runs.
Its days are long past, so that the same ad is deleted on the same day whenever the tests run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, Ad, World
from actuals_pipeline.report_days import DayWindow, time_zone
from actuals_pipeline_tests.orchestration.conftest import (
    FIGURES,
    RECONCILED,
    Pipeline,
    Row,
    checks_of,
    examples,
)

A_DAY = timedelta(days=1)
Hiding = Callable[[date], Pipeline]


@pytest.fixture
def hiding(pipeline: Pipeline) -> Iterator[Hiding]:
    """The installation over a world whose noon it is on a day, and which lists no deleted ad."""
    with ExitStack() as stack:

        def at(day: date) -> Pipeline:
            world = _world(day)
            stand_in = stack.enter_context(running_stand_in(world))
            return pipeline.asking(stand_in, META_AD_ACCOUNT_ID="act_42,act_43")

        yield at


def _world(day: date) -> World:
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 60),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 4),
    )
    noon = datetime.combine(day, time(12), tzinfo=time_zone("Europe/Berlin"))
    return World(now=noon, accounts=accounts, deleted_in_lists=False)


def deleted_on(ad: Ad) -> date:
    return ad.launch_day + timedelta(days=ad.fate.n_days)


@pytest.fixture
def doomed() -> Ad:
    """The ad of account 42 that was deleted last before the summer of 2025."""
    summer = date(2025, 6, 21)
    ads = [ad for ad in _world(summer).ads("42") if ad.fate.status_after == "DELETED"]
    return max((ad for ad in ads if deleted_on(ad) < summer), key=deleted_on)


def spends(rows: list[Row], ad_ids: set[str]) -> dict[tuple[str, date], Decimal]:
    """What some ads spent on each account-day on which they spent anything."""
    found: dict[tuple[str, date], Decimal] = {}
    for row in rows:
        if row["ad_id"] in ad_ids and row["spend"]:
            key = (row["account_id"], row["report_date"])
            found[key] = found.get(key, Decimal(0)) + row["spend"]
    return found


def asked_by_id(pipeline: Pipeline) -> set[str]:
    """The ads that were asked for by id, in lists or at their own node."""
    calls = [call for call in pipeline.graph.calls if call.kind == "insights"]
    rules = [rule for call in calls for rule in json.loads(call.params.get("filtering", "[]"))]
    in_lists = [ad_id for rule in rules if rule["field"] == "ad.id" for ad_id in rule["value"]]
    return {*in_lists, *asked_alone(pipeline)}


def asked_alone(pipeline: Pipeline) -> list[str]:
    """The ads whose own node was asked, in order."""
    paths = [call.path for call in pipeline.graph.calls if call.kind == "insights"]
    return [path.split("/")[2] for path in paths if "/act_" not in path]


def missing_of(pipeline: Pipeline, run_id: str) -> dict[str, int]:
    return {
        row["account_id"]: row["missing_ads"]
        for row in pipeline.rows("fetch_log")
        if row["run_id"] == run_id
    }


def test_a_known_ad_that_is_deleted_is_asked_for_by_id_and_the_day_adds_up(
    hiding: Hiding, doomed: Ad
) -> None:
    last_day = deleted_on(doomed) - A_DAY
    pipeline = hiding(last_day)
    window = DayWindow.trailing(last_day, 2)
    first = pipeline.run(window, assets=RECONCILED)
    assert first.success
    assert missing_of(pipeline, first.run_id) == {"42": 0, "43": 0}
    assert asked_by_id(pipeline) == set()

    pipeline.graph.world.now += A_DAY
    pipeline.graph.calls.clear()
    assert doomed.status(pipeline.graph.world.today("42")) == "DELETED"
    run = pipeline.run(window, assets=RECONCILED)
    assert run.success
    want = pipeline.truth(window)
    assert spends(want, {doomed.ad_id}).keys() == {("42", day) for day in window}
    assert pipeline.rows("ad_actuals", *FIGURES) == want
    assert {row["verdict"] for row in pipeline.rows("spend_reconciliation")} == {"exact"}
    assert checks_of(run)["ads_add_up_to_metas_total"].passed
    assert asked_by_id(pipeline) == {doomed.ad_id}
    assert asked_alone(pipeline) == [doomed.ad_id]
    assert missing_of(pipeline, run.run_id) == {"42": 1, "43": 0}


def test_an_ad_known_from_earlier_days_alone_is_asked_for_too(hiding: Hiding, doomed: Ad) -> None:
    last_day = deleted_on(doomed) - A_DAY
    pipeline = hiding(last_day)
    known = DayWindow.trailing(last_day - 2 * A_DAY, 2)
    assert pipeline.run(known, assets=RECONCILED).success

    pipeline.graph.world.now += A_DAY
    window = DayWindow.trailing(last_day, 2)
    run = pipeline.run(window, assets=RECONCILED)
    assert run.success
    on_days = [row for row in pipeline.rows("ad_actuals", *FIGURES) if row["report_date"] in window]
    assert on_days == pipeline.truth(window)
    assert spends(on_days, {doomed.ad_id}).keys() == {("42", day) for day in window}
    assert checks_of(run)["ads_add_up_to_metas_total"].passed
    asked = asked_by_id(pipeline)
    assert doomed.ad_id in asked
    assert missing_of(pipeline, run.run_id)["42"] == len(asked)


def test_an_ad_that_nobody_knew_stays_a_gap_named_to_the_cent_beside_one_that_is_healed(
    hiding: Hiding, doomed: Ad
) -> None:
    last_day = deleted_on(doomed) - A_DAY
    pipeline = hiding(last_day)
    assert pipeline.run(DayWindow.inclusive(last_day, last_day), assets=RECONCILED).success

    pipeline.graph.world.now += A_DAY
    pipeline.graph.calls.clear()
    window = DayWindow.trailing(last_day, 14)
    run = pipeline.run(window, assets=RECONCILED)
    assert run.success
    world = pipeline.graph.world
    never_seen = {
        ad.ad_id
        for account_id in world.account_ids
        for ad in world.ads(account_id)
        if ad.status(world.today(account_id)) == "DELETED" and ad.ad_id != doomed.ad_id
    }
    want = [row for row in pipeline.truth(window) if row["ad_id"] not in never_seen]
    assert pipeline.rows("ad_actuals", *FIGURES) == want
    assert spends(want, {doomed.ad_id})

    lost = spends(pipeline.truth(window), never_seen)
    judged = {
        (row["account_id"], row["report_date"]): row
        for row in pipeline.rows("spend_reconciliation")
    }
    assert {key for key, row in judged.items() if row["verdict"] != "exact"} == lost.keys() != set()
    assert {key: row["spend_difference"] for key, row in judged.items()} == {
        key: lost.get(key, Decimal(0)) for key in judged
    }
    assert len(judged) == 2 * len(window)
    check = checks_of(run)["ads_add_up_to_metas_total"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    named = {(row["account_id"], row["report_date"]) for row in examples(check)}
    assert named == {(account_id, str(day)) for account_id, day in lost}
    asked = asked_by_id(pipeline)
    assert doomed.ad_id in asked
    assert not never_seen & asked
    assert sum(missing_of(pipeline, run.run_id).values()) == len(asked)


def test_an_ad_that_meta_no_longer_answers_for_becomes_a_named_gap(
    hiding: Hiding, doomed: Ad
) -> None:
    last_day = deleted_on(doomed) - A_DAY
    pipeline = hiding(last_day)
    window = DayWindow.inclusive(last_day, last_day)
    assert pipeline.run(window, assets=RECONCILED).success

    pipeline.graph.world.now += A_DAY
    gone = {"error": {"code": 100, "subcode": 33}}
    pipeline.graph.faults.add(Fault(gone, path=f"/{doomed.ad_id}/", times=None))
    run = pipeline.run(window, assets=RECONCILED)
    assert run.success
    (named,) = examples(checks_of(run)["ads_add_up_to_metas_total"])
    hidden = spends(pipeline.truth(window), {doomed.ad_id})["42", last_day]
    assert Decimal(named["spend_difference"]) == hidden > 0
    assert missing_of(pipeline, run.run_id) == {"42": 1, "43": 0}
    assert doomed.ad_id not in {row["ad_id"] for row in pipeline.rows("ad_actuals")}


def test_an_ad_that_had_nothing_is_not_asked_for_again_by_the_next_hours_run(
    hiding: Hiding, doomed: Ad
) -> None:
    last_day = deleted_on(doomed) - A_DAY
    pipeline = hiding(last_day)
    window = DayWindow.inclusive(last_day, last_day)
    assert pipeline.run(window).success

    pipeline.graph.world.now += A_DAY
    gone = {"error": {"code": 100, "subcode": 33}}
    pipeline.graph.faults.add(Fault(gone, path=f"/{doomed.ad_id}/", times=None))
    assert pipeline.run(window).success
    pipeline.graph.calls.clear()
    run = pipeline.run(window)
    assert run.success
    assert asked_by_id(pipeline) == set()
    assert missing_of(pipeline, run.run_id) == {"42": 0, "43": 0}
    # The node, the totals, the ads, and the totals again of the day that does not add up.
    assert len([call for call in pipeline.graph.calls if call.account_id == "42"]) == 4
    (named,) = examples(checks_of(run)["ads_add_up_to_metas_total"])
    assert named["account_id"] == "42", "the gap is still named"
