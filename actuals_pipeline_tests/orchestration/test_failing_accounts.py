"""An account that cannot be fetched stops nobody else and loses nothing; what a run does then."""

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType

from actuals_pipeline.errors import (
    ActualsError,
    FrameMismatch,
    InputError,
    MetaError,
    MetaRefused,
    MetaThrottled,
    MetaUnavailable,
    ReportFailed,
    SchemaOutOfDate,
    SettingsError,
    UnexpectedPayload,
    WarehouseUnavailable,
)
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.orchestration.jobs import PROCESS_TAG
from actuals_pipeline.orchestration.reactions import (
    DEFAULT_WAIT_SECONDS,
    MAX_WAITS,
    reacting_to_errors,
)
from actuals_pipeline.orchestration.resources import MetaApi
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers, single_ad
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.orchestration.conftest import (
    DAILY_ASSETS,
    FIGURES,
    RECONCILED,
    Pipeline,
    checks_of,
    examples,
)

TOKEN_EXPIRED = {"error": {"code": 190, "subcode": 463}}
NO_PERMISSION = {"error": {"code": 200}}


class MetaWithoutPatience(MetaApi):
    """Meta's API whose client waits for nothing itself and leaves every limit to the step."""

    def limits(self) -> Limits:
        return Limits(sleep=lambda _seconds: None, budget_seconds=0)


def limit(seconds: float) -> dict[str, Any]:
    """The effect of a call limit that Meta lifts after so many seconds."""
    usage = json.dumps({"acc_id_util_pct": 100, "reset_time_duration": seconds})
    return {"error": {"code": 17}, "headers": {"x-ad-account-usage": usage}}


def events_of(run: dg.ExecuteInProcessResult, kind: DagsterEventType) -> list[Any]:
    return [event for event in run.all_events if event.event_type == kind]


def outcomes(pipeline: Pipeline, run_id: str) -> list[tuple[str, str, str | None]]:
    return [
        (row["account_id"], row["outcome"], row["error_class"])
        for row in pipeline.rows("fetch_log")
        if row["run_id"] == run_id
    ]


