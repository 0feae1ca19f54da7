from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import Result

from actuals_pipeline.warehouse import sealed_logs
from actuals_pipeline.warehouse.connection import Warehouse

Command = Callable[..., Result]


@pytest.fixture
def five(database: str) -> None:
    """Five logged predictions, each of a transaction of its own."""
    with psycopg.connect(database, autocommit=True) as connection:
        for n in range(1, 6):
            connection.execute(
                "INSERT INTO public.predictions (id, video_id, model_name, predicted_ctr) "
                "VALUES (%s, %s, %s, %s)",
                [UUID(int=n), UUID(int=7), f'ranker "{n}"\n', n / 300],
            )


@pytest.fixture
def videos(database: str) -> None:
    """Five logged changes of two videos: added, linked to an ad, deleted."""
    with psycopg.connect(database, autocommit=True) as connection:
        for n, ad in ((1, "6001"), (2, None)):
            connection.execute(
                "INSERT INTO public.videos (id, meta_platform_id, created_at)"
                " VALUES (%s, %s, '2026-03-01 10:00')",
                [UUID(int=n), ad],
            )
        for ad in ('60 "2"', "6003"):
            connection.execute(
                "UPDATE public.videos SET meta_platform_id = %s WHERE id = %s", [ad, UUID(int=2)]
            )
        connection.execute("DELETE FROM public.videos WHERE id = %s", [UUID(int=1)])


