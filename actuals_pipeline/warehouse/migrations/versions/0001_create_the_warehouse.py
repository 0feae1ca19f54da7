"""Create the warehouse's tables, and the product's where they are missing.

Irreversible: going back would drop the history that the warehouse exists to keep.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing; an existing relation of the product is left as it is."""
    connection = op.get_bind()
    connection.exec_driver_sql(_sql("warehouse"))
    for table in ("videos", "predictions"):
        if not _exists(table):
            connection.exec_driver_sql(_sql(table))
    if not _exists("performance_metrics"):
        view = _sql("performance_metrics").replace("{video_id_type}", _video_id_type())
        connection.exec_driver_sql(view)


def _video_id_type() -> str:
    """The view gives `video_id` the type of the product's own key where that is a uuid."""
    query = (
        "SELECT atttypid = 'uuid'::regtype FROM pg_attribute "
        "WHERE attrelid = 'public.videos'::regclass AND attname = 'id'"
    )
    return "uuid" if op.get_bind().exec_driver_sql(query).scalar() else "text"


def _exists(name: str) -> bool:
    """Whether the product has a relation of any kind, be it a foreign table, under that name."""
    query = "SELECT to_regclass('public.' || %(name)s) IS NOT NULL"
    return bool(op.get_bind().exec_driver_sql(query, {"name": name}).scalar())


def _sql(name: str) -> str:
    return (Path(__file__).parent / f"0001_{name}.sql").read_text("utf-8")
