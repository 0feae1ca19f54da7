"""Let a role without rights over the schema make the months that it writes."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add a function that gives a table its partition for a month."""
    text = Path(__file__).with_name("0020_make_month.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
