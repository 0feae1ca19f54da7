from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from actuals_pipeline.accuracy.contract import PREDICTIONS
from actuals_pipeline.errors import SchemaOutOfDate, WarehouseError
from actuals_pipeline.frames import check_frame
from actuals_pipeline.warehouse import prediction_log, schema
from actuals_pipeline.warehouse.connection import Warehouse

Row = dict[str, Any]
Shop = Callable[..., Warehouse]

VIDEO = UUID(int=7)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def shop(empty_database: str) -> Shop:
    """A migrated database with the product's own tables, in a time zone of its own."""

    def build(*statements: str) -> Warehouse:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            name = sql.Identifier(connection.info.dbname)
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET timezone = 'Asia/Tokyo'").format(name)
            )
            for statement in statements:
                connection.execute(statement.encode())
        schema.upgrade(empty_database)
        return Warehouse(empty_database)

    return build


def logged(warehouse: Warehouse) -> list[Row]:
    with warehouse.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM actuals.prediction_log ORDER BY sequence").fetchall()


def said(rows: list[Row]) -> list[tuple[object, ...]]:
    names = ("prediction_id", "video_id", "model_name", "model_version")
    return [(*(row[name] for name in names), row["predicted_ctr"]) for row in rows]


def predict(connection: psycopg.Connection, ctr: float = 0.02, **values: object) -> UUID:
    row = {"id": UUID(int=1), "logged_at": LONG_AGO} | values
    connection.execute(
        "INSERT INTO public.predictions (id, video_id, predicted_ctr, logged_at) "
        "VALUES (%(id)s, %(video_id)s, %(ctr)s, %(logged_at)s)",
        row | {"ctr": ctr, "video_id": VIDEO},
    )
    return UUID(str(row["id"]))


def test_the_database_dates_a_prediction_whatever_it_says_itself(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    before = datetime.now(UTC)
    predict(connection)
    (row,) = logged(warehouse)
    assert said([row]) == [(str(UUID(int=1)), str(VIDEO), "default", "1", 0.02)]
    assert row["is_attested"]
    assert before <= row["logged_at"] <= datetime.now(UTC)
    # In the table that is ours nobody else's time is even stored, and it stays what it was.
    connection.execute("UPDATE public.predictions SET logged_at = %s", [LONG_AGO])
    stored = connection.execute("SELECT logged_at FROM public.predictions").fetchall()
    assert stored == [(row["claimed_at"],)]
    assert before <= row["claimed_at"] <= row["logged_at"]
    (got,) = prediction_log.predictions(warehouse).to_dict("records")
    assert (got["logged_at"], got["is_attested"]) == (row["logged_at"], True)


def test_a_prediction_is_dated_when_its_transaction_ends(
    warehouse: Warehouse, database: str, connection: psycopg.Connection
) -> None:
    with psycopg.connect(database) as slow:
        predict(slow)
        predict(connection, id=UUID(int=2))
        assert len(logged(warehouse)) == 1
    first, second = logged(warehouse)
    assert (first["prediction_id"], second["prediction_id"]) == (
        str(UUID(int=2)),
        str(UUID(int=1)),
    )
    assert second["claimed_at"] < first["claimed_at"] < first["logged_at"] < second["logged_at"]


def test_writers_at_once_make_one_chain(warehouse: Warehouse, database: str) -> None:
    def write(writer: int) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            for n in range(25):
                predict(connection, id=UUID(int=1000 * writer + n))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(1, 7)))
    rows = logged(warehouse)
    assert [row["sequence"] for row in rows] == list(range(1, 151))
    assert rows[0]["previous_hash"] == bytes(32)
    for one, next_one in pairwise(rows):
        assert next_one["previous_hash"] == one["hash"]
        assert next_one["logged_at"] > one["logged_at"]


