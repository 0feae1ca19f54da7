"""Runs that fail in every way leave no token and no secret in a table, an event or a log."""

from __future__ import annotations

import logging
import traceback
from datetime import date

import psycopg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import JOB_NAME, PROCESS_TAG
from actuals_pipeline.orchestration.resources import MetaApi
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests import left_behind
from actuals_pipeline_tests.orchestration.conftest import Pipeline, exported

BAD_TOKEN = "EAAB-this-token-is-nobodys"
BAD_SECRET = "0123456789abcdef-nobodys-app-secret"
PASSWORD = "a-database-pass-word"


class MetaWithoutSleep(MetaApi):
    """Meta's API whose client does not wait before it calls again."""

    def limits(self) -> Limits:
        return Limits(sleep=lambda _seconds: None)


def test_no_secret_of_a_failing_run_is_kept_anywhere(
    pipeline: Pipeline,
    today: date,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    window = DayWindow.inclusive(today, today)
    echo = {"code": 99999, "message": f"Malformed access token {BAD_TOKEN} of {BAD_SECRET}"}
    database = pipeline.environment["DATABASE_URL"]
    with_password = database.replace("postgres@", f"postgres:{PASSWORD}@")
    assert PASSWORD in with_password
    unknown_database = with_password.replace("/test_", "/unknown_")
    graph, nobody = pipeline.graph.url, "http://127.0.0.1:1"
    failures = (
        (graph, database, None),
        (graph, with_password, Fault({"error": echo}, times=None)),
        (nobody, with_password, None),
        (graph, unknown_database, None),
    )
    for graph_url, database_url, fault in failures:
        pipeline.graph.faults.clear()
        if fault is not None:
            pipeline.graph.faults.add(fault)
        run = pipeline.run(
            window,
            meta=MetaWithoutSleep.of,
            # Such a run gives up where another would wait for Meta.
            tags={PROCESS_TAG: "host:1:2"},
            META_ACCESS_TOKEN=BAD_TOKEN,
            META_APP_SECRET=BAD_SECRET,
            META_GRAPH_URL=graph_url,
            DATABASE_URL=database_url,
        )
        assert not run.success

    printed = capfd.readouterr()
    kept = {
        **{table: text.decode(errors="replace") for table, text in left_behind.of_tables(database)},
        "stdout and stderr": printed.out + printed.err,
        # All but what the server wrote about the calls that it got.
        "log": "\n".join(
            f"{record.getMessage()}\n{record.exc_text or ''}"
            for record in caplog.records
            if not record.name.startswith("uvicorn")
        ),
    }
    # The search would find them: it finds what stands beside them.
    assert "META_ACCESS_TOKEN" in kept["dagster.snapshots"]
    for where in ("dagster.event_logs", "actuals.fetch_log", "stdout and stderr", "log"):
        for told in ("Malformed access token ***", "could not be reached"):
            assert told in kept[where], where
    for where in ("dagster.event_logs", "stdout and stderr"):
        assert "does not answer" in kept[where], where
    proof = appsecret_proof(BAD_SECRET, BAD_TOKEN)
    for where, text in kept.items():
        for secret in (BAD_TOKEN, BAD_SECRET, proof, PASSWORD):
            assert secret not in text, where


def test_not_even_the_locals_of_a_crash_tell_a_secret(pipeline: Pipeline, today: date) -> None:
    database = pipeline.environment["DATABASE_URL"]
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE actuals.fetch_log ADD CHECK (calls < 0)")
    secrets = {
        "META_ACCESS_TOKEN": pipeline.graph.access_token,
        "META_APP_SECRET": pipeline.graph.app_secret,
        "DATABASE_URL": database.replace("postgres@", f"postgres:{PASSWORD}@"),
    }
    settings = Settings.from_environment({**pipeline.environment, **secrets})
    job = build_definitions(settings).resolve_job_def(JOB_NAME)
    with exported(secrets), pytest.raises(psycopg.errors.CheckViolation) as caught:
        job.execute_in_process(instance=pipeline.instance, partition_key=str(today))
    # Without the frame of this test, which knows them all.
    crash = caught.value.with_traceback(caught.tb.tb_next)
    told = "".join(traceback.TracebackException.from_exception(crash, capture_locals=True).format())
    for local in ("meta = MetaApi(app_id=", "postgres = WarehouseResource(", "fetches = ["):
        assert local in told
    for secret in (pipeline.graph.access_token, pipeline.graph.app_secret, PASSWORD):
        assert secret not in told