def test_one_account_that_fails_keeps_its_old_days_while_the_others_are_brought_up_to_date(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 3)
    assert pipeline.run(window, assets=RECONCILED).success
    tables = ("raw_meta_insights", "meta_account_totals", "ad_actuals", "spend_reconciliation")
    before = {table: pipeline.versions(table) for table in tables}
    known = pipeline.rows("ad_actuals", *FIGURES)

    pipeline.graph.world.now += timedelta(days=2)
    pipeline.graph.faults.add(Fault(NO_PERMISSION, account_id="43", times=None))
    run = pipeline.run(window, assets=RECONCILED)

    assert run.success
    want = [row for row in pipeline.truth(window) if row["account_id"] == "42"]
    want += [row for row in known if row["account_id"] == "43"]
    assert pipeline.rows("ad_actuals", *FIGURES) == want != known
    for table in tables:
        kept = {key: row for key, row in before[table].items() if key[0] == "43"}
        after = {key: row for key, row in pipeline.versions(table).items() if key[0] == "43"}
        assert after == kept != {}, table
    check = checks_of(run)["every_account_was_fetched"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (named,) = examples(check)
    assert (named["account_id"], named["outcome"]) == ("43", "refused")
    assert "permission denied" in named["error_message"]
    assert outcomes(pipeline, run.run_id) == [
        ("42", "complete", None),
        ("43", "refused", "MetaRefused"),
    ]
    # Each day says so too, for its partition is green: what could be fetched was.
    shown = [pipeline.metadata("raw_meta_insights", day) for day in window]
    assert [each["accounts_not_fetched"] for each in shown] == [1, 1, 1]
    fetches = pipeline.table("raw_meta_insights", today, "fetches")
    assert [(each["account_id"], each["outcome"]) for each in fetches] == [
        ("43", "refused"),
        ("42", "complete"),
    ]


@pytest.mark.parametrize("level", ["ad", "account"])
@pytest.mark.parametrize(
    "effect",
    [{"drop_field": "account_currency"}, {"merge": {"data": [{"spend": "a lot"}]}}],
    ids=["no currency", "no number"],
)
def test_an_account_whose_rows_cannot_be_parsed_fails_alone(
    level: str, effect: dict[str, Any], pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 2)
    level_asked = f"^level={level}$"
    pipeline.graph.faults.add(Fault(effect, account_id="43", params=level_asked, times=None))
    run = pipeline.run(window, assets=RECONCILED)
    assert run.success
    assert outcomes(pipeline, run.run_id) == [
        ("42", "complete", None),
        ("43", "failed", "UnexpectedPayload"),
    ]
    want = [row for row in pipeline.truth(window) if row["account_id"] == "42"]
    assert pipeline.rows("ad_actuals", *FIGURES) == want != []


def test_a_run_in_which_every_account_is_refused_fails_at_once_and_touches_nothing(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 2)
    assert pipeline.run(window, assets=RECONCILED).success
    before = {asset: pipeline.versions(asset) for asset in DAILY_ASSETS}

    pipeline.graph.faults.add(Fault(TOKEN_EXPIRED, times=None))
    run = pipeline.run(window, assets=RECONCILED)

    assert not run.success
    assert {asset: pipeline.versions(asset) for asset in DAILY_ASSETS} == before
    assert events_of(run, DagsterEventType.STEP_UP_FOR_RETRY) == []
    (failure,) = events_of(run, DagsterEventType.STEP_FAILURE)
    assert failure.step_key == "meta_insights_fetch"
    said = failure.step_failure_data.user_failure_data.description
    assert said.startswith("Meta refused the token for account act_42 (190/463, session expired):")
    assert outcomes(pipeline, run.run_id) == [
        (account_id, "refused", "MetaRefused") for account_id in ("42", "43")
    ]


def test_a_run_in_which_every_account_is_throttled_waits_as_long_as_meta_says_and_goes_on(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.inclusive(today, today)
    for account_id, seconds in (("42", 0.05), ("43", 0.11)):
        pipeline.graph.faults.add(Fault(limit(seconds), account_id=account_id))
    run = pipeline.run(window, meta=MetaWithoutPatience.of)

    assert run.success
    (waited,) = events_of(run, DagsterEventType.STEP_UP_FOR_RETRY)
    assert waited.step_retry_data.seconds_to_wait == 0.11
    assert pipeline.rows("ad_actuals", *FIGURES) == pipeline.truth(window)
    assert outcomes(pipeline, run.run_id) == [
        ("42", "rate_limited", "MetaThrottled"),
        ("43", "rate_limited", "MetaThrottled"),
        ("42", "complete", None),
        ("43", "complete", None),
    ]
    assert checks_of(run)["every_account_was_fetched"].passed, "in the end it was"


def test_a_run_of_the_command_line_does_not_wait_for_meta(pipeline: Pipeline, today: date) -> None:
    pipeline.graph.faults.add(Fault(limit(0.05), times=None))
    run = pipeline.run(
        DayWindow.inclusive(today, today),
        meta=MetaWithoutPatience.of,
        tags={PROCESS_TAG: "host:1:2"},
    )
    assert not run.success
    assert events_of(run, DagsterEventType.STEP_UP_FOR_RETRY) == []
    assert len(events_of(run, DagsterEventType.STEP_FAILURE)) == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (MetaThrottled("wait", retry_after=7), 7),
        (MetaThrottled("wait"), DEFAULT_WAIT_SECONDS),
        (MetaUnavailable("gone"), DEFAULT_WAIT_SECONDS),
    ],
    ids=["told how long", "not told how long", "unreachable"],
)
def test_what_passes_is_waited_for(error: MetaError, seconds: float) -> None:
    waits = reaction_to(error)
    assert isinstance(waits, dg.RetryRequested)
    assert (waits.seconds_to_wait, waits.max_retries) == (seconds, MAX_WAITS)

    ends = reaction_to(error, tags={PROCESS_TAG: "host:1:2"})
    assert isinstance(ends, dg.RetryRequested)
    assert ends.max_retries == 0


@pytest.mark.parametrize("kind", [MetaRefused, InputError, SettingsError, SchemaOutOfDate])
def test_what_a_person_must_mend_is_said_in_its_own_words_and_not_repeated(
    kind: Callable[[str], ActualsError],
) -> None:
    failure = reaction_to(kind("Do this."))
    assert isinstance(failure, dg.Failure)
    assert (failure.description, failure.allow_retries) == ("Do this.", False)


@pytest.mark.parametrize(
    "kind", [MetaError, UnexpectedPayload, ReportFailed, FrameMismatch, WarehouseUnavailable]
)
def test_any_other_error_fails_the_step_as_it_is(kind: Callable[[str], ActualsError]) -> None:
    error = kind("something")
    assert reaction_to(error) is error


