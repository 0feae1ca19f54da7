"""Let purchases of another type, once they are counted, be no growth of a report day."""

from pathlib import Path

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Replace the view of how complete days are by their age."""
    text = (Path(__file__).parent / "0027_completeness.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
