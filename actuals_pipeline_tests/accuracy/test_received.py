"""An import counts from the day on which it came, whatever time it claims."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from actuals_pipeline.accuracy.received import received_by
from actuals_pipeline_tests.accuracy.conftest import Frames

BEGUN = datetime(2026, 3, 3, 9, tzinfo=UTC)
IMPORTED = datetime(2026, 3, 6, 9, tzinfo=UTC)
DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(8)]


def known(predictions_of: Frames, *rows: dict[str, object], zone: str = "UTC") -> dict[date, str]:
    """The ids that are known as of each day."""
    runs = list(received_by(predictions_of(*rows), DAYS, default_zone=zone))
    assert [day for days, _ in runs for day in days] == DAYS
    return {day: "".join(found["prediction_id"]) for days, found in runs for day in days}


def test_an_import_is_known_from_the_day_on_which_it_came(predictions_of: Frames) -> None:
    first = {"prediction_id": "a", "is_attested": False, "received_at": BEGUN}
    later = first | {"prediction_id": "b", "received_at": IMPORTED}
    got = known(predictions_of, later, first)
    # Of the days before anything was received, all is told that is known by now.
    assert [got[day] for day in DAYS[:2]] == ["ba", "ba"]
    assert [got[day] for day in DAYS[2:5]] == ["a", "a", "a"]
    assert [got[day] for day in DAYS[5:]] == ["ba", "ba", "ba"]


def test_a_day_ends_where_the_installation_is(predictions_of: Frames) -> None:
    first = {"prediction_id": "a", "is_attested": False, "received_at": BEGUN}
    late = first | {"prediction_id": "b", "received_at": datetime(2026, 3, 6, 20, tzinfo=UTC)}
    assert known(predictions_of, first, late, zone="Asia/Tokyo")[date(2026, 3, 6)] == "a"
    assert known(predictions_of, first, late, zone="UTC")[date(2026, 3, 6)] == "ab"


def test_what_the_database_dated_is_left_to_whoever_knows_the_account(
    predictions_of: Frames,
) -> None:
    first = {"prediction_id": "a", "received_at": BEGUN}
    late = {"prediction_id": "b", "received_at": IMPORTED}
    assert set(known(predictions_of, first, late).values()) == {"ab"}
    assert set(known(predictions_of).values()) == {""}
