"""Bring a database to this version's schema, and refuse one that is not.

Migrations are numbered, verb-first files in `migrations/versions`; the number is the revision.
`create_declared` builds the same from `tables.py` alone; a guard test demands that the two never
differ.  Checking reads one row and loads neither Alembic nor SQLAlchemy; they are loaded where
they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from actuals_pipeline.errors import SchemaOutOfDate
from actuals_pipeline.warehouse import roles
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import DAGSTER_SCHEMA, sqlalchemy_url

if TYPE_CHECKING:
    import sqlalchemy

_MIGRATIONS = Path(__file__).parent / "migrations"

_UNDECLARED = (
    "0004_as_of.sql",
    "0005_completeness.sql",
    "0010_prediction_log.sql",
    "0013_known_days.sql",
    "0017_ads.sql",
    "0020_make_month.sql",
    "0021_video_log.sql",
    "0025_forget_meta_events.sql",
    "0026_seal_videos.sql",
    "0027_completeness.sql",
)
"""Functions, triggers, and the views over the revisions, which SQLAlchemy cannot declare."""

_UPGRADE_LOCK = 7_302_511_418
"""Advisory lock of an upgrade; any constant of our own (chosen at random)."""


def revisions() -> list[str]:
    """Every revision that this version knows, oldest first."""
    return sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def upgrade(url: str) -> tuple[str | None, str]:
    """Migrate the database at `url` to the newest revision; returns (before, after).

    Safe to run twice and from two processes at once.  Raises `SchemaOutOfDate` when the database
    was made by a newer version, `WarehouseUnavailable` when it does not answer.
    """
    from alembic import command  # noqa: PLC0415 - takes a second to load, and only here
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    # The lock is this session's, the migration Alembic's, so that one waits for another's whole.
    with Warehouse(url).transaction() as lock:
        lock.execute("SELECT pg_advisory_xact_lock(%s)", [_UPGRADE_LOCK])
        before = _revision(lock)
        _refuse_unknown(before)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with _as_psycopg_says(), engine.begin() as connection:
            create_schemas(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        roles.regrant(lock)
    return before, revisions()[-1]


def check(url: str) -> None:
    """Raise unless the database at `url` answers and has exactly this version's schema."""
    check_in(Warehouse(url))


def check_in(warehouse: Warehouse) -> None:
    """As `check`, of a warehouse."""
    found = _found(warehouse)
    _refuse_unknown(found)
    newest = revisions()[-1]
    if found != newest:
        made = f"is at revision {found}" if found else "has no actuals schema yet"
        raise SchemaOutOfDate(
            f"The database {made}, this version needs {newest}: run `actuals db upgrade`."
        )


def is_older(url: str) -> bool:
    """Whether `upgrade` has something to do at `url`; an unknown revision is not older."""
    found = _found(Warehouse(url))
    return found is None or found in revisions()[:-1]


def create_declared(connection: sqlalchemy.Connection) -> None:
    """Create everything that `tables.py` declares, without migrations (for the guard test)."""
    from actuals_pipeline.warehouse.tables import product, warehouse  # noqa: PLC0415

    create_schemas(connection)
    product.create_all(connection)
    warehouse.create_all(connection)
    for name in _UNDECLARED:
        connection.exec_driver_sql((_MIGRATIONS / "versions" / name).read_text("utf-8"))


def create_schemas(connection: sqlalchemy.Connection) -> None:
    """The schema of the warehouse, and the one that Dagster's storage fills itself."""
    from sqlalchemy.schema import CreateSchema  # noqa: PLC0415

    from actuals_pipeline.warehouse.tables import SCHEMA  # noqa: PLC0415

    for name in (SCHEMA, DAGSTER_SCHEMA):
        connection.execute(CreateSchema(name, if_not_exists=True))


@contextmanager
def _as_psycopg_says() -> Iterator[None]:
    """Lets a refusal through SQLAlchemy, so that the warehouse explains it."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise error.orig from error
        raise


def _found(warehouse: Warehouse) -> str | None:
    with warehouse.transaction() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    known = connection.execute("SELECT to_regclass('actuals.schema_version')").fetchone()
    if known is None or known[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM actuals.schema_version").fetchone()
    return str(row[0]) if row else None


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        raise SchemaOutOfDate(
            f"The database is at revision {revision}, which is newer than this version of "
            f"actuals_pipeline knows ({revisions()[-1]}): install the newer version."
        )
