"""The documentation is true: its generated parts are fresh, its commands and statements run."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.serving import cli
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import schema
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.guards import generated_docs

TRIED_PAGES = ("fetching", "warehouse", "scaling")
"""Whose commands and statements are typed here; the other pages have tests of their own."""

PAGE = generated_docs.README.read_text("utf-8")

TRIED = [PAGE, *((generated_docs.DOCS / f"{name}.md").read_text("utf-8") for name in TRIED_PAGES)]


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """What a page tells people to type, in its order."""
    lines = [line for block in blocks("console", page) for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_generated_parts_are_what_the_code_says() -> None:
    stale = {
        path.name
        for path, text in generated_docs.written().items()
        if text != path.read_text("utf-8")
    }
    assert not stale, "run `make docs`"


def test_every_link_leads_somewhere() -> None:
    """To a file of the project, and to a heading that it has."""
    pages = [generated_docs.README, *generated_docs.DOCS.glob("*.md")]
    anchors = {page: set(map(anchor, headings(page))) for page in pages}
    lost = {
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if not link.startswith("http")
        if (target := (page.parent / link.partition("#")[0]) if link[0] != "#" else page)
        if not target.exists()
        or (link.partition("#")[2] or None) not in {None, *anchors.get(target.resolve(), set())}
    }
    assert not lost


def test_every_picture_is_shown_and_all_are_small() -> None:
    """Whoever clones the project gets them each time they are taken anew."""
    pages = [generated_docs.README, *generated_docs.DOCS.glob("*.md")]
    shown = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    pictures = set((generated_docs.DOCS / "images").iterdir())
    assert not pictures - shown
    assert sum(picture.stat().st_size for picture in pictures) < 1_500_000


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)


def anchor(heading: str) -> str:
    """As the pages' host makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_command_that_is_mentioned_exists_with_its_options() -> None:
    pages = [generated_docs.README, *generated_docs.DOCS.glob("*.md")]
    mentioned = {
        tuple(re.sub(r"[\[\]]", "", said).split())
        for page in pages
        for said in re.findall(r"`actuals ([^`$]+)`", page.read_text("utf-8"))
    }
    assert len(mentioned) > 20
    unknown = [words for words in mentioned if not is_command(words)]
    assert not unknown


def is_command(words: Sequence[str]) -> bool:
    command: click.Command = cli.main
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            if word not in command.commands:
                return False
            command = command.commands[word]
        elif word.startswith("-") and not any(word in each.opts for each in command.params):
            return False
    return True


def test_every_test_that_is_mentioned_exists() -> None:
    pages = [generated_docs.README, *generated_docs.DOCS.glob("*.md")]
    mentioned = {
        path
        for page in pages
        for path in re.findall(r"`([\w/]*test_\w+\.py)`", page.read_text("utf-8"))
    }
    assert len(mentioned) > 10
    assert not {path for path in mentioned if not (PROJECT_ROOT / path).is_file()}


def test_the_revision_that_is_mentioned_is_the_newest() -> None:
    assert re.findall(r"schema: at revision (\d+)", PAGE) == [schema.revisions()[-1]]


def test_every_target_that_the_page_names_is_in_the_makefile() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text("utf-8")
    targets = {command[1] for command in commands(PAGE) if command[0] == "make"}
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
    delivering = next(ad for ad in world.ads("42") if ad.fate.n_days > 60)
    typed = {tuple(command): None for page in TRIED for command in commands(page)}
    ours = [command for command in typed if command[0] == "actuals"]
    assert len(ours) >= 12
    for command in ours:
        # Days and ids of the pages are of their own time and of nobody's account.
        arguments = [
            delivering.ad_id if is_ad(word) else with_days(word, today) for word in command[1:]
        ]
        done = actuals(*arguments)
        # Nobody runs the daemon here, and so it is not healthy.
        assert done.returncode == (1 if arguments[0] == "status" else 0), (
            f"{command}: {done.stderr}"
        )
    statements = ";".join(block for page in TRIED for block in blocks("sql", page))
    with psycopg.connect(database) as connection:
        for statement in map(str.strip, with_days(statements, today).split(";")):
            if statement:
                assert connection.execute(statement.encode()).fetchall(), statement


def with_days(text: str, today: date) -> str:
    """The text with the pages' days moved to those that the test fetches."""
    moved = {
        "2026-10-01": today - timedelta(days=9),
        "2026-10-31": today - timedelta(days=3),
        "2026-11-03": today,
    }
    return re.sub(r"\d{4}-\d\d-\d\d", lambda day: str(moved[day.group()]), text)


def is_ad(word: str) -> bool:
    return word.isdigit() and len(word) > 10


def test_the_demonstration_prints_what_the_page_shows(
    actuals: Actuals, environment: dict[str, str]
) -> None:
    (shown,) = [block for block in blocks("console", PAGE) if block.startswith("$ make demo")]
    environment["COLUMNS"] = "100"
    done = actuals("demo")
    assert done.returncode == 0, done.stderr
    printed = " ".join(shape(done.stdout))
    for part in shown.partition("\n")[2].split("\n...\n"):
        told = " ".join(shape(part))
        assert told in printed, told
        printed = printed[printed.index(told) + len(told) :]


def shape(text: str) -> list[str]:
    """The words without their figures, which follow the calendar."""
    text = re.sub(r"leaves? out: [^.]*", "leaves out", text)
    # Where a line ends follows from how many digits the figures have.
    text = re.sub(r"[-\d.,]*\d", "0", re.sub(r"[\s─]+", " ", text))
    # From 15:00 UTC it is the day after in Tokyo, where today's figures are then first known.
    told = "It counts figures that were first known later: nobody looked at that time."
    return text.replace(told, "").split()
