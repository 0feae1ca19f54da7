"""Keep where an ad belongs, also when Meta lists it no more."""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add a table that fills itself, and fill it with the ads that are there."""
    connection = op.get_bind()
    for name in ("know_where_ads_belong", "ads"):
        text = (Path(__file__).parent / f"0017_{name}.sql").read_text("utf-8")
        connection.exec_driver_sql(text)
