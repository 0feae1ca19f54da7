"""What strangers and callers may write is never read as SQL, wherever it is given."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline_tests.serving.conftest import Command, Insert, rows_anywhere
from actuals_pipeline_tests.serving.http.conftest import (
    ACCURACY,
    FETCH,
    SUMMARY,
    SYNC,
    serving,
)

INJECTIONS = (
    "'; DROP TABLE actuals.ad_actuals; --",
    "1' OR '1'='1",
    '"; DELETE FROM actuals.ad_actuals; --',
    "1; SELECT pg_sleep(600)",
    "') UNION SELECT version(), NULL; --",
    "\\'; DROP SCHEMA actuals CASCADE; --",
    "%s %(name)s {} $1 :name",
    "*/ DROP TABLE actuals.ad_actuals /*",
)


@pytest.fixture
def filled(insert: Insert, database: str) -> dict[str, int]:
    """A row in some tables; how many there are."""
    insert("ad_actuals", spend=2, impressions=100, clicks=2)
    insert("fetch_log")
    insert("model_accuracy", model_name=INJECTIONS[0])
    return dict(rows_anywhere(database))


def tables_of(database: str) -> int:
    with psycopg.connect(database) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'actuals' AND tablename = ANY(%s)",
            [list(TABLES)],
        ).fetchone()
    assert counted is not None
    return int(counted[0])


@pytest.mark.parametrize("text", INJECTIONS)
def test_the_command_line_takes_it_for_what_it_is(
    text: str, command: Command, database: str, filled: dict[str, int]
) -> None:
    for arguments in (
        ("fetch", text),
        ("fetch", "6001", "--days-back", text),
        ("summary", "--since", text),
        ("summary", "--as-of", text),
        ("sync", "--since", text),
        ("sync", "--run-id", text),
        ("predictions", "verify", "--expect", text),
        ("doctor", "--account", text),
        ("db", "prune", "--keep-months", text),
        ("videos", "import", text),
        ("rates", "import", text),
        ("budgets", "import", text),
        ("budgets", "list", "--as-of", text),
        ("report", "--since", text),
    ):
        result = command(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert "Traceback" not in result.output
    for variable in ("META_AD_ACCOUNT_ID", "ACTUALS_TIMEZONE", "ACTUALS_START_DATE"):
        assert command("stats", **{variable: text}).exit_code == 2
    assert rows_anywhere(database) == filled
    assert tables_of(database) == len(TABLES)


def test_what_a_file_brings_is_stored_as_it_is_written(
    command: Command, database: str, filled: dict[str, int], tmp_path: Path
) -> None:
    # What a spreadsheet or a page would run, too: it is nobody's to change.
    cells = ['=HYPERLINK("http://elsewhere")', "+1+1", "@SUM(A1)", "<script>1</script>"]
    titles = [*INJECTIONS, *cells]
    path = tmp_path / "videos.csv"
    quoted = ('"' + title.replace('"', '""') + '"' for title in titles)
    rows = (f"{title},{number},2026-03-01T00:00:00Z" for number, title in enumerate(quoted, 7001))
    path.write_text("\n".join(["title,meta_platform_id,created_at", *rows]), "utf-8")
    result = command("videos", "import", str(path), "--json")
    assert json.loads(result.stdout)["inserted"] == len(titles), result.output
    with psycopg.connect(database) as connection:
        stored = connection.execute("SELECT title FROM public.videos ORDER BY meta_platform_id")
        assert [title for (title,) in stored] == titles
    assert rows_anywhere(database) == {**filled, "videos": len(titles), "video_log": len(titles)}
    assert tables_of(database) == len(TABLES)


def test_the_routes_take_it_for_what_it_is(
    environment: dict[str, str], database: str, filled: dict[str, int]
) -> None:
    with serving(environment) as api:
        for text in INJECTIONS:
            assert api.get(f"{ACCURACY}/{text}").status == 404
            for path, parameters in (
                (SUMMARY, {"since": text}),
                (SUMMARY, {"until": text}),
                (SUMMARY, {"as_of": text}),
                (SUMMARY, {text: "1"}),
                ("/", {"since": text}),
            ):
                assert api.get(path, **parameters).status == 422, (path, parameters)
            assert api.get(f"{SYNC}/{text}").status in {404, 422}
            assert api.get(f"/api/ml/ads/{text}/story").status in {404, 422}
            assert api.post(f"{FETCH}/{text}").status in {404, 422}
            assert api.post(f"{FETCH}/6001", days_back=text).status == 422
            assert api.post(SYNC, min_age_hours=text).status == 422
    assert rows_anywhere(database) == filled
    assert tables_of(database) == len(TABLES)
