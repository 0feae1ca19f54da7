"""Create the warehouse's tables, and the product's where they are missing.

Irreversible: going back would drop the history that the warehouse exists to keep.
"""

from pathlib import Path

from alembic import op
from sqlalchemy import inspect

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing; an existing relation of the product is left as it is."""
    connection = op.get_bind()
    connection.exec_driver_sql(_sql("warehouse"))
    product = inspect(connection)
    existing = {*product.get_table_names("public"), *product.get_view_names("public")}
    for table in ("videos", "predictions"):
        if table not in existing:
            connection.exec_driver_sql(_sql(table))
    if "performance_metrics" not in existing:
        view = _sql("performance_metrics").replace("{video_id_type}", _video_id_type())
        connection.exec_driver_sql(view)


def _video_id_type() -> str:
    """The view gives `video_id` the type of the product's own key where that is a uuid."""
    columns = inspect(op.get_bind()).get_columns("videos", "public")
    found = {column["name"]: str(column["type"]).lower() for column in columns}
    return "uuid" if found.get("id") == "uuid" else "text"


def _sql(name: str) -> str:
    return (Path(__file__).parent / f"0001_{name}.sql").read_text("utf-8")
