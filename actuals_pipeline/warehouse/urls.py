"""One database address in the three spellings that its readers want.

People write `postgres://`, `postgresql://` or a SQLAlchemy URL with a driver.  psycopg wants the
bare form; SQLAlchemy 2.1 takes the bare form for psycopg 3, with which Dagster's Postgres storage
breaks (dagster-io/dagster 33958), so Dagster must be told psycopg2.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from actuals_pipeline.errors import SettingsError

DAGSTER_SCHEMA = "dagster"
"""Schema that Dagster keeps its instance tables in."""


def libpq_url(url: str) -> str:
    """The address as psycopg and psql take it: `postgresql://...`."""
    return _spelt(_parsed(url), "postgresql")


def sqlalchemy_url(url: str) -> str:
    """The address as SQLAlchemy takes it, over psycopg 3."""
    return _spelt(_parsed(url), "postgresql+psycopg")


def dagster_url(url: str) -> str:
    """The address as Dagster takes it: over psycopg2, with its tables in their own schema."""
    parts = _parsed(url)
    query = dict(parse_qsl(parts.query))
    given = query.get("options")
    search_path = f"-csearch_path={DAGSTER_SCHEMA}"
    query["options"] = f"{given} {search_path}" if given else search_path
    return _spelt(parts._replace(query=urlencode(query, quote_via=quote)), "postgresql+psycopg2")


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = _parsed(url)
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    hidden = f"{name}:***@{host}" if password else parts.netloc
    query = [(key, "***" if key == "password" else value) for key, value in parse_qsl(parts.query)]
    shown = parts._replace(netloc=hidden, query=urlencode(query, quote_via=quote, safe="/*"))
    return _spelt(shown, "postgresql")


def _spelt(parts: SplitResult, scheme: str) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{parts.netloc}{parts.path}{query}"


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Reading the port is what makes urlsplit refuse one that is no number.
        usable = parts.port is None or parts.port > 0
    except ValueError:
        parts, usable = SplitResult("", "", "", "", ""), False
    is_postgres = re.fullmatch(r"postgres(ql)?(\+\w+)?", parts.scheme) is not None
    if not (usable and is_postgres and parts.path.strip("/")):
        raise SettingsError(
            "DATABASE_URL cannot be used: write it as "
            "postgresql://user:password@host:5432/database."
        )
    return parts
