"""The documentation is true: its generated parts are fresh, its commands and statements run."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.guards import generated_docs

PAGE = generated_docs.README.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """What the page tells people to type, in its order."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_generated_parts_are_what_the_code_says() -> None:
    stale = "run `make docs`"
    assert generated_docs.with_generated_parts(PAGE) == PAGE, stale
    operations = generated_docs.OPERATIONS.read_text("utf-8")
    assert generated_docs.with_generated_parts(operations) == operations, stale
    assert generated_docs.ENV_EXAMPLE.read_text("utf-8") == generated_docs.env_example(), stale
    assert generated_docs.FAILURES.read_text("utf-8") == generated_docs.failures_page(), stale


def test_every_target_that_the_page_names_is_in_the_makefile() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text("utf-8")
    targets = {command[1] for command in commands() if command[0] == "make"}
    targets |= set(re.findall(r"`make ([\w-]+)", PAGE))
    assert {"demo", "test", "up"} <= targets
    assert not {target for target in targets if f"\n{target}:" not in makefile}


def test_every_benchmark_has_its_place_on_the_page_of_figures() -> None:
    page = (PROJECT_ROOT / "docs" / "performance.md").read_text("utf-8")
    named = set(re.findall(r"-m actuals_pipeline_tests\.benchmarks\.(\w+)$", page, re.MULTILINE))
    folder = PROJECT_ROOT / "actuals_pipeline_tests" / "benchmarks"
    runnable = {path.stem for path in folder.glob("*.py") if "__main__" in path.read_text("utf-8")}
    assert named == runnable


def test_every_command_and_statement_on_the_page_runs(
    actuals: Actuals, database: str, environment: dict[str, str], world: World, tmp_path: Path
) -> None:
    environment["ACTUALS_INVESTMENT_BUDGET"] = "EUR 5,000,000"
    write_csv(tmp_path / "videos.csv", world.videos())
    # The page imports a file in percent.
    percent = [row | {"predicted_ctr": 100 * row["predicted_ctr"]} for row in world.predictions()]
    write_csv(tmp_path / "predictions.csv", percent)
    rate = {"date": world.now.date(), "from": "JPY", "to": "EUR", "rate": "0.0061"}
    write_csv(tmp_path / "rates.csv", [rate])
    today = world.now.date()
    days = iter([today - timedelta(days=9), today - timedelta(days=3), today])
    delivering = next(ad for ad in world.ads("42") if ad.fate.n_days > 60)
    typed = [command for command in commands() if command[0] == "actuals"]
    assert len(typed) >= 9
    for command in typed:
        # Days and ids of the page are of its own time and of nobody's account.
        arguments = [
            str(next(days)) if is_day(word) else delivering.ad_id if is_ad(word) else word
            for word in command[1:]
        ]
        done = actuals(*arguments)
        # Nobody runs the daemon here, and so it is not healthy.
        assert done.returncode == (1 if arguments[0] == "status" else 0), (
            f"{command}: {done.stderr}"
        )
    with psycopg.connect(database) as connection:
        for statement in map(str.strip, with_days("".join(blocks("sql")), today).split(";")):
            if statement:
                assert connection.execute(statement.encode()).fetchall(), statement


def with_days(statements: str, today: date) -> str:
    """The statements with their days moved, so that the last month is the one before today."""
    moved = {"2026-11-03": today, "2026-10-01": today - timedelta(days=30), "2026-10-31": today}
    return re.sub(r"\d{4}-\d\d-\d\d", lambda day: str(moved[day.group()]), statements)


def is_ad(word: str) -> bool:
    return word.isdigit() and len(word) > 10


def is_day(word: str) -> bool:
    try:
        date.fromisoformat(word)
    except ValueError:
        return False
    return len(word) == 10


def test_the_demonstration_prints_what_the_page_shows(
    actuals: Actuals, environment: dict[str, str]
) -> None:
    (shown,) = [block for block in blocks("console") if block.startswith("$ make demo")]
    environment["COLUMNS"] = "100"
    done = actuals("demo")
    assert done.returncode == 0, done.stderr
    assert shape(done.stdout) == shape(shown.partition("\n")[2])


def shape(text: str) -> list[str]:
    """The words without their figures, which follow the calendar."""
    text = re.sub(r"leaves? out: [^.]*", "leaves out", text)
    # Where a line ends follows from how many digits the figures have.
    text = re.sub(r"[-\d.,]*\d", "0", re.sub(r"[\s─]+", " ", text))
    # From 15:00 UTC it is the day after in Tokyo, where today's figures are then first known.
    told = "It counts figures that were first known later: nobody looked at that time."
    return text.replace(told, "").split()
