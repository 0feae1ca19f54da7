"""The report in Dagster's UI: what it says, where it is, and pictures that are pictures."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree

import dagster as dg
import psycopg

from actuals_pipeline.orchestration.report import reported
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import months
from actuals_pipeline.warehouse.tables import TABLES

SVG = "{http://www.w3.org/2000/svg}"
DAY = date(2026, 3, 7)


def test_it_says_what_the_tables_say_and_draws_them(database: str) -> None:
    asset = reported(Settings.from_environment({"ACTUALS_STAND_IN": "1"}))
    postgres = WarehouseResource(database_url=database)

    def metadata() -> dict[str, dg.MetadataValue]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([asset], resources={"postgres": postgres}, instance=instance)
        (made,) = result.asset_materializations_for_node("accuracy_report")
        return dict(made.metadata)

    nothing = metadata()
    assert nothing["says"].value == "Nothing was fetched yet."
    assert not [value for value in nothing.values() if isinstance(value, dg.MarkdownMetadataValue)]

    with psycopg.connect(database) as connection:
        months.make(connection, TABLES["ad_actuals"], months.months_of([DAY]))
        now = datetime(2026, 3, 8, tzinfo=UTC)
        connection.execute(
            "INSERT INTO actuals.meta_account_totals (account_id, report_date, account_name, "
            "currency, time_zone, impressions, clicks, spend, conversions, revenue, "
            "purchase_action_type, is_reported, is_stand_in, api_version, run_id, fetched_at) "
            "VALUES ('42', %s, 'Shoes', 'EUR', 'UTC', 1, 1, 1.5, 0, 0, 'p', true, true, 'v', "
            "'r', %s)",
            [DAY, now],
        )
        connection.execute(
            "INSERT INTO actuals.ad_actuals (account_id, ad_id, report_date, currency, "
            "purchase_action_type, impressions, clicks, link_clicks, spend, conversions, revenue, "
            "is_settled, fetched_at) "
            "VALUES ('42', '6', %s, 'EUR', 'p', 1, 1, 0, %s, 0, 3, false, %s)",
            [DAY, Decimal("1.50"), now],
        )
    shown = metadata()
    assert str(shown["says"].value).startswith("No accuracy may be quoted yet")
    assert (shown["Spend"].value, shown["ROAS"].value) == (
        "1.50 EUR",
        "2.00\N{MULTIPLICATION SIGN}",
    )
    assert shown["page"].value == "http://127.0.0.1:8003/"
    picture = re.search(r"base64,([^)]+)\)", str(shown["spend in EUR"].value))
    assert picture
    drawn = ElementTree.fromstring(base64.b64decode(picture[1]))
    assert drawn.tag == f"{SVG}svg"
    assert drawn.findall(f".//{SVG}path")
    # An image is never shown in which anything could run, or that would have to be fetched.
    assert not [each for each in drawn.iter() if each.tag in {f"{SVG}script", f"{SVG}image"}]
    assert len(picture[1]) < 50_000, "stored for each report"
