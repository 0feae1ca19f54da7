"""Keep which ad runs which video in an append-only log that the database dates."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the log, watch the product's videos, and log those that are there already."""
    connection = op.get_bind()
    for name in ("log_videos", "video_log"):
        text = (Path(__file__).parent / f"0021_{name}.sql").read_text("utf-8")
        connection.exec_driver_sql(text)
