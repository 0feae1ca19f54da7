"""Watch every model version week by week, and remember what was asked to be done about it."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add three tables; the next run fills the first two."""
    text = (Path(__file__).parent / "0011_watch_models.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
