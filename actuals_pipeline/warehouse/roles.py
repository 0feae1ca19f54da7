"""Three roles in Postgres, each with no more rights than its work needs.

    the owner          whoever runs `actuals db upgrade`; the only one who may change the schema
    actuals_writer     the pipeline: a whole sync, Dagster's tables, nothing of the schema
    actuals_reader     BI: every table and view of ours, nothing of Dagster's, and not one row more

Both are groups without a login, so no password is set here: an administrator makes accounts in
them.  Two functions do with the owner's rights what the writer has none for: `actuals.make_month`
creates months of our own tables, `actuals.forget_meta_events` deletes events that are old.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg import errors

from actuals_pipeline.errors import WarehouseHindered
from actuals_pipeline.warehouse.connection import Warehouse

WRITER: LiteralString = "actuals_writer"
READER: LiteralString = "actuals_reader"

CREATE: LiteralString = """\
DO $$
BEGIN
    IF to_regrole('actuals_writer') IS NULL THEN
        CREATE ROLE actuals_writer NOLOGIN;
    END IF;
    IF to_regrole('actuals_reader') IS NULL THEN
        CREATE ROLE actuals_reader NOLOGIN;
    END IF;
END
$$;
"""

GRANT: LiteralString = """\
-- What both may read.
GRANT USAGE ON SCHEMA actuals, public TO actuals_writer, actuals_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA actuals TO actuals_writer, actuals_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA actuals GRANT SELECT ON TABLES TO actuals_writer, actuals_reader;

-- What the pipeline writes.  What is append-only is only appended to.
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA actuals TO actuals_writer;
REVOKE INSERT, UPDATE, DELETE ON actuals.schema_version, actuals.pruned_months FROM actuals_writer;
REVOKE UPDATE, DELETE ON actuals.prediction_log, actuals.video_log, actuals.fetch_log,
    actuals.known_days, actuals.ads, actuals.meta_events FROM actuals_writer;
GRANT EXECUTE ON FUNCTION actuals.make_month(text, date) TO actuals_writer;
GRANT EXECUTE ON FUNCTION actuals.forget_meta_events(timestamptz) TO actuals_writer;

-- Dagster's own tables: rows, no schema.
GRANT USAGE ON SCHEMA dagster TO actuals_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dagster TO actuals_writer;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA dagster TO actuals_writer;

-- Temporary tables, and the product's tables where they are ours to grant.
DO $$
DECLARE
    each regclass;
BEGIN
    EXECUTE 'GRANT TEMPORARY ON DATABASE ' || quote_ident(current_database())
        || ' TO actuals_writer';
    FOR each IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
            AND relname IN ('videos', 'predictions', 'budgets', 'performance_metrics')
            AND pg_has_role(relowner, 'USAGE')
    LOOP
        EXECUTE 'GRANT SELECT ON ' || each || ' TO actuals_writer, actuals_reader';
    END LOOP;
END
$$;
"""
"""Run again after each upgrade by `regrant`; a right that is there already is no error."""

_FOREIGN: LiteralString = """
SELECT 'public.' || relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace
    AND relname IN ('videos', 'predictions', 'budgets', 'performance_metrics')
    AND NOT pg_has_role(relowner, 'USAGE')
ORDER BY 1
"""


_OWNER: LiteralString = """
SELECT pg_get_userbyid(nspowner), pg_has_role(nspowner, 'USAGE')
FROM pg_namespace
WHERE nspname = 'actuals'
"""


def script() -> str:
    """The statements, for whoever wants to read them first or run them with psql."""
    return f"{CREATE}\n{GRANT}"


def make(warehouse: Warehouse) -> list[str]:
    """Create the roles where they are missing and give them their rights.

    Returns the product's tables on which this role may grant nothing: their owner must.
    """
    with warehouse.transaction() as connection:
        owner, is_ours = connection.execute(_OWNER).fetchone() or ("", False)
        if not is_ours:
            # Postgres itself would only warn that it granted nothing.
            raise WarehouseHindered(
                f"Only {owner}, who owns the schema actuals, can give rights to it: run this with "
                "that account in DATABASE_URL."
            )
        try:
            connection.execute(CREATE)
        except errors.InsufficientPrivilege as error:
            raise WarehouseHindered(
                "This role may create no others (CREATEROLE): have an administrator run `CREATE "
                f"ROLE {WRITER} NOLOGIN; CREATE ROLE {READER} NOLOGIN;`, then run it again."
            ) from error
        connection.execute(GRANT)
        return [name for (name,) in connection.execute(_FOREIGN).fetchall()]


def regrant(connection: psycopg.Connection) -> None:
    """Give the roles their rights on what an upgrade has made, if they have any in this database.

    A server has its roles for all databases: in one that was never opened to them they get none.
    """
    (has_rights,) = connection.execute(
        "SELECT has_schema_privilege(to_regrole('actuals_reader')::oid, 'actuals', 'USAGE')"
    ).fetchone() or (False,)
    if has_rights:
        connection.execute(GRANT)
