"""What a person can mend is said in one sentence, with exit code 2, and nothing is written."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from actuals_pipeline.errors import InputError
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.dagster_runs import runnable
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.serving.conftest import (
    Command,
    Insert,
    Stored,
    rows_anywhere,
    sentence_of,
)

RECENT = str(datetime.now(UTC).date() - timedelta(days=10))
LATER = str(datetime.now(UTC).date() - timedelta(days=5))


@pytest.fixture
def asking_meta(taken_port: int) -> list[tuple[str, ...]]:
    """Commands that need Meta and the database."""
    return [
        ("sync",),
        ("backfill", "--since", RECENT, "--until", LATER),
        ("fetch", "6001"),
        ("up", "--port", str(taken_port)),
    ]


@pytest.fixture
def using_the_database(asking_meta: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Every command that reads or writes what is stored."""
    return [
        *asking_meta,
        ("status",),
        ("stats", "--json"),
        ("summary",),
        ("summary", "--as-of", RECENT),
        ("db", "prune"),
        ("env",),
        ("videos", "import", "videos.csv"),
        ("predictions", "import", "predictions.csv", "--ctr-unit", "fraction"),
    ]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"META_ACCESS_TOKEN": ""}, "META_ACCESS_TOKEN is missing; put a system user token"),
        ({"META_AD_ACCOUNT_ID": ""}, "META_AD_ACCOUNT_ID is missing; put the ad account"),
        ({"META_ACCESS_TOKEN": "EAA secret"}, "META_ACCESS_TOKEN cannot be used"),
        ({"META_AD_ACCOUNT_ID": "act_42, shoes"}, "'shoes' is no ad account id; write act_"),
        ({"META_API_VERSION": "26"}, "META_API_VERSION cannot be used"),
        ({"META_GRAPH_URL": "graph.facebook.com"}, "META_GRAPH_URL cannot be used"),
        ({"ACTUALS_START_DATE": "2026-02-30"}, "ACTUALS_START_DATE cannot be used"),
        ({"ACTUALS_TIMEZONE": "Mars/Base"}, "ACTUALS_TIMEZONE cannot be used"),
        ({"ACTUALS_RECENT_DAYS": "two"}, "ACTUALS_RECENT_DAYS cannot be used"),
    ],
    ids=[
        *("no token", "no account", "token with a blank", "account that is no id", "no version"),
        *("no address", "no day", "no time zone", "no number"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said_before_anything_starts(
    variables: dict[str, str],
    words: str,
    asking_meta: list[tuple[str, ...]],
    command: Command,
    graph: GraphStandIn,
    database: str,
    tmp_path: Path,
) -> None:
    for arguments in asking_meta:
        sentence = sentence_of(command(*arguments, **variables))
        assert words in sentence
        assert "EAA" not in sentence
        assert graph.app_secret not in sentence
    assert not graph.calls
    assert not rows_anywhere(database)
    assert not list(tmp_path.iterdir()), "neither a home nor a log was made"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "2020-01-01", "--until", "2020-01-31"), "37 months that Meta keeps: start on"),
        (("--since", LATER, "--until", RECENT), "give an earlier `since` or a later `until`"),
        (("--since", "2026-02-30", "--until", "2026-03-01"), "'2026-02-30' is not a day; write"),
        (("--since", "yesterday", "--until", "2026-03-01"), "'yesterday' is not a day; write it"),
        (("--since", RECENT, "--until", "2900-01-01"), "lies in the future: end on"),
        (("--since", RECENT, "--until", "9999-12-31"), "give a day of our time"),
        (("--since", "0001-01-01", "--until", RECENT), "give a day of our time"),
    ],
    ids=[
        *("beyond 37 months", "end before start", "no such day", "no date", "future"),
        *("last day there is", "first day there is"),
    ],
)
def test_days_that_cannot_be_had_are_refused(
    arguments: Sequence[str], words: str, command: Command, graph: GraphStandIn, database: str
) -> None:
    for name in ("sync", "backfill"):
        assert words in sentence_of(command(name, *arguments))
    assert not graph.calls
    assert not rows_anywhere(database)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--until", RECENT), "set ACTUALS_START_DATE to an earlier day"),
        (("--since", RECENT, "--until", LATER), "set ACTUALS_START_DATE to an earlier day"),
        (("--until", "9999-12-31"), "give a day of our time"),
        (("--until", "0001-01-01"), "give a day of our time"),
        (("--since", "2900-01-01"), "give an earlier `since`"),
    ],
    ids=["end before it", "start before it", "last day", "first day", "start in the future"],
)
def test_a_sync_with_one_end_given_is_refused_alike(
    arguments: Sequence[str], words: str, command: Command, graph: GraphStandIn, database: str
) -> None:
    assert words in sentence_of(command("sync", *arguments, ACTUALS_START_DATE=LATER))
    assert not graph.calls
    assert not rows_anywhere(database)


