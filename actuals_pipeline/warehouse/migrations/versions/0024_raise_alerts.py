"""Keep alerts, the messages that tell them, heartbeats, and how the health check came out."""

from pathlib import Path

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add four tables."""
    script = Path(__file__).with_name("0024_raise_alerts.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(script)
