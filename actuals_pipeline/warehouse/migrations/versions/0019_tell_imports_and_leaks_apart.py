"""Tell imported and leaked predictions apart, and other predictions than before."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add columns; the imported predictions of stored scores are counted, the rest is new."""
    text = (Path(__file__).parent / "0019_tell_imports_and_leaks_apart.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
