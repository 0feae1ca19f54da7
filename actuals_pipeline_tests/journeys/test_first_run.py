"""From an empty database to figures that equal Meta's to the cent, by the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.journeys.conftest import FIGURES, Rows

TABLES_OF_A_RUN = ("raw_meta_insights", "ad_actuals", "spend_reconciliation", "model_accuracy")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_two_imports_and_a_sync_bring_exactly_what_meta_has_and_a_second_sync_changes_nothing(
    actuals: Actuals,
    graph: GraphStandIn,
    stored: Rows,
    truth: Rows,
    versions: Callable[[str], set[tuple[Any, ...]]],
    today: date,
    tmp_path: Path,
) -> None:
    write_csv(tmp_path / "videos.csv", graph.world.videos())
    write_csv(tmp_path / "predictions.csv", graph.world.predictions())
    assert actuals("videos", "import", "videos.csv").returncode == 0
    imported = actuals("predictions", "import", "predictions.csv", "--ctr-unit", "fraction")
    assert imported.returncode == 0, imported.stderr

    done = actuals("sync", "--json")
    assert done.returncode == 0, done.stderr
    window = DayWindow.trailing(today, 7)
    want = truth(window)
    assert len(want) > 50
    assert stored("ad_actuals", *FIGURES) == want

    answer = json.loads(done.stdout)
    spend = {"EUR": Decimal(0), "JPY": Decimal(0)}
    for row in want:
        spend[row["currency"]] += row["spend"]
    shown = {part["currency"]: Decimal(str(part["spend"])) for part in answer["by_currency"]}
    assert shown == spend
    assert answer["status"] == "success"
    assert answer["summary"]["total_spend"] is None, "euros and yen have no sum"
    assert answer["summary"]["total_ads"] == (
        answer["summary"]["successful"] + answer["summary"]["no_data"]
    )
    assert {row["verdict"] for row in stored("spend_reconciliation")} == {"exact"}
    assert {row["model_version"] for row in stored("model_accuracy")} == {"1", "2"}
    # Per account: its node, a page of ads, a page of totals, one of campaigns, one of ad sets.
    assert len(graph.calls) == 10

    before = {table: versions(table) for table in TABLES_OF_A_RUN}
    assert all(before.values())
    assert actuals("sync").returncode == 0
    assert {table: versions(table) for table in TABLES_OF_A_RUN} == before