def tamper(database: str, *statements: str) -> None:
    """As somebody who may disable triggers."""
    with psycopg.connect(database) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def verified(command: Command, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = command("predictions", "verify", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


def test_an_empty_log_is_whole(command: Command) -> None:
    result = command("predictions", "verify")
    assert (result.exit_code, result.stdout) == (0, "No prediction was logged yet.\n")
    code, answer = verified(command)
    assert (code, answer["is_intact"], answer["last_hash"]) == (0, True, None)


def test_a_whole_chain_gives_the_line_to_keep_and_finds_it_again(
    command: Command, five: None, database: str
) -> None:
    told = command("predictions", "verify")
    assert told.exit_code == 0
    *lines, kept = told.stdout.splitlines()
    assert lines[0].startswith("5 predictions, 5 of them attested, logged ")
    assert len(bytes.fromhex(kept)) == 32
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO public.predictions (video_id) VALUES (gen_random_uuid())")
    code, answer = verified(command, "--expect", kept)
    assert (code, answer["rows"], answer["expected_at_row"]) == (0, 6, 5)
    assert answer["last_hash"] != kept


@pytest.mark.parametrize(
    ("statement", "row", "reason"),
    [
        (
            "UPDATE actuals.prediction_log SET predicted_ctr = 0.5 WHERE sequence = 3",
            3,
            "not what was sealed",
        ),
        (
            "UPDATE actuals.prediction_log SET logged_at = '2026-01-01' WHERE sequence = 1",
            1,
            "not what was sealed",
        ),
        (
            "UPDATE actuals.prediction_log SET is_attested = false WHERE sequence = 5",
            5,
            "not what was sealed",
        ),
        ("DELETE FROM actuals.prediction_log WHERE sequence = 2", 3, "rows before it are missing"),
        ("DELETE FROM actuals.prediction_log WHERE sequence = 1", 2, "rows before it are missing"),
        (
            # Sealed anew, but not what follows.
            (
                "UPDATE actuals.prediction_log AS log SET predicted_ctr = 0.5, hash = "
                "actuals.prediction_log_hash((sequence, prediction_id, video_id, model_name, "
                "model_version, 0.5, predicted_roas, logged_at, claimed_at, is_attested, "
                "previous_hash, hash)::actuals.prediction_log) WHERE sequence = 3"
            ),
            4,
            "the row before it is not what it was sealed with",
        ),
    ],
    ids=["value", "time", "attestation", "middle removed", "first removed", "sealed anew"],
)
def test_tampering_is_found_and_the_first_row_named(
    command: Command, five: None, database: str, statement: str, row: int, reason: str
) -> None:
    tamper(database, statement)
    result = command("predictions", "verify")
    assert result.exit_code == 2
    assert "Keep what follows" not in result.stdout
    (line,) = result.stderr.splitlines()
    assert f"is broken at row {row} (prediction {UUID(int=row)})" in line
    assert reason in line


@pytest.mark.parametrize(
    ("statement", "row", "reason"),
    [
        ("SET video_id = 'another' WHERE sequence = 1", 1, "not what was sealed"),
        ("SET ad_id = '6009' WHERE sequence = 3", 3, "not what was sealed"),
        ("SET created_at = '2026-02-01' WHERE sequence = 4", 4, "not what was sealed"),
        ("SET is_removed = false WHERE sequence = 5", 5, "not what was sealed"),
        ("SET logged_at = '2026-01-01' WHERE sequence = 1", 1, "not what was sealed"),
        ("SET is_attested = false WHERE sequence = 2", 2, "not what was sealed"),
        ("SET sequence = 9 WHERE sequence = 2", 3, "rows before it are missing"),
        (
            # Sealed anew, but not what follows.
            (
                "SET ad_id = '6009', hash = actuals.video_log_hash((sequence, video_id, '6009', "
                "created_at, is_removed, logged_at, is_attested, previous_hash, hash)"
                "::actuals.video_log) WHERE sequence = 3"
            ),
            4,
            "the row before it is not what it was sealed with",
        ),
    ],
)
def test_tampering_with_what_is_known_of_videos_is_found_too(
    command: Command, five: None, videos: None, database: str, statement: str, row: int, reason: str
) -> None:
    tamper(database, f"UPDATE actuals.video_log {statement}")
    result = command("predictions", "verify")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"The log of videos is broken at row {row} (video " in line
    assert reason in line


def test_both_logs_give_a_line_to_keep_and_find_it_again(
    command: Command, five: None, videos: None, database: str
) -> None:
    told = command("predictions", "verify")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert " 5 changes of videos, 5 of them attested, logged " in " ".join(lines)
    kept = lines[-2:]
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE public.videos SET meta_platform_id = '6004'")
    expecting = [word for each in kept for word in ("--expect", each)]
    code, answer = verified(command, *expecting)
    assert (code, answer["expected_at_row"], answer["videos"]["expected_at_row"]) == (0, 5, 5)
    assert answer["videos"]["rows"] == 6
    # An end that was cut off and written anew.
    tamper(database, "DELETE FROM actuals.video_log WHERE sequence >= 5")
    code, answer = verified(command, *expecting)
    assert (code, answer["expected_at_row"], answer["videos"]["rows"]) == (2, 5, 4)
    (problem,) = answer["problems"]
    assert kept[1] in problem


def test_an_end_that_was_removed_is_found_by_the_hash_that_was_kept(
    command: Command, five: None, database: str
) -> None:
    _, before = verified(command)
    tamper(database, "DELETE FROM actuals.prediction_log WHERE sequence = 5")
    code, without = verified(command)
    assert (code, without["is_intact"], without["rows"]) == (0, True, 4)
    code, answer = verified(command, "--expect", before["last_hash"])
    assert code == 2
    (problem,) = answer["problems"]
    assert before["last_hash"] in problem


def test_a_time_before_the_row_before_it_is_found_even_if_all_is_sealed(
    command: Command, database: str
) -> None:
    first = "'x', NULL, 'm', '1', NULL, NULL"
    tamper(
        database,
        *(
            f"INSERT INTO actuals.prediction_log SELECT (entry).sequence, {first}, "  # noqa: S608
            "(entry).logged_at, NULL, true, (entry).previous_hash, "
            "actuals.prediction_log_hash(entry) FROM (SELECT "
            f"({n}, {first}, '2026-03-0{4 - n}', NULL, true, coalesce((SELECT hash FROM "
            "actuals.prediction_log ORDER BY sequence DESC LIMIT 1), decode(repeat('00', 32), "
            "'hex')), NULL)::actuals.prediction_log AS entry) AS made"
            for n in (1, 2)
        ),
    )
    result = command("predictions", "verify")
    assert result.exit_code == 2
    assert "is broken at row 2 (prediction x): it is dated before" in result.stderr


def test_what_the_product_changed_and_deleted_since_is_told_and_is_no_problem(
    command: Command, five: None, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE public.predictions SET predicted_ctr = 0.9 WHERE id = %s", [UUID(int=2)]
        )
        connection.execute("DELETE FROM public.predictions WHERE id = %s", [UUID(int=4)])
    code, answer = verified(command)
    assert (code, answer["rows"]) == (0, 6)
    assert [(row["row"], row["since"]) for row in answer["differing"]] == [
        (2, "changed"),
        (4, "deleted"),
    ]
    told = " ".join(command("predictions", "verify").stdout.split())
    assert f"Row 4: prediction {UUID(int=4)} was deleted in public.predictions since" in told


def test_a_clock_that_was_ahead_is_told(command: Command, five: None, database: str) -> None:
    tamper(
        database,
        "UPDATE actuals.prediction_log SET logged_at = '2999-01-01' WHERE sequence = 5",
    )
    code, answer = verified(command)
    assert code == 2
    assert any("lies ahead" in problem for problem in answer["problems"])


def test_a_clock_that_was_ahead_when_a_video_was_logged_is_told(
    command: Command, videos: None, database: str
) -> None:
    tamper(database, "UPDATE actuals.video_log SET logged_at = '2999-01-01' WHERE sequence = 5")
    code, answer = verified(command)
    assert code == 2
    assert any("log of videos is dated 2999" in problem for problem in answer["problems"])


@pytest.mark.parametrize("text", ["abc", "xy" * 32, "ab" * 31, ""])
def test_what_is_no_hash_is_refused_in_a_sentence(command: Command, text: str) -> None:
    result = command("predictions", "verify", "--expect", text)
    assert result.exit_code == 2
    assert "is no hash of the log" in result.stderr


def test_a_copy_of_the_database_verifies(command: Command, five: None, database: str) -> None:
    _, before = verified(command)
    with psycopg.connect(database, autocommit=True) as connection:
        # What pg_restore does: the rows first, as they were, then the triggers.
        connection.execute("CREATE TEMP TABLE kept AS TABLE actuals.prediction_log")
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM actuals.prediction_log")
        connection.execute("INSERT INTO actuals.prediction_log TABLE kept")
    code, answer = verified(command, "--expect", before["last_hash"])
    assert (code, answer["expected_at_row"]) == (0, 5)


def test_verifying_does_not_wait_for_writers(five: None, database: str) -> None:
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO public.predictions (video_id) VALUES (gen_random_uuid())")
        writer.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert sealed_logs.verify(Warehouse(database)).predictions.rows == 5
