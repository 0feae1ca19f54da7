"""Keep advice: which ad is the best, and where the next unit of spend earns most."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add two tables; the next run fills them."""
    text = (Path(__file__).parent / "0016_advise_on_ads_and_budgets.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(text)
