"""Remember since when days are known, and keep what may be concluded of each prediction."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a table that fills itself, an index, and columns that the next run fills."""
    connection = op.get_bind()
    for name in ("score_what_was_known", "known_days"):
        text = (Path(__file__).parent / f"0013_{name}.sql").read_text("utf-8")
        connection.exec_driver_sql(text)
