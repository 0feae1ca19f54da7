"""What a user meets after the first run: restatements, more accounts, trouble, history."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.journeys.conftest import FIGURES, Rows

TOKEN_EXPIRED = {"code": 190, "subcode": 463, "message": "Session has expired"}
NO_PERMISSION = Fault({"error": {"code": 200}}, account_id="42", times=None)
UNKNOWN = Fault({"error": {"code": 98765}}, account_id="43", times=None)


@pytest.mark.usefixtures("product")
def test_a_restated_day_replaces_the_old_one_and_later_purchases_are_in_it(
    actuals: Actuals, world: World, stored: Rows, truth: Rows, today: date
) -> None:
    window = DayWindow.trailing(today, 7)
    assert actuals("sync").returncode == 0
    first = stored("ad_actuals", *FIGURES)

    world.now += timedelta(days=3)
    assert actuals("sync").returncode == 0
    second = stored("ad_actuals", *FIGURES)
    assert second == truth(window)
    assert sum(row["conversions"] for row in second) > sum(row["conversions"] for row in first)


def test_a_second_account_joins_and_the_first_stays_as_it_was(
    actuals: Actuals,
    environment: dict[str, str],
    stored: Rows,
    truth: Rows,
    versions: Callable[[str], set[tuple[Any, ...]]],
    today: date,
) -> None:
    window = DayWindow.trailing(today, 7)
    environment["META_AD_ACCOUNT_ID"] = "act_42"
    assert actuals("sync").returncode == 0
    assert stored("ad_actuals", *FIGURES) == truth(window, ("42",))
    before = versions("ad_actuals")

    environment["META_AD_ACCOUNT_ID"] = "act_42,act_43"
    assert actuals("sync").returncode == 0
    assert stored("ad_actuals", *FIGURES) == truth(window)
    assert before < versions("ad_actuals")


def test_an_expired_token_is_said_in_one_sentence_and_loses_nothing(
    actuals: Actuals, graph: GraphStandIn, stored: Rows
) -> None:
    assert actuals("sync").returncode == 0
    before = stored("ad_actuals")

    graph.faults.add(Fault({"error": TOKEN_EXPIRED}, times=None))
    refused = actuals("sync")
    assert refused.returncode == 2
    (sentence,) = refused.stderr.splitlines()
    assert "META_ACCESS_TOKEN" in sentence
    assert graph.access_token not in sentence
    assert stored("ad_actuals") == before
    status = json.loads(actuals("status", "--json").stdout)
    assert status["status"] == "unhealthy"
    assert any("session expired" in problem for problem in status["problems"])

    graph.faults.clear()
    assert actuals("sync").returncode == 0


def test_a_failing_account_neither_blocks_nor_erases_the_other(
    actuals: Actuals, graph: GraphStandIn, world: World, stored: Rows, truth: Rows, today: date
) -> None:
    window = DayWindow.trailing(today, 7)
    assert actuals("sync").returncode == 0
    old = [row for row in stored("ad_actuals", *FIGURES) if row["account_id"] == "42"]

    world.now += timedelta(days=2)
    graph.faults.add(Fault({"error": {"code": 200}}, account_id="42", times=None))
    partial = actuals("sync", "--json")
    assert partial.returncode == 2, "the permission is the user's to mend"
    assert "act_42" in partial.stderr
    assert json.loads(partial.stdout)["status"] == "partial"
    assert stored("ad_actuals", *FIGURES) == old + truth(window, ("43",))


@pytest.mark.parametrize(
    ("faults", "variables", "exit_code"),
    [
        ([NO_PERMISSION], {}, 2),
        ([], {"META_AD_ACCOUNT_ID": "act_42,act_999"}, 2),
        ([], {"META_AD_ACCOUNT_ID": "act_999"}, 2),
        ([UNKNOWN], {}, 1),
        ([NO_PERMISSION, UNKNOWN], {}, 1),
    ],
    ids=["permission", "one wrong account", "wrong account", "unknown error", "one of each"],
)
def test_a_failure_that_the_user_can_mend_is_exit_code_2_and_one_of_ours_1(
    faults: list[Fault],
    variables: dict[str, str],
    exit_code: int,
    actuals: Actuals,
    environment: dict[str, str],
    graph: GraphStandIn,
    today: date,
) -> None:
    graph.faults.add(*faults)
    environment.update(variables)
    yesterday = str(today - timedelta(days=1))
    ended = actuals("backfill", "--since", yesterday, "--until", yesterday)
    assert ended.returncode == exit_code
    assert ended.stderr
    assert all(line.startswith("actuals: ") for line in ended.stderr.splitlines())


def test_a_backfill_covers_exactly_its_days_in_one_run_that_asks_month_by_month(
    actuals: Actuals,
    graph: GraphStandIn,
    world: World,
    stored: Rows,
    truth: Rows,
    today: date,
) -> None:
    window = DayWindow.inclusive(today - timedelta(days=50), today - timedelta(days=10))
    done = actuals("backfill", "--since", str(window.since), "--until", str(window.until), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert stored("ad_actuals", *FIGURES) == truth(window)
    assert len(answer["run_ids"]) == 1
    asked = {call.params["time_range"] for call in graph.calls if call.kind == "insights"}
    assert {len(DayWindow.inclusive(*each)) for each in map(days_asked, asked)} == {31, 10}
    days = {row["report_date"] for row in stored("spend_reconciliation")}
    assert days == set(window)
    rows = stored("ad_actuals")
    # The accounts' own today may be another one than ours.
    settled_before = {each: world.today(each) - timedelta(days=28) for each in world.account_ids}
    assert any(row["is_settled"] for row in rows)
    for row in rows:
        assert row["is_settled"] == (row["report_date"] < settled_before[row["account_id"]])


def days_asked(time_range: str) -> tuple[date, date]:
    """The first and the last day of an insights request."""
    asked = json.loads(time_range)
    return date.fromisoformat(asked["since"]), date.fromisoformat(asked["until"])


def test_an_interrupted_backfill_says_so_in_one_sentence_and_goes_on_when_run_again(
    actuals: Actuals,
    environment: dict[str, str],
    graph: GraphStandIn,
    stored: Rows,
    truth: Rows,
    today: date,
    tmp_path: Path,
) -> None:
    window = DayWindow.trailing(today, 7)
    days = ("--since", str(window.since), "--until", str(window.until))
    graph.faults.add(Fault({"delay_seconds": 3}, kind="insights", account_id="42"))
    begun = subprocess.Popen(
        [sys.executable, "-m", "actuals_pipeline", "backfill", *days],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The terminal sends Ctrl-C to everything that a command has started.
        start_new_session=True,
    )
    while not any(call.kind == "account" for call in graph.calls):
        assert begun.poll() is None
        time.sleep(0.05)
    os.killpg(begun.pid, signal.SIGINT)
    _, told = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert told.splitlines() == [
        "actuals: interrupted; each day is wholly old or wholly new: run it again to go on."
    ]

    graph.faults.clear()
    assert actuals("backfill", *days).returncode == 0
    assert stored("ad_actuals", *FIGURES) == truth(window)
