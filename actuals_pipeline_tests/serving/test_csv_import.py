"""Videos and predictions from files: good rows are kept, bad ones are named by their line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import Result

from actuals_pipeline_tests.serving.conftest import (
    VIDEO_ID,
    Command,
    Insert,
    Stored,
    rows_anywhere,
    sentence_of,
)

Import = Callable[..., Result]

VIDEO = {
    "id": str(VIDEO_ID),
    "title": "Größe",
    "meta_platform_id": "6001",
    "created_at": "2026-03-07T12:00:00+02:00",
    "campaign_id": "aaaaaaaa-2222-3333-4444-555555555555",
    "status": "published",
}
PREDICTION = {
    "video_id": str(VIDEO_ID),
    "model_name": "ranker",
    "model_version": "2",
    "predicted_ctr": "0.025",
    "predicted_roas": "3.0",
    "logged_at": "2026-03-01T00:00:00Z",
}


@pytest.fixture
def import_videos(command: Command, in_own_folder: None) -> Import:
    """Import the text of a file of videos."""

    def run(text: str | bytes, *options: str) -> Result:
        path = Path("videos.csv")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return command("videos", "import", str(path), *options)

    return run


@pytest.fixture
def import_predictions(command: Command, in_own_folder: None, insert: Insert) -> Import:
    """Import the text of a file of predictions for the one video there is."""
    insert("videos", id=VIDEO_ID, meta_platform_id=" 6001 ", created_at=datetime(2026, 3, 7))  # noqa: DTZ001 - the column has no zone

    def run(text: str | bytes, *options: str, unit: str = "fraction") -> Result:
        path = Path("predictions.csv")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return command("predictions", "import", str(path), "--ctr-unit", unit, *options)

    return run


def csv_of(*rows: dict[str, str], columns: dict[str, str]) -> str:
    lines = [",".join(columns), *(",".join((columns | row).values()) for row in rows)]
    return "\n".join(lines) + "\n"


def counts_of(result: Result) -> dict[str, Any]:
    """What became of the rows, without the empty counts."""
    answer = json.loads(result.stdout)
    return {name: count for name, count in answer.items() if count}


def test_videos_are_stored_as_the_file_has_them_and_instants_in_utc(
    import_videos: Import, stored: Stored
) -> None:
    result = import_videos(csv_of({}, columns=VIDEO), "--json")
    assert result.exit_code == 0
    assert counts_of(result) == {"inserted": 1}
    assert stored("videos") == [
        {
            "id": VIDEO_ID,
            "title": "Größe",
            "meta_platform_id": "6001",
            "created_at": datetime(2026, 3, 7, 10),  # noqa: DTZ001 - the column has no zone
            "campaign_id": UUID(VIDEO["campaign_id"]),
            "status": "published",
        }
    ]


def test_the_same_file_again_changes_nothing_and_a_changed_row_is_an_update(
    import_videos: Import, stored: Stored, database: str
) -> None:
    def versions() -> list[Any]:
        with psycopg.connect(database) as connection:
            query = "SELECT xmin::text, ctid::text FROM public.videos ORDER BY title"
            return connection.execute(query).fetchall()

    # Neither has an id: the ad names the first, the title the second.
    header = "title,meta_platform_id,created_at\n"
    assert counts_of(import_videos(f"{header}a,6001,2026-03-07\nb,,2026-03-07\n", "--json")) == {
        "inserted": 2
    }
    before = versions()
    again = import_videos(f"{header}b,,2026-03-07\na,6001,2026-03-07\n", "--json")
    assert counts_of(again) == {"unchanged": 2}
    assert versions() == before
    changed = import_videos(f"{header}c,6001,2026-03-07\nb,,2026-03-07\n", "--json")
    assert counts_of(changed) == {"updated": 1, "unchanged": 1}
    assert {row["title"] for row in stored("videos")} == {"b", "c"}
    # Left out, a cell says nothing is known.
    assert {row["status"] for row in stored("videos")} == {None}


def test_bad_videos_are_named_by_line_and_the_good_ones_are_kept(
    import_videos: Import, stored: Stored
) -> None:
    good = {"id": "", "meta_platform_id": "6002", "title": '"two\r\nlines"'}
    text = csv_of(
        good,
        {"id": "some-id"},
        {"created_at": "yesterday"},
        {"created_at": ""},
        {"created_at": "9999-12-31T23:59:59-14:00"},
        {"meta_platform_id": "act 42"},
        {"campaign_id": "7001"},
        {"title": "a\0b"},
        {"title": "the last"},
        columns=VIDEO,
    )
    result = import_videos(text, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert (answer["inserted"], answer["bad"]) == (2, 7)
    assert [row["title"] for row in stored("videos") if row["id"] == VIDEO_ID] == ["the last"]
    assert [row["title"] for row in stored("videos") if row["id"] != VIDEO_ID] == ["two\r\nlines"]
    no_instant = "is no instant such as 2026-03-07T12:00:00Z"
    # The first row took the lines 2 and 3.
    assert result.stderr.splitlines() == [
        "actuals: line 4: id 'some-id' is no uuid",
        f"actuals: line 5: created_at 'yesterday' {no_instant}",
        f"actuals: line 6: created_at '' {no_instant}",
        f"actuals: line 7: created_at '9999-12-31T23:59:59-14:00' {no_instant}",
        "actuals: line 8: meta_platform_id 'act 42' is no id of a Meta ad",
        "actuals: line 9: campaign_id '7001' is no uuid",
        "actuals: line 10: title holds a NUL character, which Postgres does not store",
    ]
    bad_rows = [f"actuals: line {row['line']}: {row['reason']}" for row in answer["bad_rows"]]
    assert bad_rows == result.stderr.splitlines()


def test_bad_predictions_are_named_by_line_and_the_good_ones_are_kept(
    import_predictions: Import, stored: Stored
) -> None:
    unknown = "99999999-2222-3333-4444-555555555555"
    text = csv_of(
        {"model_version": "first"},
        {"predicted_ctr": "2.5"},
        {"predicted_ctr": "-0.01"},
        {"predicted_roas": "NaN"},
        {"predicted_roas": "inf"},
        {"predicted_ctr": "2.5 %"},
        {"video_id": unknown},
        {"video_id": "some-id"},
        {"predicted_ctr": "", "predicted_roas": ""},
        {"logged_at": "soon"},
        {"logged_at": "0001-01-01T00:00:00+14:00"},
        {"predicted_roas": "1\0"},
        {"logged_at": "2900-01-01T00:00:00Z"},
        {"model_version": "last", "predicted_ctr": "1", "predicted_roas": "0"},
        columns=PREDICTION,
    )
    result = import_predictions(text, "--json")
    assert result.exit_code == 2
    assert {row["model_version"] for row in stored("predictions")} == {"first", "last"}
    answer = json.loads(result.stdout)
    assert (answer["inserted"], answer["bad"]) == (2, 12)
    assert [(row["line"], row["reason"]) for row in answer["bad_rows"]] == [
        (3, "predicted_ctr 2.5 is above 100 %; check --ctr-unit"),
        (4, "predicted_ctr '-0.01' is not a number of 0 or more"),
        (5, "predicted_roas 'NaN' is not a number of 0 or more"),
        (6, "predicted_roas 'inf' is not a number of 0 or more"),
        (7, "predicted_ctr '2.5 %' is no number"),
        (8, f"there is no video {unknown}; import the videos first"),
        (9, "video_id 'some-id' is no uuid"),
        (10, "neither predicted_ctr nor predicted_roas is given"),
        (11, "logged_at 'soon' is no instant such as 2026-03-07T12:00:00Z"),
        (
            12,
            "logged_at '0001-01-01T00:00:00+14:00' is no instant such as 2026-03-07T12:00:00Z",
        ),
        (13, "predicted_roas holds a NUL character, which Postgres does not store"),
        (14, "logged_at 2900-01-01T00:00:00Z lies in the future; leave it empty for now"),
    ]


@pytest.mark.parametrize(
    ("unit", "written", "stored_ctr"),
    [("fraction", "0.025", 0.025), ("percent", "2.5", 0.025), ("percent", "30", 0.3)],
)
def test_a_predicted_ctr_is_stored_as_a_fraction(
    unit: str, written: str, stored_ctr: float, import_predictions: Import, stored: Stored
) -> None:
    result = import_predictions(csv_of({"predicted_ctr": written}, columns=PREDICTION), unit=unit)
    assert result.exit_code == 0
    counts, attested = result.stdout.splitlines()
    assert counts == "1 inserted, 0 updated, 0 unchanged, 0 bad"
    assert attested.startswith(
        "0 of the inserted are attested: dated by the database, now. 1 bring"
    )
    (row,) = stored("predictions")
    assert {name: row[name] for name in row if name != "id"} == {
        "video_id": VIDEO_ID,
        "model_name": "ranker",
        "model_version": "2",
        "predicted_ctr": stored_ctr,
        "predicted_roas": 3.0,
        "logged_at": datetime(2026, 3, 1, tzinfo=UTC),
    }
    above = import_predictions(csv_of({"predicted_ctr": "100.1"}, columns=PREDICTION), unit=unit)
    assert above.exit_code == 2


@pytest.mark.parametrize(
    ("unit", "written", "told"),
    [
        ("fraction", ["0.9", "1.4", "2.1"], "give --ctr-unit percent"),
        (
            "fraction",
            ["0.9"],
            "Read as fraction, the median predicted CTR of predictions.csv is 90.0000%",
        ),
        ("percent", ["0.009", "", "0.014", "much"], "give --ctr-unit fraction"),
    ],
)
def test_ctrs_in_the_other_unit_are_refused_and_nothing_is_stored(
    unit: str, written: Sequence[str], told: str, import_predictions: Import, stored: Stored
) -> None:
    rows = [{"predicted_ctr": each} for each in written]
    result = import_predictions(csv_of(*rows, columns=PREDICTION), unit=unit)
    assert result.exit_code == 2
    (sentence,) = result.stderr.splitlines()
    assert told in sentence
    assert "nothing was stored" in sentence
    assert not stored("predictions")


def test_the_same_predictions_again_change_nothing_and_another_value_is_another_prediction(
    import_predictions: Import, stored: Stored
) -> None:
    def counted(row: dict[str, str]) -> dict[str, Any]:
        return counts_of(import_predictions(csv_of(row, columns=PREDICTION), "--json"))

    history = {"inserted": 1, "unattested": 1}
    assert counted({}) == history
    assert counted({}) == {"unchanged": 1}
    # The same instant in other words.
    assert counted({"logged_at": "2026-03-01T02:00:00+02:00"}) == {"unchanged": 1}
    assert counted({"predicted_roas": "3.5"}) == history
    # What the file does not say is the moment of the import, of the first one.
    assert counted({"logged_at": ""}) == {"inserted": 1, "attested": 1}
    first = max(row["logged_at"] for row in stored("predictions"))
    assert counted({"logged_at": ""}) == {"unchanged": 1}
    assert max(row["logged_at"] for row in stored("predictions")) == first


def test_only_rows_that_bring_no_time_are_attested_and_dated_by_the_database(
    import_predictions: Import, stored: Stored
) -> None:
    before = datetime.now(UTC)
    undated = {"logged_at": ""}
    rows: list[dict[str, str]] = [undated, {}, undated | {"model_version": "3"}]
    assert import_predictions(csv_of(*rows, columns=PREDICTION)).exit_code == 0
    history, *others = stored("prediction_log")
    assert not history["is_attested"]
    assert history["claimed_at"] == datetime(2026, 3, 1, tzinfo=UTC)
    assert [row["is_attested"] for row in others] == [True, True]
    assert all(row["logged_at"] > before for row in (history, *others))


def test_a_prediction_may_name_the_ad_and_leave_out_what_is_not_predicted(
    import_predictions: Import, insert: Insert, stored: Stored
) -> None:
    # A younger video of the same ad does not take it over.
    younger = UUID("00000000-2222-3333-4444-555555555555")
    insert("videos", id=younger, meta_platform_id="6001", created_at=datetime(2026, 3, 8))  # noqa: DTZ001 - the column has no zone
    result = import_predictions(
        "ad_id,predicted_ctr,predicted_roas\n6001,0.05,\n6009,0.05,\n,0.05,\n"
    )
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "actuals: line 3: no video runs as ad '6009'; import the videos first",
        "actuals: line 4: no video runs as ad ''; import the videos first",
    ]
    (row,) = stored("predictions")
    assert (row["video_id"], row["predicted_ctr"], row["predicted_roas"]) == (VIDEO_ID, 0.05, None)
    assert (row["model_name"], row["model_version"]) == ("default", "1")


def test_a_byte_order_mark_blank_lines_spaces_and_further_cells_do_no_harm(
    import_videos: Import, stored: Stored
) -> None:
    text = "\ufefftitle,meta_platform_id,created_at,note\r\n\r\n a , 6001 ,2026-03-07,x,more\r\n"
    assert import_videos(text).exit_code == 0
    (row,) = stored("videos")
    assert (row["title"], row["meta_platform_id"]) == ("a", "6001")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no column created_at, meta_platform_id, title"),
        (b"title,created_at\na,2026-03-07\n", "has no column meta_platform_id: the first line"),
        (b"title;created_at\na;2026-03-07\n", "by commas, and is 'title;created_at'."),
        (b"title,meta_platform_id,created_at\na,,2026-03-07\nGr\xf6\xdfe,,2026-03-07\n", "UTF-8"),
        (b"title,meta_platform_id,created_at\n" + b"a" * 200_000, "cannot be read as a CSV file"),
    ],
    ids=["empty", "column missing", "semicolons", "latin-1", "cell without end"],
)
def test_a_file_that_cannot_be_read_whole_brings_nothing(
    content: bytes, words: str, import_videos: Import, database: str
) -> None:
    assert words in sentence_of(import_videos(content))
    assert not rows_anywhere(database)


def test_a_file_that_is_not_there_is_named(command: Command, tmp_path: Path) -> None:
    for path in ("none.csv", str(tmp_path)):
        told = sentence_of(command("videos", "import", path))
        assert f"There is no file {path}" in told


def test_a_column_that_the_file_lacks_leaves_what_is_stored(
    import_videos: Callable[..., Result], database: str
) -> None:
    whole = b"title,meta_platform_id,created_at,status\nA,6001,2026-03-01T00:00:00Z,live\n"
    assert import_videos(whole).exit_code == 0
    less = b"title,meta_platform_id,created_at\nB,6001,2026-03-01T00:00:00Z\n"
    assert import_videos(less).exit_code == 0
    with psycopg.connect(database) as connection:
        stored = connection.execute("SELECT title, status FROM public.videos").fetchall()
    assert stored == [("B", "live")]


def test_the_same_video_twice_in_a_file_is_named_and_the_first_kept(
    import_videos: Callable[..., Result], database: str
) -> None:
    twice = (
        b"title,meta_platform_id,created_at\n"
        b"A,6001,2026-03-01T00:00:00Z\nB,6001,2026-03-01T00:00:00Z\n,,2026-03-01T00:00:00Z\n"
    )
    for _ in range(2):
        result = import_videos(twice)
        assert result.exit_code == 2
        assert "line 3: it is the same as line 2" in result.stderr
        assert "line 4: it has neither id" in result.stderr
        with psycopg.connect(database) as connection:
            stored = connection.execute("SELECT title FROM public.videos").fetchall()
        assert stored == [("A",)]
