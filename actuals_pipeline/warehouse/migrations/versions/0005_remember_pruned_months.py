"""Remember which months of payloads were pruned, and show how complete young figures are."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table and a view, and explain the months that were made before this version."""
    connection = op.get_bind()
    for name in ("remember_pruned_months", "completeness"):
        text = (Path(__file__).parent / f"0005_{name}.sql").read_text("utf-8")
        connection.exec_driver_sql(text)
