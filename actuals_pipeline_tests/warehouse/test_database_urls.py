from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import dagster_url, libpq_url, sqlalchemy_url, without_password

SPELLINGS = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "POSTGRESQL"]

Door = dict[str, object]


def by_libpq(url: str) -> Door:
    """Where libpq goes with the address, and as whom."""
    found = conninfo_to_dict(libpq_url(url))
    return {name: value for name, value in found.items() if value}


def by_sqlalchemy(url: str) -> Door:
    """Where the driver goes that SQLAlchemy hands the address to."""
    engine = create_engine(url, poolclass=NullPool)
    _, found = engine.dialect.create_connect_args(make_url(url))
    # SQLAlchemy turns the port into a number.
    known: Door = {name: str(value) for name, value in found.items() if value}
    known.pop("context", None)
    return known


def by_dagster(url: str) -> Door:
    """The same for Dagster, but for the two options that it needs."""
    found = by_sqlalchemy(dagster_url(url))
    ours = "-csearch_path=dagster -csynchronous_commit=off"
    options = str(found.pop("options")).removesuffix(ours).strip()
    return found | ({"options": options} if options else {})


@pytest.mark.parametrize("scheme", SPELLINGS)
def test_every_spelling_of_the_scheme_names_one_database(scheme: str) -> None:
    url = f"{scheme}://me:geheim@db.example:6543/shop"
    assert libpq_url(url) == "postgresql://me:geheim@db.example:6543/shop"
    assert sqlalchemy_url(url) == "postgresql+psycopg://me:geheim@db.example:6543/shop"
    assert dagster_url(url) == (
        "postgresql+psycopg2://me:geheim@db.example:6543/shop"
        "?options=-csearch_path%3Ddagster%20-csynchronous_commit%3Doff"
    )
    assert without_password(url) == "postgresql://me:***@db.example:6543/shop"


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("//db.example/shop", {"host": "db.example"}),
        ("//me@[::1]:6543/shop", {"user": "me", "host": "::1", "port": "6543"}),
        ("///shop?host=/var/run", {"host": "/var/run"}),
        ("//me@/shop?host=/var/run&port=6543", {"user": "me", "host": "/var/run", "port": "6543"}),
        ("//me@%2Fvar%2Frun/shop", {"user": "me", "host": "/var/run"}),
        ("//me@%2Fvar%2Frun:6543/shop", {"user": "me", "host": "/var/run", "port": "6543"}),
        ("///shop?host=/a%20b/%2B", {"host": "/a b/+"}),
        ("///shop?host=/a+b", {"host": "/a+b"}),
        ("//h/shop?sslmode=require", {"host": "h", "sslmode": "require"}),
        ("//h/shop?options=-c%20x.y%3D1", {"host": "h", "options": "-c x.y=1"}),
        ("//me:ge%20heim@h/shop", {"user": "me", "password": "ge heim", "host": "h"}),
        ("//me:ge@heim@h/shop", {"user": "me", "password": "ge@heim", "host": "h"}),
        ("//me:50%:ü @h/shop", {"user": "me", "password": "50%:ü ", "host": "h"}),
        ("//a%40b:c%2Fd%23@h/shop", {"user": "a@b", "password": "c/d#", "host": "h"}),
        ("//h/shop?user=me&password=ge+heim", {"user": "me", "password": "ge+heim", "host": "h"}),
    ],
)
def test_every_reader_understands_the_address_as_it_was_meant(address: str, door: Door) -> None:
    url = f"postgresql:{address}"
    want = door | {"dbname": "shop"}
    assert by_libpq(url) == want
    assert by_sqlalchemy(sqlalchemy_url(url)) == want
    assert by_dagster(url) == want


def test_a_blank_that_sqlalchemy_wrote_as_a_plus_stays_a_blank() -> None:
    url = "postgresql+psycopg2://h/shop?options=-c+x.y%3D1"
    for door in (by_libpq(url), by_sqlalchemy(sqlalchemy_url(url)), by_dagster(url)):
        assert door == {"host": "h", "dbname": "shop", "options": "-c x.y=1"}


# Neither NUL nor half of a surrogate pair can be in a password at all.
PASSWORDS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(password=PASSWORDS)
def test_any_password_reaches_every_reader_and_is_never_shown(password: str) -> None:
    url = f"postgres://me:{quote(password, safe='')}@h/shop?password={quote(password, safe='')}"
    assert by_libpq(url)["password"] == password
    for spelt in (sqlalchemy_url(url), dagster_url(url)):
        assert make_url(spelt).password == password
    assert without_password(url) == "postgresql://me:***@h/shop?password=***"
    assert repr(Warehouse(url)) == "Warehouse(postgresql://me:***@h/shop?password=***)"


@pytest.mark.parametrize(
    "option",
    ["password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"],
)
def test_no_option_that_is_a_secret_is_shown(option: str) -> None:
    url = f"postgresql://h/shop?{option}=geheim&sslmode=require"
    assert without_password(url) == f"postgresql://h/shop?{option}=***&sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "geheim",
        "sqlite:///shop",
        "https://me:geheim@h/shop",
        "mypostgresql://h/shop",
        "postgresql://me:geheim@h",
        "postgresql://me:geheim@h/",
        "postgresql://me:geheim@h:many/shop",
        "postgresql://me:geheim@h:0/shop",
        "postgresql://me:geheim@h:99999/shop",
        "postgresql://me:geheim@[::1/shop",
        "postgresql://me:geh/eim@h/shop",
        "postgresql://me:12/geheim@h/shop",
        "postgresql://me:12#geheim@h/shop",
        "postgresql://h/shop?password=12#geheim",
        "postgresql://me:12?geheim@h/shop",
        "postgresql://me:geheim%00@h/shop",
    ],
)
@pytest.mark.parametrize("read", [libpq_url, sqlalchemy_url, dagster_url, without_password])
def test_what_is_no_address_is_refused_without_being_quoted(
    url: str, read: Callable[[str], str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(url)
    assert str(caught.value) == (
        "DATABASE_URL cannot be used: write it as "
        "postgresql://user:password@host:5432/database, odd characters percent-encoded."
    )
    assert caught.value.__context__ is None


def test_dagster_works_in_its_own_schema_and_keeps_what_was_chosen(database: str) -> None:
    url = f"{database}&options=-cstatement_timeout%3D1234"
    with create_engine(dagster_url(url), poolclass=NullPool).connect() as connection:
        assert connection.exec_driver_sql("SHOW search_path").scalar() == "dagster"
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "1234ms"
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0


def test_only_dagster_does_not_wait_for_the_disk(database: str) -> None:
    query = "SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'"
    with create_engine(dagster_url(database), poolclass=NullPool).connect() as engine:
        assert engine.exec_driver_sql(query).one() == ("off", "client")
    with Warehouse(database).transaction() as connection:
        _, source = connection.execute(query.encode()).fetchone() or ("", "client")
    assert source != "client", "as the server has it"
