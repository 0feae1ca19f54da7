"""Say of each account whether its newest days mature like those before."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add one column; the days that were computed before say that it is unknown."""
    op.execute(
        """
        ALTER TABLE actuals.revenue_development
            ADD COLUMN pace TEXT DEFAULT 'unknown' NOT NULL,
            ADD CONSTRAINT revenue_development_pace_check
                CHECK (pace IN ('as_before', 'changed', 'unknown'));
        ALTER TABLE actuals.revenue_development ALTER COLUMN pace DROP DEFAULT;
        COMMENT ON COLUMN actuals.revenue_development.pace IS
            'How the newest days mature against those before: as_before, changed, unknown.';
        """
    )
