"""Bring a database to this version's schema, and refuse one that is not.

Migrations are numbered, verb-first files in `migrations/versions`.  `create_declared` builds the
same from `tables.py` alone; a guard test demands that the two never differ.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from actuals_pipeline.errors import SchemaOutOfDate, WarehouseUnavailable
from actuals_pipeline.warehouse.tables import DAGSTER_SCHEMA, SCHEMA, product, warehouse
from actuals_pipeline.warehouse.urls import sqlalchemy_url, without_password

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 7_302_511_418
"""Advisory lock of an upgrade; any constant of our own (chosen at random)."""


def upgrade(url: str) -> tuple[str | None, str]:
    """Migrate the database at `url` to the newest revision; returns (before, after).

    Safe to run twice and from two processes at once.  Raises `SchemaOutOfDate` when the database
    was made by a newer version, `WarehouseUnavailable` when it does not answer.
    """
    with _connected(url) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        before = _revision(connection)
        _refuse_unknown(before)
        for schema in (SCHEMA, DAGSTER_SCHEMA):
            connection.execute(CreateSchema(schema, if_not_exists=True))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        after = _revision(connection)
        connection.commit()
    return before, str(after)


def check(url: str) -> None:
    """Raise unless the database at `url` answers and has exactly this version's schema."""
    with _connected(url) as connection:
        found = _revision(connection)
    _refuse_unknown(found)
    if found != newest_revision():
        made = f"is at revision {found}" if found else "has no actuals schema yet"
        raise SchemaOutOfDate(
            f"The database {made}, this version needs {newest_revision()}: "
            "run `actuals db upgrade`."
        )


def is_older(url: str) -> bool:
    """Whether `upgrade` has something to do at `url`; an unknown revision is not older."""
    with _connected(url) as connection:
        found = _revision(connection)
    return found is None or (found in _known_revisions() and found != newest_revision())


def newest_revision() -> str:
    """Revision that this version's migrations lead to."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def create_declared(connection: Connection) -> None:
    """Create everything that `tables.py` declares, without migrations (for the guard test)."""
    for schema in (SCHEMA, DAGSTER_SCHEMA):
        connection.execute(CreateSchema(schema, if_not_exists=True))
    product.create_all(connection)
    warehouse.create_all(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _connected(url: str) -> Connection:
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 10}
    )
    try:
        return engine.connect()
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[-1]
        raise WarehouseUnavailable(
            f"The database {without_password(url)} does not answer ({reason}): check "
            "DATABASE_URL and that the server runs."
        ) from None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("schema_version", schema=SCHEMA):
        return None
    query = text("SELECT version_num FROM actuals.schema_version")
    return connection.execute(query).scalar_one_or_none()


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in _known_revisions():
        raise SchemaOutOfDate(
            f"The database is at revision {revision}, which is newer than this version of "
            f"actuals_pipeline knows ({newest_revision()}): install the newer version."
        )
