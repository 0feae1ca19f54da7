"""The size that an account's requests had to shrink to: used by later runs, and outgrown again."""

from __future__ import annotations

from datetime import date

import psycopg

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import Pipeline, Row

ASSETS = ("raw_meta_insights", "meta_account_totals")


def logged(pipeline: Pipeline, run_id: str) -> Row:
    (row,) = (row for row in pipeline.rows("fetch_log") if row["run_id"] == run_id)
    return row


def size(log: Row) -> tuple[int, int | None, bool]:
    return log["page_size"], log["days_per_request"], log["as_report"]


def test_a_size_that_worked_is_used_for_a_day_and_then_the_whole_is_tried_again(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 14)
    graph = pipeline.graph.graph

    def fetched() -> tuple[Row, int]:
        """The log of a run, and how many of its calls were refused."""
        pipeline.graph.calls.clear()
        run = pipeline.run(window, assets=ASSETS, META_AD_ACCOUNT_ID="act_42")
        assert run.success
        refused = [call for call in pipeline.graph.calls if call.status != 200]
        return logged(pipeline, run.run_id), len(refused)

    n_rows = len([row for row in pipeline.truth(window) if row["account_id"] == "42"])
    graph.sync_row_limit, graph.async_row_limit = 20, n_rows - 1
    first, refused = fetched()
    assert refused
    assert first["splits"]["days"] == 1
    assert size(first) == (500, 7, True)

    second, refused = fetched()
    assert (refused, second["splits"]) == (0, {}), "nothing is refused that was refused before"
    assert size(second) == size(first)

    # The account has shrunk, or Meta has grown; nobody finds out within a day.
    graph.sync_row_limit = graph.async_row_limit = None
    third, _ = fetched()
    assert size(third) == size(first)

    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute("UPDATE actuals.fetch_log SET started_at = started_at - interval '25 h'")
    fourth, refused = fetched()
    assert (refused, fourth["splits"], size(fourth)) == (0, {}, (500, None, False))
    assert fourth["calls"] < second["calls"]
    want = [row for row in pipeline.truth(window) if row["account_id"] == "42"]
    assert fourth["rows"] == len(want) > 0