def hash_of(row: Row) -> bytes:
    """The hash as the documentation tells an auditor to compute it."""

    def instant(at: datetime | None) -> str:
        return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if at else "null"

    lines = [
        row["previous_hash"].hex(),
        str(row["sequence"]),
        *(
            json.dumps(row[name], ensure_ascii=False)
            for name in ("prediction_id", "video_id", "model_name", "model_version")
        ),
        "null" if row["predicted_ctr"] is None else row["predicted_ctr"],
        "null" if row["predicted_roas"] is None else row["predicted_roas"],
        instant(row["logged_at"]),
        instant(row["claimed_at"]),
        str(row["is_attested"]).lower(),
    ]
    return sha256("\n".join(lines).encode()).digest()


def test_the_hash_is_what_the_documentation_says(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    insert = (
        "INSERT INTO public.predictions (id, video_id, model_name, predicted_ctr, predicted_roas)"
        " VALUES (%s, %s, %s, %s, %s)"
    )
    for n, (name, ctr, roas) in enumerate(
        [("plain", 0.1, 3), ('"\\\n\t\x01 é 漢 \x7f', 1e-300, 1e22), ("", None, 1 / 3)]
    ):
        connection.execute(insert, [UUID(int=n), VIDEO, name, ctr, roas])
    with warehouse.transaction() as reader, reader.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT sequence, prediction_id, video_id, model_name, model_version, "
            "predicted_ctr::text, predicted_roas::text, logged_at, claimed_at, is_attested, "
            "previous_hash, hash FROM actuals.prediction_log"
        ).fetchall()
    assert len(rows) == 3
    assert [row["hash"] for row in rows] == [hash_of(row) for row in rows]


def test_a_change_is_a_prediction_made_then_and_a_removal_changes_nothing(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    predict(connection)
    connection.execute("UPDATE public.predictions SET video_id = video_id")
    connection.execute("UPDATE public.predictions SET predicted_ctr = 0.03")
    connection.execute("DELETE FROM public.predictions")
    rows = logged(warehouse)
    assert [row["predicted_ctr"] for row in rows] == [0.02, 0.03]
    assert rows[0]["logged_at"] < rows[1]["logged_at"]
    got = prediction_log.predictions(warehouse)
    check_frame(got, PREDICTIONS)
    assert got["prediction_id"].tolist() == [str(UUID(int=1))] * 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE actuals.prediction_log SET predicted_ctr = 0.03",
        "DELETE FROM actuals.prediction_log",
        "TRUNCATE actuals.prediction_log",
    ],
)
def test_the_log_refuses_to_be_changed(
    warehouse: Warehouse, connection: psycopg.Connection, statement: str
) -> None:
    predict(connection)
    before = logged(warehouse)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is append-only"):
        connection.execute(statement.encode())
    assert logged(warehouse) == before


