"""What the page says, as plain data: sentences, tiles and tables, and columns for the charts.

Nothing here depends on a clock: the same rows make the same page.  How old the newest fetch is
gets told by the reader's own clock, in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actuals_pipeline.serving.report import columns, scores, tables, tiles
from actuals_pipeline.serving.report.headline import Headline, headline_of
from actuals_pipeline.serving.report.reading import Reading, Row
from actuals_pipeline.serving.report.scores import Score
from actuals_pipeline.serving.report.tables import Table
from actuals_pipeline.serving.report.tiles import Tile


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the page shows; `data` is what its script draws and filters."""

    title: str
    source: str
    window: str
    fetched_at: str
    is_empty: bool
    headline: Headline
    score: Score | None
    tiles: Sequence[Tile]
    tables: Mapping[str, Table]
    notes: Mapping[str, str]
    data: Mapping[str, Any]


def contents_of(reading: Reading) -> Contents:
    """The page's contents."""
    window = reading.window
    accounts = reading["accounts"]
    newest = max((row["fetched_at"] for row in accounts), default=None)
    return Contents(
        title="What the ads did",
        source=_source(accounts),
        window=f"{window.since} to {window.until}" if window else "no day yet",
        fetched_at=newest.isoformat() if newest else "",
        is_empty=not accounts,
        headline=headline_of(reading["models"], is_empty=not accounts),
        score=scores.best(reading["models"]),
        tiles=[] if window is None else tiles.tiles_of(reading),
        tables={table.key: table for table in tables.tables_of(reading)},
        notes=_notes(reading),
        data={} if window is None else columns.data_of(reading),
    )


def _notes(reading: Reading) -> dict[str, str]:
    """Why a chart is empty and what to do, by the chart; nothing where it is not."""
    notes = {}
    if not reading["days"]:
        notes["trends"] = "No delivery on these days. Choose other days, or run `actuals sync`."
    if not reading["pairs"]:
        notes["scatter"] = (
            "No prediction can be compared yet: load them with `actuals predictions import FILE` "
            "before the ads run."
        )
    if not reading["development"]:
        notes["development"] = "No day has been followed yet; the first run of the assets does it."
    if len({(row["account_id"], row["as_of_date"]) for row in reading["restated"]}) <= len(
        {row["account_id"] for row in reading["restated"]}
    ):
        notes["restated"] = (
            "All figures are of a single day so far. From the second day of fetching on, this "
            "shows what Meta added to and took from each report day."
        )
    if not any(
        row["account_quota_percent"] or row["app_quota_percent"] for row in reading["fetches"]
    ):
        notes["quota"] = "Meta has named no use of its limits yet."
    return notes


def _source(accounts: Sequence[Row]) -> str:
    if not accounts:
        return ""
    made_up = [row for row in accounts if row["is_stand_in"]]
    if not made_up:
        return ""
    if len(made_up) == len(accounts):
        return "Stand-in data: made up by the local Graph API stand-in, not by Meta."
    return "Some of these figures are made up by the local Graph API stand-in, not by Meta."
