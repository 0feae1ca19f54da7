"""Let `fetch_log` tell the whole story of a fetch, and remember reports that Meta still holds."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns with constant defaults, which rewrite no row, and one table."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text("utf-8"))
