"""The demonstration: what it shows is what was made up, and it touches nothing that is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.serving.conftest import (
    Command,
    eventually,
    processes_of,
    rows_anywhere,
    sentence_of,
)
from actuals_pipeline_tests.serving.up import free_port

DEMONSTRATE = """
import json, shlex, subprocess, sys
from actuals_pipeline.serving import answers, demo

with demo.world(3) as shown:
    # What another terminal would be told, while the demonstration is open.
    actuals = (sys.executable, "-c", "from actuals_pipeline.serving.cli import main; main()")
    command = shlex.join([*actuals, "summary", "--json"])
    asked = subprocess.check_output(f"{demo.export(shown.installation)} && {command}", shell=True)
    told = {"now": shown.clock.instant, "answer": shown.answer}
    print(answers.as_json({**told, "asked": json.loads(asked)}))
"""


def test_the_demonstration_shows_the_made_up_truth_and_leaves_what_is_real_alone(
    environment: dict[str, str], graph: GraphStandIn, database: str, home: Path, tmp_path: Path
) -> None:
    # Somebody's real installation, of which nothing may be asked and in which nothing written.
    real = environment | {
        "ACTUALS_HOME": str(home),
        "ACTUALS_PURCHASE_ACTION_TYPE": "lead",
        "ACTUALS_INVESTMENT_BUDGET": "USD 17",
        "ACTUALS_INVESTMENT_START": "2900-01-01",
        "ACTUALS_STAND_IN": "",
        "ACTUALS_START_DATE": "2900-01-01",
        "META_API_VERSION": "of my own",
        "META_APP_SECRET": "a real secret",
    }
    del real["META_ACCESS_TOKEN"]
    (tmp_path / ".env").write_text("META_ACCESS_TOKEN=a-real-token\n")
    started = datetime.now(UTC)
    done = subprocess.run(
        [sys.executable, "-c", DEMONSTRATE],
        cwd=tmp_path,
        env={**os.environ, **real},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not graph.calls
    assert not rows_anywhere(database)
    assert [path.name for path in home.iterdir()] == ["demo"]
    eventually(lambda: not processes_of(home))

    shown = json.loads(done.stdout, parse_float=Decimal)
    answer, now = shown["answer"], datetime.fromisoformat(shown["now"])
    assert shown["asked"]["by_currency"] == answer["by_currency"]
    assert shown["asked"]["total_spend"] == answer["total_spend"]
    assert answer["source"] == "stand-in"
    assert started <= now <= datetime.now(UTC)
    window = DayWindow.inclusive(
        *(date.fromisoformat(answer["window"][e]) for e in ("since", "until"))
    )
    assert window == DayWindow.trailing(now.date(), 3)
    world = World(now=now)
    want: dict[str, dict[str, Decimal]] = {}
    for account_id in world.account_ids:
        for row in world.truth(account_id, window):
            total = want.setdefault(row["currency"], {})
            for name in ("spend", "revenue", "conversions", "impressions", "clicks"):
                total[name] = total.get(name, Decimal(0)) + row[name]
    assert set(want) == {"EUR", "JPY", "USD"}
    for part in answer["by_currency"]:
        total = want.pop(part["currency"])
        assert {name: part[name] for name in total} == total
    assert not want
    made_up_rates = {"EUR": Decimal(1), "JPY": Decimal("0.0061"), "USD": Decimal("0.92")}
    in_euros = sum(
        part["spend"] * made_up_rates[part["currency"]] for part in answer["by_currency"]
    )
    invested = answer["investment"]
    assert (invested["currency"], invested["total"], invested["since"]) == (
        "EUR", 250_000, str(window.since),
    )  # fmt: skip
    assert abs(answer["total_spend"] - in_euros) < Decimal("0.01")
    assert abs(invested["spent"] - in_euros) < Decimal("0.01")
    assert {row["verdict"] for row in answer["reconciliation"]} == {"exact"}
    to_date = [row for row in answer["models"] if row["is_provisional"]]
    assert [row["model_version"] for row in to_date] == ["2", "1"]


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_port_that_is_taken_is_said_before_anything_is_made(
    option: str, command: Command, taken_port: int, tmp_path: Path
) -> None:
    ports = {"--port": free_port(), "--http-port": free_port(), option: taken_port}
    arguments = [f"{name}={port}" for name, port in ports.items()]
    told = sentence_of(command("demo", "--keep", *arguments))
    assert told.startswith(f"Port {taken_port} of 127.0.0.1 cannot be used")
    assert told.endswith(f"choose another with {option}.")
    assert not (tmp_path / "home" / "demo").exists()