def reaction_to(error: ActualsError, tags: Mapping[str, str] | None = None) -> BaseException:
    """What an asset raises when it meets `error` in a run with `tags`."""
    raised: list[BaseException] = []

    @dg.asset
    def meets_the_error(context: dg.AssetExecutionContext) -> None:
        try:
            with reacting_to_errors(context):
                raise error
        # What the step does about it is Dagster's, and takes as long as the wait.
        except (dg.RetryRequested, dg.Failure, ActualsError) as reaction:
            raised.append(reaction)

    assert dg.materialize([meets_the_error], tags=tags).success
    (reaction,) = raised
    return reaction


def test_without_a_token_a_run_says_which_variable_is_missing_and_asks_nobody(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.inclusive(today, today)
    failed = {
        "META_ACCESS_TOKEN": pipeline.run(window, META_ACCESS_TOKEN=""),
        "META_AD_ACCOUNT_ID": pipeline.run(window, META_AD_ACCOUNT_ID=""),
    }
    for missing, run in failed.items():
        (failure,) = events_of(run, DagsterEventType.STEP_FAILURE)
        said = failure.step_failure_data.user_failure_data.description
        assert said == f"{missing} is missing; set it and start Dagster again."
    assert pipeline.graph.calls == []


def test_rows_of_a_single_ad_do_not_break_a_run_in_which_its_account_fails(
    pipeline: Pipeline, today: date
) -> None:
    world = pipeline.graph.world
    window = DayWindow.trailing(today, 3)
    ad_id = next(row["ad_id"] for row in world.truth("43", window) if row["report_date"] == today)
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    answer = single_ad.fetch(warehouse, pipeline.settings, ad_id, days_back=3)
    assert answer["status"] == "success"
    of_the_ad = pipeline.rows("ad_actuals", *FIGURES)
    assert {row["account_id"] for row in of_the_ad} == {"43"}

    pipeline.graph.faults.add(Fault(NO_PERMISSION, account_id="43", times=None))
    run = pipeline.run(window, assets=RECONCILED)

    assert run.success
    want = [row for row in pipeline.truth(window) if row["account_id"] == "42"]
    assert pipeline.rows("ad_actuals", *FIGURES) == [*want, *of_the_ad]
    assert {row["account_id"] for row in pipeline.rows("spend_reconciliation")} == {"42"}


def account_days(pipeline: Pipeline) -> set[tuple[str, date]]:
    rows = pipeline.rows("spend_reconciliation", "account_id", "report_date")
    return {(row["account_id"], row["report_date"]) for row in rows}


def test_a_single_ads_news_leave_its_days_unjudged_until_the_account_is_fetched_again(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 3)
    assert pipeline.run(window, assets=RECONCILED).success
    judged = {
        (row["account_id"], row["report_date"]) for row in pipeline.rows("spend_reconciliation")
    }

    # In the east the newest of these days may be over already: only some ads have news then.
    before = pipeline.graph.world.truth("43", window)
    pipeline.graph.world.now += timedelta(hours=30)
    ad_id = next(
        row["ad_id"] for row in pipeline.graph.world.truth("43", window) if row not in before
    )
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    single_ad.fetch(warehouse, pipeline.settings, ad_id, days_back=3)
    left = {
        (row["account_id"], row["report_date"]) for row in pipeline.rows("spend_reconciliation")
    }
    assert left < judged
    assert {account_id for account_id, _ in judged - left} == {"43"}

    # As long as the account cannot be fetched there is no verdict, and so no false gap.
    pipeline.graph.faults.add(Fault(NO_PERMISSION, account_id="43", times=None))
    run = pipeline.run(window, assets=RECONCILED)
    assert checks_of(run)["ads_add_up_to_metas_total"].passed
    pipeline.graph.faults.clear()
    assert pipeline.run(window, assets=RECONCILED).success
    assert account_days(pipeline) == judged
    assert {row["verdict"] for row in pipeline.rows("spend_reconciliation")} == {"exact"}


def test_a_run_that_fails_after_its_fetch_is_a_problem_that_status_names(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 2)
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    assert pipeline.run(window, assets=RECONCILED).success
    now = pipeline.graph.world.now
    assert answers.scheduler_status(warehouse, pipeline.settings, now)["problems"] == [
        *answers.SCHEDULE_PROBLEMS["no_daemon"]
    ]
    with warehouse.transaction() as connection:
        connection.execute(
            "ALTER TABLE actuals.ad_actuals ADD CONSTRAINT broken CHECK (false) NOT VALID"
        )
    pipeline.graph.world.now += timedelta(hours=30)
    run = pipeline.run(window, assets=RECONCILED)
    assert not run.success
    problems = answers.scheduler_status(warehouse, pipeline.settings, now)["problems"]
    assert f"Run {run.run_id} failed: open it in the Dagster UI." in problems
