"""Seal what is known of videos in a hash chain, as predictions are."""

from pathlib import Path

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Seal the rows that are there in their order, and each new one as it comes."""
    for name in ("0026_video_hashes.sql", "0026_seal_videos.sql"):
        op.get_bind().exec_driver_sql(Path(__file__).with_name(name).read_text("utf-8"))