@pytest.mark.parametrize(
    ("since", "until", "start", "refusal"),
    [
        ("2023-02-08", "2023-02-08", "2020-01-01", None),
        ("2023-02-07", "2023-02-08", "2020-01-01", "37 months"),
        ("2026-03-01", "2026-03-08", "2026-03-01", None),
        ("2026-02-28", "2026-03-08", "2026-03-01", "before the first partition, 2026-03-01"),
        ("2026-03-08", "2026-03-09", "2026-03-01", "2026-03-09 lies in the future"),
    ],
    ids=["oldest kept", "just beyond", "first partition", "just before it", "tomorrow"],
)
def test_a_window_is_runnable_up_to_its_very_limits(
    since: str, until: str, start: str, refusal: str | None
) -> None:
    # Already the eighth in Tokyo, still the seventh in UTC.
    now = datetime(2026, 3, 7, 15, tzinfo=UTC)
    settings = Settings.from_environment(
        {"ACTUALS_START_DATE": start, "ACTUALS_TIMEZONE": "Asia/Tokyo"}
    )
    window = DayWindow.inclusive(date.fromisoformat(since), date.fromisoformat(until))
    if refusal is None:
        assert runnable(window, settings, now) == window
    else:
        with pytest.raises(InputError, match=refusal):
            runnable(window, settings, now)


@pytest.mark.parametrize(
    "ad_id", ["act_6001", "6001a", "6001?x=1", "../me", " 6001", "\u0666001", "-6001", "9" * 65]
)
def test_an_ad_is_named_by_digits_alone(
    ad_id: str, command: Command, graph: GraphStandIn, database: str
) -> None:
    sentence = sentence_of(command("fetch", "--", ad_id))
    assert sentence.endswith("is no ad id: write its digits, such as 120330000000000001.")
    assert not graph.calls
    assert not rows_anywhere(database)


@pytest.mark.parametrize("account_id", ["42a", "act_act_42", "act_", "\u0664\u0662", "42/insights"])
def test_an_account_is_named_by_digits_with_or_without_its_prefix(
    account_id: str, command: Command, graph: GraphStandIn
) -> None:
    sentence = sentence_of(command("fetch", "6001", META_AD_ACCOUNT_ID=f"43,{account_id}"))
    assert "META_AD_ACCOUNT_ID cannot be used" in sentence
    assert "is no ad account id; write act_ and digits, such as act_42" in sentence
    assert not graph.calls


