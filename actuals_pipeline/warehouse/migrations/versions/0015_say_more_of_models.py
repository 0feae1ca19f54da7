"""Keep what else is said of each model version."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add one table; the next run fills it."""
    text = (Path(__file__).parent / "0015_say_more_of_models.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
