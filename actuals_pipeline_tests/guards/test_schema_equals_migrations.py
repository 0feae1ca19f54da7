"""Migrations, step by step, and `tables.py`, at once, build one and the same schema."""

from __future__ import annotations

import re
import subprocess

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actuals_pipeline.warehouse import schema
from actuals_pipeline.warehouse.embedded import postgres_programs
from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline.warehouse.urls import sqlalchemy_url

ONLY_IN_MIGRATIONS = ("actuals.schema_version", "public.performance_metrics")


@pytest.fixture
def declared(empty_database: str) -> str:
    """The URL of a database made of `tables.py` alone."""
    with create_engine(sqlalchemy_url(empty_database), poolclass=NullPool).begin() as connection:
        schema.create_declared(connection)
    return empty_database


def dump(url: str) -> str:
    finished = subprocess.run(
        [
            postgres_programs() / "pg_dump",
            "--schema-only",
            "--schema=actuals",
            "--schema=public",
            *(f"--exclude-table={name}" for name in ONLY_IN_MIGRATIONS),
            f"--dbname={url}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    # A key made up for each dump, against what a hostile server may have put into it.
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", finished.stdout)


def test_migrations_make_what_is_declared(database: str, declared: str) -> None:
    got, want = dump(database), dump(declared)
    assert got == want
    names = {
        *(f"actuals.{name}" for name in TABLES),
        *("public.videos", "public.predictions", "public.budgets"),
    }
    assert set(re.findall(r"(?m)^CREATE TABLE (\S+) ", got)) == names


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE actuals.ad_actuals DROP CONSTRAINT ad_actuals_spend_check",
        "ALTER TABLE actuals.ad_actuals RENAME CONSTRAINT ad_actuals_spend_check TO other",
        "COMMENT ON COLUMN actuals.ad_actuals.spend IS NULL",
        "COMMENT ON TABLE public.videos IS NULL",
        "ALTER TABLE actuals.ad_actuals ALTER reach SET NOT NULL",
        "ALTER TABLE actuals.ad_actuals ALTER spend TYPE numeric(20, 2)",
        "ALTER TABLE public.videos ALTER created_at DROP DEFAULT",
        "ALTER TABLE actuals.ad_actuals ADD extra text",
        "DROP INDEX actuals.ad_actuals_ad_id_idx",
    ],
)
def test_the_comparison_notices(declared: str, change: str) -> None:
    before = dump(declared)
    with psycopg.connect(declared) as connection:
        connection.execute(change.encode())
    assert dump(declared) != before
