"""Keep Meta's click windows of each account-day, and when a curve was computed."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, and read the windows of earlier days from the payloads that are kept."""
    text = (Path(__file__).parent / "0009_keep_click_windows.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
