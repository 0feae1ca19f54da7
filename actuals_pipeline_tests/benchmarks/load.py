"""How long the whole write path takes, beside a bare COPY of the same rows into the same table.

    python -m actuals_pipeline_tests.benchmarks.load [--rows 100000] [--repetitions 5] [--profile]

Two tables, each partitioned, indexed and constrained as an installation has them: the payloads as
Meta sends them, and the typed figures, whose write includes their revisions.  Measured in turns:

    COPY     the floor: tuples through psycopg's `write_row`, committed, into the emptied table
    load     `store.replace_in_transaction` of the same rows, into the emptied table
    no news  the same once more: everything is compared, nothing written
    1 % new  once more, with another spend in every hundredth row

`--profile` shows where a load of the figures spends its time.  Takes about five minutes.
"""

from __future__ import annotations

import cProfile
import json
import pstats
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any, Final

import click
import pandas as pd
import psycopg
from psycopg import sql
from sqlalchemy import Table

from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.frames import empty_frame
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.videos import VIDEOS
from actuals_pipeline.warehouse import store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import ad_actuals, raw_meta_insights
from actuals_pipeline_tests.benchmarks.fetch_month import ACCOUNT, Account, omni
from actuals_pipeline_tests.benchmarks.measuring import (
    Cost,
    Ground,
    dead_rows,
    own_ground,
    wal_kilobytes,
)

DAYS: Final = 50
"""Two months and a bit: three partitions."""

CHANGED: Final = 100
"""Every how manieth row differs in a refresh with news."""

FETCHED_AT: Final = datetime(2026, 3, 8, 15, tzinfo=UTC)
TODAY: Final = date(2026, 3, 8)


@dataclass(frozen=True)
class Content:
    """The rows of a table, and the same with a change in every hundredth."""

    table: Table
    rows: pd.DataFrame
    changed: pd.DataFrame
    covered: tuple[Slice, ...]

    def tuples(self) -> list[tuple[Any, ...]]:
        """The rows as psycopg takes them."""
        columns = (self.rows[column.name] for column in self.table.columns)
        plain = (each.astype(object).where(each.notna(), None).tolist() for each in columns)
        return list(zip(*plain, strict=True))


