"""Find the pairs that have just matured without reading all days of them."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add one index."""
    op.get_bind().exec_driver_sql(
        "CREATE INDEX prediction_accuracy_matured_idx "
        "ON actuals.prediction_accuracy ((as_of_date - matures_on))"
    )
