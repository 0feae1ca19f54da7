"""The few rows that an asset's page shows: of columns that exist, as text, and not many bytes."""

from __future__ import annotations

from decimal import Decimal

import dagster as dg
import pandas as pd

from actuals_pipeline.orchestration.asset_pages import PAGES, PREVIEW_ROWS, preview
from actuals_pipeline.warehouse.tables import TABLES

HOSTILE = "![x](http://a.invalid) <img src=x onerror=alert(1)> | `a`\n#b"


def test_every_preview_shows_columns_of_its_table() -> None:
    for name, page in PAGES.items():
        wanted = {*page.preview, *filter(None, [page.most])}
        assert not wanted or wanted <= {*TABLES[name].columns.keys()}, name
        # More do not fit beside the key and the time that the UI shows before them.
        assert len(page.preview) <= 7, name


def test_rows_are_shown_as_the_text_that_they_are_those_with_most_first() -> None:
    rows = pd.DataFrame(
        {
            "ad_name": [HOSTILE, "x" * 100, *"abcdef"],
            "ctr": [0.123456789, float("nan"), *[0.5] * 6],
            "currency": "EUR",
            "spend": [Decimal("1.20"), *[Decimal(0)] * 7],
            "revenue": Decimal(3),
            "roas": 2.5,
            "impressions": [9, 8, *[1] * 6],
        }
    )
    table = preview("ad_actuals", rows.iloc[::-1])["preview"]
    assert isinstance(table, dg.TableMetadataValue)
    first, second, *others = (record.data for record in table.records)
    assert first == {
        "ad_name": HOSTILE,
        "ctr": 0.1235,
        "currency": "EUR",
        "spend": "1.20",
        "revenue": "3",
        "roas": 2.5,
    }
    assert second["ctr"] is None
    assert second["ad_name"] == f"{'x' * 59}…"
    assert len(others) == PREVIEW_ROWS - 2


def test_of_nothing_nothing_is_shown() -> None:
    assert preview("ad_actuals", pd.DataFrame()) == {}
    assert preview("raw_meta_insights", pd.DataFrame({"ad_id": ["1"]})) == {}
