"""Keep every prediction in an append-only, hash-chained log that the database dates."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the log, watch the product's predictions, and count what cannot be compared.

    Predictions that are there already are logged, unattested, when they are next compared.
    """
    connection = op.get_bind()
    for name in ("log_predictions", "prediction_log"):
        text = (Path(__file__).parent / f"0010_{name}.sql").read_text("utf-8")
        connection.exec_driver_sql(text)
