"""Let a pair say that days since its ad's launch were not fetched, and count such pairs."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Allow one status more, and add a column with a constant default, which rewrites no row."""
    op.get_bind().exec_driver_sql(_SQL)


_SQL = """
ALTER TABLE actuals.prediction_accuracy
    DROP CONSTRAINT prediction_accuracy_status_check,
    ADD CONSTRAINT prediction_accuracy_status_check CHECK (status IN ('eligible', 'leaked',
        'no_delivery', 'invalid_prediction', 'too_young', 'too_old', 'incomplete_history'));

ALTER TABLE actuals.model_accuracy ADD COLUMN n_incomplete_history BIGINT DEFAULT 0 NOT NULL;
COMMENT ON COLUMN actuals.model_accuracy.n_incomplete_history IS
    'Left out: days since launch that were not fetched.';
"""
