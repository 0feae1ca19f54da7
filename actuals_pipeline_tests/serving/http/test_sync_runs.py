"""The Dagster job over HTTP: one run for all who ask at once, its summary, its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.serving.installation import OF_A_RUN
from actuals_pipeline.settings import SECRETS
from actuals_pipeline_tests.serving.conftest import Stored, eventually, processes_of
from actuals_pipeline_tests.serving.http.conftest import STATUS, SYNC, TOKEN, Api, Serve
from actuals_pipeline_tests.serving.http.test_refusals import told
from actuals_pipeline_tests.serving.test_json_contracts import SUMMARY_OF_A_SYNC
from actuals_pipeline_tests.serving.test_up import seen_by


def test_callers_at_once_share_one_run_and_each_counts_its_own_ads(
    api: Api, stored: Stored, product: None
) -> None:
    begun = api.post(SYNC, wait=False)
    assert (begun.status, begun.body["status"]) == (202, "running")
    run_id, address = begun.body["run_id"], begun.headers["location"]
    assert (begun.body["answer_at"], address) == (address, f"{SYNC}/{run_id}")
    assert api.get(address).status == 202

    ages = [{}, {"min_age_hours": 0, "max_age_days": 3660}, {"max_age_days": 1}]
    with ThreadPoolExecutor(len(ages)) as callers:
        got = list(callers.map(lambda each: api.post(SYNC, **each), ages))
    for answer in got:
        assert (answer.status, answer.body["status"]) == (200, "success")
        assert answer.body["run_ids"] == [run_id]
        summary = answer.body["summary"]
        assert set(summary) == SUMMARY_OF_A_SYNC
        outcomes = ("successful", "failed", "rate_limited", "no_data")
        assert sum(summary[name] for name in outcomes) == summary["total_ads"]
    usual, every, none = [answer.body["summary"] for answer in got]
    assert every["total_ads"] > usual["total_ads"] > none["total_ads"] == 0
    assert {row["run_id"] for row in stored("fetch_log")} == {run_id}
    assert len(stored("ad_actuals")) > 0

    after = api.get(address)
    assert (after.status, after.body) == (200, got[0].body)
    # What is remembered of it is the whole run, not its fetches alone.
    last = api.get(STATUS).body["scheduler"]["last_summary"]
    assert last["duration_seconds"] > sum(row["duration_seconds"] for row in stored("fetch_log"))
    # The next one is a run of its own.
    assert api.post(SYNC, wait=False).body["run_id"] != run_id


def test_a_run_that_meta_refuses_is_told_as_a_fetch_is_and_knows_no_secret_of_callers(
    serve: Serve, graph: GraphStandIn, stored: Stored, environment: dict[str, str]
) -> None:
    graph.faults.add(Fault({"error": {"code": 200}}, times=None))
    others = {
        "ACTUALS_API_TOKEN": TOKEN,
        "META_WEBHOOK_VERIFY_TOKEN": "of-the-interface-as-well",
        "ALERT_URLS": "json://127.0.0.1:1/nobody",
    }
    ours = {"Authorization": f"Bearer {TOKEN}"}
    with serve(**others) as api:
        run_id = api.asked("POST", SYNC, {"wait": False}, headers=ours).body["run_id"]
        eventually(lambda: bool(executing(run_id, environment)))
        (pid,) = executing(run_id, environment)
        assert seen_by(pid) & SECRETS == OF_A_RUN
        answer = api.asked("POST", SYNC, headers=ours)
    assert told(answer) == (403, "refused_by_meta")
    assert {row["outcome"] for row in stored("fetch_log")} == {"refused"}


def executing(run_id: str, environment: dict[str, str]) -> list[int]:
    processes = processes_of(Path(environment["ACTUALS_HOME"]))
    return [pid for pid, said in processes.items() if run_id in said]