def test_a_database_that_does_not_answer_is_named_without_its_password(
    command: Command, using_the_database: list[tuple[str, ...]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgresql://shop:hunter2@127.0.0.1:{port}/shop"
    for arguments in (*using_the_database, ("db", "upgrade")):
        sentence = sentence_of(command(*arguments, DATABASE_URL=url))
        assert f"shop:***@127.0.0.1:{port}/shop does not answer" in sentence
        assert "check DATABASE_URL" in sentence
        assert "hunter2" not in sentence


@pytest.mark.parametrize(
    "url",
    [
        "mysql://shop:hunter2@127.0.0.1/shop",
        "sqlite:///hunter2.db",
        "hunter2",
        "postgresql://shop:hunter2@127.0.0.1:port/shop",
    ],
)
def test_an_address_of_another_kind_is_refused_with_an_example(
    url: str, command: Command, using_the_database: list[tuple[str, ...]]
) -> None:
    for arguments in (*using_the_database, ("db", "upgrade"), ("db", "url")):
        sentence = sentence_of(command(*arguments, DATABASE_URL=url))
        assert "DATABASE_URL cannot be used: write it as postgresql://" in sentence
        assert "hunter2" not in sentence


def test_an_empty_database_of_ones_own_is_left_as_it_is(
    command: Command, using_the_database: list[tuple[str, ...]], empty_database: str
) -> None:
    for arguments in using_the_database:
        sentence = sentence_of(command(*arguments, DATABASE_URL=empty_database))
        assert "has no actuals schema yet" in sentence
        assert "run `actuals db upgrade`" in sentence
    with psycopg.connect(empty_database) as connection:
        made = "SELECT nspname FROM pg_namespace WHERE nspname IN ('actuals', 'dagster')"
        assert not connection.execute(made).fetchall()


def test_a_database_of_a_newer_version_is_left_as_it_is(
    command: Command, using_the_database: list[tuple[str, ...]], graph: GraphStandIn, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE actuals.schema_version SET version_num = '9999'")
    for arguments in (*using_the_database, ("db", "upgrade")):
        assert "9999, which is newer" in sentence_of(command(*arguments))
    assert not graph.calls
    assert not rows_anywhere(database)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--wat",), "No such option '--wat'"),
        (("sync", "--wat"), "No such option '--wat'"),
        (("wat",), "No such command 'wat'; see `actuals --help`."),
        (("db", "wat"), "No such command 'wat'"),
        (("fetch",), "Missing argument 'AD_ID'; see `actuals fetch --help`."),
        (("fetch", "6001", "6002"), "unexpected extra argument"),
        (("fetch", "6001", "--days-back", "0"), "0 is not in the range"),
        (("backfill", "--since", RECENT), "Missing option '--until'"),
        (("predictions", "import", "some.csv"), "Choose from: fraction, percent"),
        (("up", "--port", "65536"), "65536 is not in the range"),
        (("demo", "--days", "61"), "61 is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistyped_command_is_answered_in_one_sentence(
    arguments: Sequence[str], words: str, command: Command
) -> None:
    assert words in sentence_of(command(*arguments))


def test_a_group_without_a_command_shows_what_there_is(command: Command) -> None:
    for arguments in ((), ("db",)):
        result = command(*arguments)
        assert "Usage: " in result.output
        assert "actuals: " not in result.output


def test_an_id_that_is_none_is_refused_before_meta_is_asked(
    command: Command, graph: GraphStandIn, database: str
) -> None:
    sentence = sentence_of(command("fetch", "../me"))
    assert "write its digits" in sentence
    assert not graph.calls
    assert not rows_anywhere(database)


def test_a_token_that_meta_refuses_is_not_repeated_to_anybody(
    command: Command, database: str
) -> None:
    sentence = sentence_of(command("fetch", "6001", META_ACCESS_TOKEN="EAA-secret"))
    assert "META_ACCESS_TOKEN" in sentence
    assert "EAA-secret" not in sentence
    assert not rows_anywhere(database)


def test_an_account_that_meta_does_not_show_ends_the_run_with_the_one_sentence(
    actuals: Actuals, environment: dict[str, str], graph: GraphStandIn, stored: Stored
) -> None:
    environment["META_AD_ACCOUNT_ID"] = "act_77"
    done = actuals("sync")
    assert done.returncode == 2
    assert not done.stdout
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("actuals: ")
    assert "act_77" in sentence
    assert "META_AD_ACCOUNT_ID" in sentence
    assert graph.access_token not in sentence
    for table in ("raw_meta_insights", "meta_account_totals", "ad_actuals", "model_accuracy"):
        assert not stored(table), table
    # That it was tried is known, so that `actuals status` can tell.
    assert [row["outcome"] for row in stored("fetch_log")] == ["refused"]


def test_a_summary_of_days_beyond_those_known_says_which_are(
    command: Command, insert: Insert
) -> None:
    insert("meta_account_totals", report_date=date(2026, 3, 7))
    for option, words in (
        (("--since", "2026-03-08"), "Nothing after 2026-03-07 is known: give an earlier `since`"),
        (("--until", "2026-03-06"), "Nothing before 2026-03-07 is known: give a later `until`"),
    ):
        assert words in sentence_of(command("summary", *option))


def test_a_refusal_in_a_process_of_its_own_is_the_same(actuals: Actuals) -> None:
    for arguments in (
        ("sync", "--since", "2020-01-01"),
        ("--wat",),
        ("videos", "import", "no.csv"),
    ):
        done = actuals(*arguments)
        assert done.returncode == 2, done.stderr
        assert not done.stdout
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("actuals: ")
