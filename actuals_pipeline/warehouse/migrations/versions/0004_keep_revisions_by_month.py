"""Partition the large tables by month, and remember what each ad-day was known to be.

The rows are copied month by month, so the database needs room for the two largest tables twice
while this runs.  A view of somebody else's on one of them stops the migration and is named.
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_OUR_VIEW = """
SELECT pg_get_viewdef(view.oid), obj_description(view.oid)
FROM pg_class AS view
JOIN pg_rewrite AS rule ON rule.ev_class = view.oid
JOIN pg_depend AS needs ON needs.objid = rule.oid AND needs.classid = 'pg_rewrite'::regclass
WHERE view.oid = to_regclass('public.performance_metrics')
  AND needs.refobjid = 'actuals.ad_actuals'::regclass
LIMIT 1
"""


def upgrade() -> None:
    """Copy both tables into partitioned ones, and begin the revisions with what is known now."""
    connection = op.get_bind()
    view = connection.exec_driver_sql(_OUR_VIEW).fetchone()
    if view is not None:
        connection.exec_driver_sql("DROP VIEW public.performance_metrics")
    connection.exec_driver_sql(_sql("keep_revisions_by_month"))
    connection.exec_driver_sql(_sql("as_of"))
    if view is not None:
        definition, comment = view
        connection.exec_driver_sql(f"CREATE VIEW public.performance_metrics AS {definition}")
        quoted = comment.replace("'", "''")
        connection.exec_driver_sql(f"COMMENT ON VIEW public.performance_metrics IS '{quoted}'")


def _sql(name: str) -> str:
    return (Path(__file__).parent / f"0004_{name}.sql").read_text("utf-8")