def contents(n_rows: int) -> list[Content]:
    """Rows as the stand-in answers them, of as many ads as `n_rows` needs."""
    account = Account(n_rows // DAYS, DAYS)
    payloads = json.loads(account.page(0, n_rows))["data"]
    changed = [_changed(row) if n % CHANGED == 0 else row for n, row in enumerate(payloads)]
    covered = (Slice(account.window, ACCOUNT, None, FETCHED_AT, TODAY),)
    fetched_on = {(ACCOUNT, day): TODAY for day in account.window}
    return [
        Content(raw_meta_insights, _raw(payloads), _raw(changed), covered),
        Content(ad_actuals, _typed(payloads, fetched_on), _typed(changed, fetched_on), covered),
    ]


def _changed(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "spend": str(Decimal(payload["spend"]) + 1)}


def _raw(payloads: list[dict[str, Any]]) -> pd.DataFrame:
    n = len(payloads)
    return pd.DataFrame(
        {
            "account_id": pd.Series([ACCOUNT] * n, dtype="str"),
            "ad_id": pd.Series([row["ad_id"] for row in payloads], dtype="str"),
            "report_date": pd.Series(
                [date.fromisoformat(row["date_start"]) for row in payloads], dtype="object"
            ),
            "payload": pd.Series([json.dumps(row) for row in payloads], dtype="str"),
            "api_version": pd.Series(["v26.0"] * n, dtype="str"),
            "run_id": pd.Series(["run"] * n, dtype="str"),
            "fetched_at": pd.Series([FETCHED_AT] * n, dtype="datetime64[us, UTC]"),
        }
    )


def _typed(
    payloads: list[dict[str, Any]], fetched_on: dict[tuple[str, date], date]
) -> pd.DataFrame:
    insights = parse_insights(payloads, purchase_action_type=omni, fetched_at=FETCHED_AT)
    return normalize(insights, empty_frame(VIDEOS), fetched_on)


def copy(url: str, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """The floor: the rows into the table and nothing else."""
    target = sql.Identifier(str(table.schema), table.name)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)
    with psycopg.connect(url) as connection, connection.cursor().copy(statement) as destination:
        for row in rows:
            destination.write_row(row)


def emptied(url: str) -> None:
    """No row in any table, and nothing left to write to disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE actuals.raw_meta_insights, actuals.ad_actuals, actuals.ad_actuals_revisions"
        )
        connection.execute("CHECKPOINT")


def replacing(url: str, content: Content, rows: pd.DataFrame) -> Callable[[], object]:
    """The write path, ready to go."""
    given = CoveredRows(rows, content.covered)
    return partial(store.replace_in_transaction, Warehouse(url), content.table, given)


@dataclass
class Measured:
    """The cost of each turn; what a refresh without news left behind."""

    floor: list[Cost] = field(default_factory=list)
    load: list[Cost] = field(default_factory=list)
    no_news: list[Cost] = field(default_factory=list)
    news: list[Cost] = field(default_factory=list)
    wal_kilobytes: list[float] = field(default_factory=list)
    dead_rows: int = 0


def measured(ground: Ground, content: Content, repetitions: int) -> Measured:
    url, tuples = ground.url, content.tuples()
    old, new = (replacing(url, content, rows) for rows in (content.rows, content.changed))
    old()  # Makes the months.
    it = Measured()
    for _ in range(repetitions):
        emptied(url)
        it.floor.append(ground.cost(lambda: copy(url, content.table, tuples)))
        emptied(url)
        it.load.append(ground.cost(old))
        # What reads a row first notes in its page that it is committed, and that is logged too.
        read_all(url, content.table)
        dead = dead_rows(url)
        it.wal_kilobytes.append(wal_kilobytes(url, lambda: it.no_news.append(ground.cost(old))))
        it.dead_rows += dead_rows(url) - dead
        it.news.append(ground.cost(new))
    return it


def read_all(url: str, table: Table) -> None:
    with psycopg.connect(url) as connection:
        query = sql.SQL("SELECT count(*) FROM {}")
        connection.execute(query.format(sql.Identifier(str(table.schema), table.name)))


def profile(url: str, content: Content) -> None:
    load = replacing(url, content, content.rows)
    load()
    emptied(url)
    with cProfile.Profile() as profiler:
        load()
    pstats.Stats(profiler).sort_stats("cumtime").print_stats(30)


def lines(content: Content, it: Measured) -> Iterator[str]:
    yield f"{content.table.name}, {len(content.rows):,} rows"
    for name, costs, goal in (
        ("COPY", it.floor, ""),
        ("load", it.load, "2.0"),
        ("no news", it.no_news, ""),
        ("1 % new", it.news, "1.0"),
    ):
        wall, cpu = (median(getattr(each, of) for each in costs) for of in ("wall", "cpu"))
        wall_floor, cpu_floor = (
            median(getattr(each, of) for each in it.floor) for of in ("wall", "cpu")
        )
        yield (
            f"{name:>10}{wall:>8.2f}{wall / wall_floor:>8.2f}{goal:>6}"
            f"{cpu:>10.2f}{cpu / cpu_floor:>8.2f}"
        )
    yield (
        f"   without news: {min(it.wal_kilobytes):,.0f} kB of WAL, "
        f"{it.dead_rows} dead rows after {len(it.floor)} refreshes"
    )


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Rows of each table.")
@click.option("--repetitions", default=5, show_default=True)
@click.option("--profile", "profiles", is_flag=True, help="Profile a load of the figures instead.")
def main(*, rows: int, repetitions: int, profiles: bool) -> None:
    """Print each write's seconds and its ratio to COPY."""
    both = contents(rows)
    with own_ground() as ground:
        if profiles:
            profile(ground.url, both[1])
            return
        click.echo(f"{'':>10}{'wall s':>8}{'ratio':>8}{'goal':>6}{'CPU s':>10}{'ratio':>8}")
        for content in both:
            for line in lines(content, measured(ground, content, repetitions)):
                click.echo(line)


if __name__ == "__main__":
    main()
