"""One database address in the three spellings that its readers want.

People write `postgres://`, `postgresql://` or a SQLAlchemy URL with a driver.  psycopg wants the
bare form; SQLAlchemy 2.1 takes the bare form for psycopg 3, with which Dagster's Postgres storage
breaks (dagster-io/dagster 33958), so Dagster must be told psycopg2.
"""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.warehouse.tables import DAGSTER_SCHEMA


def libpq_url(url: str) -> str:
    """The address as psycopg and psql take it: `postgresql://...`."""
    return _written(_parsed(url).set(drivername="postgresql"))


def sqlalchemy_url(url: str) -> str:
    """The address as SQLAlchemy takes it, over psycopg 3."""
    return _written(_parsed(url).set(drivername="postgresql+psycopg"))


def dagster_url(url: str) -> str:
    """The address as Dagster takes it: over psycopg2, with its tables in their own schema."""
    options = f"-csearch_path={DAGSTER_SCHEMA}"
    given = _parsed(url).query.get("options")
    if given:
        options = f"{given} {options}"
    chosen = _parsed(url).set(drivername="postgresql+psycopg2")
    return _written(chosen.update_query_dict({"options": options}))


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return _parsed(url).render_as_string(hide_password=True)


def _written(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql" or not parsed.database:
        raise SettingsError(
            "DATABASE_URL cannot be used: write it as postgresql://user:password@host:5432/database."
        )
    return parsed
