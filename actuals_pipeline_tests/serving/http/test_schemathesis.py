"""Schemathesis asks what the served OpenAPI description allows, and forbids; all is as described.

All of its checks: no server error, statuses, content types and headers as described, every answer
of the shape described, what the description forbids refused, what it allows accepted, other methods
refused, and nothing given without the token.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.serving.conftest import Insert
from actuals_pipeline_tests.serving.http.conftest import FETCH, SUMMARY, SYNC, TOKEN, Serve
from actuals_pipeline_tests.serving.test_single_ad import busiest

SETTINGS = """
# The runs of the Dagster job are shared, and go on beside this.
[[operations]]
include-path = "{sync}"
parameters = {{ "query.wait" = false }}

# That a window must not end before it starts cannot be described in OpenAPI.
[[operations]]
include-path = "{summary}"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "422"]
"""

KNOWN = """
[[operations]]
include-path = "{fetch}/{{ad_id}}"
parameters = {{ "path.ad_id" = "{ad_id}" }}

[[operations]]
include-path = "/api/ml/accuracy/{{model}}"
parameters = {{ "path.model" = "ranker" }}
"""
"""With made-up ids alone, all that would be asked for is not there."""


@pytest.fixture
def figures(insert: Insert) -> None:
    """A day of an account with an ad, a score and a fetch."""
    insert("meta_account_totals")
    insert("ad_actuals", impressions=100, clicks=2)
    insert("model_accuracy", prediction_accuracy=92.5, n_pairs=3)
    insert("spend_reconciliation")
    insert("fetch_log", duration_seconds=1.5)


def found(serve: Serve, tmp_path: Path, config: str, *options: str) -> str:
    """What Schemathesis reports of the interface, with a token asked for; "" when it is content."""
    (tmp_path / "schemathesis.toml").write_text(
        SETTINGS.format(summary=SUMMARY, sync=SYNC) + config
    )
    with serve(ACTUALS_API_TOKEN=TOKEN, ACTUALS_API_REQUESTS_PER_MINUTE="1000000") as api:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {TOKEN}"),
                *("--checks=all", "--generation-database=none", "--no-color", *options),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_schemathesis_finds_nothing(
    serve: Serve, world: World, figures: None, tmp_path: Path
) -> None:
    ad_id = busiest(world, DayWindow.trailing(world.today("42"), 7))
    # A run of the Dagster job for each valid request is left to the long test.
    report = found(
        serve,
        tmp_path,
        KNOWN.format(fetch=FETCH, ad_id=ad_id),
        *("--max-examples=3", "--phases=coverage,fuzzing", "--seed=1", f"--exclude-path={SYNC}"),
    )
    assert not report, report


@pytest.mark.slow
@pytest.mark.parametrize("ids", ["known", "made up"])
def test_schemathesis_finds_nothing_for_long(
    ids: str, serve: Serve, world: World, figures: None, tmp_path: Path
) -> None:
    ad_id = busiest(world, DayWindow.trailing(world.today("42"), 7))
    # Every day another one, so that the nights add up.
    seed = datetime.now(UTC).toordinal()
    report = found(
        serve,
        tmp_path,
        KNOWN.format(fetch=FETCH, ad_id=ad_id) if ids == "known" else "",
        *("--max-examples=20", "--request-timeout=60", f"--seed={seed}"),
    )
    assert not report, report