def test_whoever_writes_into_the_log_itself_is_numbered_and_dated_all_the_same(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    predict(connection)
    connection.execute(
        """
        INSERT INTO actuals.prediction_log (sequence, prediction_id, model_name, model_version,
            logged_at, is_attested, previous_hash, hash)
        SELECT 900, 'x', 'm', '1', '2020-01-01', true, hash, hash FROM actuals.prediction_log
        """
    )
    first, second = logged(warehouse)
    assert second["sequence"] == 2
    assert first["logged_at"] < second["logged_at"]
    assert second["hash"] != second["previous_hash"] == first["hash"]


def test_the_log_goes_forward_when_the_clock_goes_back(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    predict(connection)
    ahead = datetime.now(UTC) + timedelta(days=1)
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE actuals.prediction_log SET logged_at = %s", [ahead])
    connection.execute("SET session_replication_role = origin")
    predict(connection, id=UUID(int=2))
    assert [row["logged_at"] for row in logged(warehouse)] == [
        ahead,
        ahead + timedelta(microseconds=1),
    ]


def test_what_no_trigger_saw_is_logged_once_with_the_time_that_it_claims(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    predict(connection)
    connection.execute("SET session_replication_role = replica")
    predict(connection, id=UUID(int=3), logged_at=LONG_AGO)
    predict(connection, id=UUID(int=2), logged_at=LONG_AGO - timedelta(days=1))
    connection.execute(
        "UPDATE public.predictions SET predicted_ctr = 0.5 WHERE id = %s", [UUID(int=1)]
    )
    assert prediction_log.catch_up(warehouse) == 3
    assert prediction_log.catch_up(warehouse) == 0
    rows = logged(warehouse)
    assert [(row["prediction_id"][-1], row["is_attested"]) for row in rows] == [
        ("1", True),
        ("2", False),
        ("3", False),
        ("1", False),
    ]
    # Back to what it was: said again, because it is what the product says now.
    connection.execute(
        "UPDATE public.predictions SET predicted_ctr = 0.02 WHERE id = %s", [UUID(int=1)]
    )
    assert prediction_log.catch_up(warehouse) == 1
    assert prediction_log.catch_up(warehouse) == 0
    got = prediction_log.predictions(warehouse).set_index("sequence")
    assert got.loc[3, "logged_at"] == LONG_AGO
    assert got.loc[3, "claimed_at"] == LONG_AGO
    assert not got.loc[3, "is_attested"]


def test_history_is_imported_unattested_and_what_follows_it_is_not_history(
    warehouse: Warehouse, database: str
) -> None:
    with warehouse.transaction() as connection:
        with prediction_log.importing_history(connection):
            predict(connection, id=UUID(int=1))
        predict(connection, id=UUID(int=2))
    rows = logged(warehouse)
    assert [row["is_attested"] for row in rows] == [False, True]
    assert rows[0]["claimed_at"] == LONG_AGO
    assert prediction_log.catch_up(warehouse) == 0
    got = prediction_log.predictions(warehouse)
    assert got["logged_at"].tolist() == [LONG_AGO, rows[1]["logged_at"]]


ODD = (
    "CREATE TABLE public.predictions (id bigint, video_id int, model_name varchar(9), "
    "model_version int, predicted_ctr text, predicted_roas numeric, logged_at timestamp)"
)


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_table_of_another_shape_is_logged_as_text_fractions_and_utc(
    shop: Shop, *, is_watched: bool
) -> None:
    warehouse = shop(ODD)
    with warehouse.transaction() as connection:
        if not is_watched:
            connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "INSERT INTO public.predictions VALUES "
            "(9007199254740993, 7, 'ctr', 2, '0.025', 2.5, '2026-03-02 01:00'), "
            "(1, 8, NULL, NULL, '2,5 %', '1e400'::numeric, 'infinity'), "
            "(2, NULL, 'ctr', 2, NULL, 'NaN', NULL), (NULL, 8, 'ctr', 2, ' -1 ', NULL, NULL), "
            "(NULL, 8, 'ctr', 2, ' -1 ', NULL, NULL)"
        )
    n_unseen = prediction_log.catch_up(warehouse)
    # The last two say the same, under no id at all.
    assert n_unseen == (0 if is_watched else 4)
    assert prediction_log.catch_up(warehouse) == 0
    rows = {row["prediction_id"]: row for row in logged(warehouse)}
    assert {row["is_attested"] for row in rows.values()} == {is_watched}
    assert said([rows["9007199254740993"]]) == [("9007199254740993", "7", "ctr", "2", 0.025)]
    assert rows["9007199254740993"]["claimed_at"] == datetime(2026, 3, 2, 1, tzinfo=UTC)
    assert said([rows["1"]])[0][:4] == ("1", "8", "default", "1")
    assert rows["1"]["claimed_at"] is None
    assert rows[""]["predicted_ctr"] == -1
    got = prediction_log.predictions(warehouse).drop_duplicates("prediction_id")
    check_frame(got, PREDICTIONS)
    read = {row["prediction_id"]: row for row in got.to_dict("records")}
    # What was said and makes no sense is not the same as nothing said.
    assert (read["1"]["predicted_ctr"], read["1"]["predicted_roas"]) == (math.inf, math.inf)
    assert math.isnan(read[""]["predicted_roas"])
    assert "2" not in read


def test_a_row_that_cannot_be_logged_is_the_products_all_the_same(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    notices: list[str] = []
    connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    connection.execute("ALTER TABLE actuals.prediction_log RENAME TO elsewhere")
    try:
        predict(connection)
    finally:
        connection.execute("ALTER TABLE actuals.elsewhere RENAME TO prediction_log")
    assert ["is not in actuals.prediction_log yet" in notice for notice in notices] == [True]
    assert logged(warehouse) == []
    assert prediction_log.catch_up(warehouse) == 1


def test_a_role_of_the_product_needs_no_right_on_the_log(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE ROLE the_product")
    try:
        connection.execute("GRANT INSERT, SELECT, UPDATE ON public.predictions TO the_product")
        connection.execute("SET ROLE the_product")
        predict(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM actuals.prediction_log")
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY the_product; DROP ROLE the_product")
    (row,) = logged(warehouse)
    assert row["is_attested"]


def test_a_table_that_comes_or_comes_back_is_watched_again(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    assert prediction_log.watch(warehouse) is None
    connection.execute("ALTER TABLE public.predictions DISABLE TRIGGER prediction_log")
    assert prediction_log.watch(warehouse) is None
    predict(connection)
    connection.execute("DROP TRIGGER prediction_log ON public.predictions")
    connection.execute("DROP TRIGGER date_prediction ON public.predictions")
    assert prediction_log.watch(warehouse) is None
    predict(connection, id=UUID(int=2))
    assert [row["is_attested"] for row in logged(warehouse)] == [True, True]
    assert all(row["claimed_at"] > LONG_AGO for row in logged(warehouse))


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["DROP TABLE public.predictions"], "there is no table public.predictions"),
        (
            [
                "CREATE SCHEMA shop",
                "ALTER TABLE public.predictions SET SCHEMA shop",
                "CREATE VIEW public.predictions AS SELECT * FROM shop.predictions",
            ],
            '"predictions" is a view',
        ),
    ],
    ids=["no table", "a view"],
)
def test_what_cannot_be_watched_says_why(shop: Shop, statements: list[str], reason: str) -> None:
    warehouse = shop()
    with warehouse.transaction() as connection:
        for statement in statements:
            connection.execute(statement.encode())
    assert prediction_log.watch(warehouse) == reason


def test_a_role_that_may_not_watch_says_so(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    connection.execute("DROP TRIGGER prediction_log ON public.predictions")
    connection.execute("CREATE ROLE onlooker")
    try:
        connection.execute("GRANT USAGE ON SCHEMA actuals TO onlooker")
        connection.execute("SET ROLE onlooker")
        row = connection.execute("SELECT actuals.watch_predictions()").fetchone()
        assert row == ("permission denied for table predictions",)
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY onlooker; DROP ROLE onlooker")
        assert prediction_log.watch(warehouse) is None


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE public.predictions", 'relation "public.predictions" does not exist'),
        (
            "ALTER TABLE public.predictions DROP COLUMN video_id",
            'column "video_id" does not exist',
        ),
    ],
    ids=["no table", "no column"],
)
def test_a_product_table_that_cannot_be_read_says_which_and_why(
    shop: Shop, statement: str, reason: str
) -> None:
    warehouse = shop()
    with warehouse.transaction() as connection:
        connection.execute(statement.encode())
    with pytest.raises(WarehouseError, match=r"public\.predictions .*README") as caught:
        prediction_log.catch_up(warehouse)
    assert reason in str(caught.value)
    # Not ours to migrate.
    assert not isinstance(caught.value, SchemaOutOfDate)


def test_catching_up_waits_for_whoever_is_writing(warehouse: Warehouse, database: str) -> None:
    with psycopg.connect(database) as early, ThreadPoolExecutor(1) as pool:
        predict(early)
        # Dated now, and not yet to be seen.
        early.execute("SET CONSTRAINTS ALL IMMEDIATE")
        caught_up = pool.submit(prediction_log.catch_up, warehouse)
        with pytest.raises(TimeoutError):
            caught_up.result(timeout=0.3)
        early.commit()
        assert caught_up.result(timeout=30) == 0
    assert len(prediction_log.predictions(warehouse)) == 1


def test_a_log_without_rows_keeps_its_contract(warehouse: Warehouse) -> None:
    check_frame(prediction_log.predictions(warehouse), PREDICTIONS)
