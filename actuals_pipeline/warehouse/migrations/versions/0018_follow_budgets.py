"""Keep the budgets at Meta and the planned ones day by day, and how they are spent."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add three tables, and the product's of planned budgets where it is missing."""
    connection = op.get_bind()
    connection.exec_driver_sql(_sql("follow_budgets"))
    missing = "SELECT to_regclass('public.budgets') IS NULL"
    if connection.exec_driver_sql(missing).scalar():
        connection.exec_driver_sql(_sql("budgets"))


def _sql(name: str) -> str:
    return (Path(__file__).parent / f"0018_{name}.sql").read_text("utf-8")
