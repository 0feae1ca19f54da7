"""Keep how much of a day's revenue is known at each age."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add one table; the next run fills it."""
    text = (Path(__file__).parent / "0007_know_how_revenue_matures.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
