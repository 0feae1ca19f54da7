"""Count each kind of waiting in `fetch_log`, and remember ads that need not be asked for again."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns without a default, which rewrite no row, and one table."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text("utf-8"))
