"""Each route's answer: the specification's keys and units, and what the command line says."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import http
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline_tests.serving.conftest import Command, Insert, Stored
from actuals_pipeline_tests.serving.http.conftest import (
    ACCURACY,
    FETCH,
    STATS,
    STATUS,
    SUMMARY,
    Api,
)
from actuals_pipeline_tests.serving.test_json_contracts import FETCHER_STATS, SUMMARY_OF_A_SYNC
from actuals_pipeline_tests.serving.test_single_ad import busiest, truth

FIGURES = ("impressions", "clicks", "spend", "conversions", "revenue")


def test_an_ad_is_fetched_stored_and_answered_in_one_go(
    api: Api, world: World, stored: Stored, product: None
) -> None:
    window = DayWindow.trailing(world.today("42"), 3)
    ad_id = busiest(world, window)
    answer = api.post(f"{FETCH}/{ad_id}", days_back=3, video_id="v-1")
    assert answer.status == 200
    body = answer.body
    assert {"status", "ad_id", "video_id", "actuals", "saved_to_db", "fetched_at"} <= set(body)
    assert (body["status"], body["ad_id"], body["video_id"]) == ("success", ad_id, "v-1")
    assert body["saved_to_db"] is True
    assert datetime.fromisoformat(body["fetched_at"]).tzinfo is not None
    want = truth(world, window)[ad_id]
    total = {name: sum(row[name] for row in want) for name in FIGURES}
    actuals = body["actuals"]
    assert {name: actuals[name] for name in FIGURES} == total
    assert set(actuals) >= {"ctr", "roas", "reach", "cpm", "cpc"}
    # In percent, as the specification's 1.5.
    percent = (Decimal(100 * total["clicks"]) / total["impressions"]).quantize(Decimal("0.0001"))
    assert actuals["ctr"] == percent
    assert len(stored("ad_actuals")) == len(want)
    (log,) = stored("fetch_log")
    assert (log["kind"], log["outcome"]) == ("ad", "complete")


def test_an_ad_without_delivery_in_the_window_is_no_error_and_has_no_figures(
    api: Api, world: World, stored: Stored
) -> None:
    never = next(ad.ad_id for ad in world.ads("42") if ad.fate.n_days == 0)
    answer = api.post(f"{FETCH}/{never}")
    assert answer.status == 200
    body = answer.body
    assert (body["status"], body["actuals"], body["saved_to_db"]) == ("no_delivery", None, False)
    assert body["message"] == f"Ad {never} has not delivered yet."
    assert not stored("ad_actuals")


def test_reading_routes_say_what_the_command_line_says(
    api: Api, command: Command, insert: Insert
) -> None:
    insert("meta_account_totals")
    insert("ad_actuals", spend=Decimal("2.10"), impressions=100, clicks=2)
    insert("model_accuracy", prediction_accuracy=92.5, n_pairs=3)
    insert("spend_reconciliation")
    insert("fetch_log", duration_seconds=1.5)
    asked = {"since": "2026-03-07", "until": "2026-03-07"}
    for path, arguments, parameters in (
        (STATUS, ("status",), {}),
        (STATS, ("stats",), {}),
        (SUMMARY, ("summary",), {}),
        (SUMMARY, ("summary", "--since", "2026-03-07", "--until", "2026-03-07"), asked),
        (SUMMARY, ("summary", "--as-of", "2026-03-08"), {"as_of": "2026-03-08"}),
    ):
        answer = api.get(path, **parameters)
        said = json.loads(command(*arguments, "--json").stdout, parse_float=Decimal)
        # Of this computer, not of the database.
        said.pop("processes", None)
        assert (answer.status, answer.body) == (200, said), path

    scheduler = api.get(STATUS).body["scheduler"]
    assert set(scheduler) == {
        *("is_running", "interval_hours", "last_run", "last_summary", "fetcher_stats"),
    }
    assert set(scheduler["last_summary"]) == SUMMARY_OF_A_SYNC
    assert set(scheduler["fetcher_stats"]) == FETCHER_STATS
    counts = api.get(STATS).body["stats"]
    assert set(counts) == {*FETCHER_STATS, "meta_api_configured"}
    assert (counts["success_rate"], counts["total_spend_tracked"]) == (100, Decimal("2.1"))


def test_a_models_accuracy_is_its_rows_of_the_summary(api: Api, insert: Insert) -> None:
    insert("meta_account_totals")
    for version in ("1", "2"):
        insert("model_accuracy", model_version=version, n_pairs=int(version))
    insert("model_accuracy", model_name="a/b")
    answer = api.get(f"{ACCURACY}/ranker")
    models = api.get(SUMMARY).body["models"]
    assert answer.status == 200
    assert answer.body["models"] == [row for row in models if row["model_name"] == "ranker"]
    assert [row["model_version"] for row in answer.body["models"]] == ["2", "1"]
    assert len(api.get(f"{ACCURACY}/a%2Fb").body["models"]) == 1
    unknown = api.get(f"{ACCURACY}/nobody")
    assert (unknown.status, unknown.body["error"]["code"]) == (404, "model_not_found")


def test_the_process_lives_and_is_ready(api: Api) -> None:
    assert (api.get("/healthz").status, api.get("/healthz").body) == (200, {"status": "ok"})
    assert (api.get("/readyz").status, api.get("/readyz").body) == (200, {"status": "ready"})


def test_prometheus_reads_freshness_outcomes_reconciliation_and_accuracy(
    api: Api, insert: Insert
) -> None:
    empty = api.get("/metrics").body
    assert 'actuals_fetches_total{outcome="failed"} 0.0' in empty
    now = datetime.now(UTC)
    insert("meta_account_totals", fetched_at=now - timedelta(hours=3))
    # A backfill of old days is no news of today.
    insert("meta_account_totals", report_date=date(2026, 3, 1), fetched_at=now)
    insert("fetch_log", duration_seconds=1.5)
    insert("fetch_log", outcome="rate_limited")
    insert("spend_reconciliation")
    insert("spend_reconciliation", report_date=date(2026, 1, 1))
    insert("model_accuracy", protocol="headline", prediction_accuracy=92.5, n_pairs=3)
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.body.splitlines() if not line.startswith("#")
    )
    age = float(lines['actuals_newest_day_fetched_seconds{account_id="42"}'])
    assert age == pytest.approx(3 * 3600, abs=60)
    assert lines['actuals_fetches_total{outcome="complete"}'] == "1.0"
    assert lines['actuals_fetches_total{outcome="rate_limited"}'] == "1.0"
    assert lines['actuals_fetches_total{outcome="refused"}'] == "0.0"
    assert lines['actuals_reconciled_account_days{currency="EUR",verdict="exact"}'] == "1.0"
    model = '{model_name="ranker",model_version="1",protocol="headline"}'
    assert lines[f"actuals_prediction_accuracy_percent{model}"] == "92.5"


def test_the_routes_are_described(api: Api) -> None:
    paths = api.get("/openapi.json").body["paths"]
    assert {f"{FETCH}/{{ad_id}}", STATUS, STATS, SUMMARY, f"{ACCURACY}/{{model}}"} <= set(paths)
    assert {"/healthz", "/readyz", "/metrics"} <= set(paths)


def test_the_routes_are_described_for_people_without_anything_from_elsewhere(api: Api) -> None:
    answer = api.get("/docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for method, path in (("POST", f"{FETCH}/{{ad_id}}"), ("GET", SUMMARY), ("GET", "/healthz")):
        assert f"<code>{method} {path}</code>" in answer.body
    assert "<td>days_back</td><td>7</td>" in answer.body
    assert not re.search(r"<script|https?:|src=|@import", answer.body)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_about_it_names_every_route_code_and_metric(api: Api, insert: Insert) -> None:
    page = (PROJECT_ROOT / "docs" / "http.md").read_text("utf-8")
    served = {
        (method.upper(), path)
        for path, methods in api.get("/openapi.json").body["paths"].items()
        for method in methods
    }
    described = set(re.findall(r"^\| `(GET|POST) (/\S+)`", page, re.MULTILINE))
    # Meta's own protocol is no part of what is described for callers.
    webhooks = {("GET", "/webhooks/meta"), ("POST", "/webhooks/meta")}
    # Nor is what the page asks for, which goes with the page.
    pages = {("GET", path) for path in ("/openapi.json", "/docs", "/api/ml/ads/{ad_id}/story")}
    assert described == served | webhooks | pages
    source = "".join(path.read_text("utf-8") for path in Path(http.__file__).parent.glob("*.py"))
    codes = set(re.findall(r'\d{3},\s+"([a-z_]+)"', source))
    assert len(codes) > 15
    assert not {code for code in codes if f"`{code}`" not in page}
    insert("meta_account_totals")
    families = re.findall(r"^# TYPE (\S+)", api.get("/metrics").body, re.MULTILINE)
    assert {f"`{name}`" for name in families} <= set(re.findall(r"`actuals_\w+`", page))
