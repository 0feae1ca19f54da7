"""Know since when something is watched, and forget old events of Meta's."""

from pathlib import Path

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add one table and one function."""
    for name in ("0025_notice_what_never_happened.sql", "0025_forget_meta_events.sql"):
        op.get_bind().exec_driver_sql(Path(__file__).with_name(name).read_text("utf-8"))
