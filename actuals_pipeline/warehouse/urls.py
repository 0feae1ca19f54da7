"""One database address in the three spellings that its readers want.

People write `postgres://`, `postgresql://` or a SQLAlchemy URL with a driver.  psycopg wants the
bare form; SQLAlchemy 2.1 takes the bare form for psycopg 3, with which Dagster's Postgres storage
breaks (dagster-io/dagster 33958), so Dagster must be told psycopg2.

The readers also differ in what they unquote, and libpq quotes a malformed password in its errors;
so every part is percent-encoded afresh.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from actuals_pipeline.errors import SettingsError

DAGSTER_SCHEMA = "dagster"
"""Schema that Dagster keeps its instance tables in."""

_SECRET_OPTIONS = {
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
}
"""Connection parameters of libpq 18 that nobody may see."""


def libpq_url(url: str) -> str:
    """The address as psycopg and psql take it: `postgresql://...`."""
    return _spelt(_parsed(url), "postgresql")


def sqlalchemy_url(url: str) -> str:
    """The address as SQLAlchemy takes it, over psycopg 3."""
    return _spelt(_parsed(url), "postgresql+psycopg")


def dagster_url(url: str) -> str:
    """The address as Dagster takes it: over psycopg2, with its tables in their own schema.

    Dagster writes each event of a run in transactions of its own, a thousand an hour, and would
    wait for the disk after each.  It does not: what it wrote reaches the disk with the next commit
    of the warehouse's, which does wait, in the same log and so in the same order.  After a crash
    of the server Dagster's tables stand as they stood at some instant of the last second, never
    between two; a run that they lost the end of is failed by run monitoring, and the next one
    makes its days anew.
    """
    parts = _parsed(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    given = options.get("options")
    ours = f"-csearch_path={DAGSTER_SCHEMA} -csynchronous_commit=off"
    options["options"] = f"{given} {ours}" if given else ours
    return _spelt(parts._replace(query=_query(list(options.items()))), "postgresql+psycopg2")


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = _parsed(url)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    options = [
        (key, "***" if key in _SECRET_OPTIONS else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    hidden = f"{name}:***{at}{host}" if password else parts.netloc
    return _spelt(parts._replace(netloc=hidden, query=_query(options)), "postgresql")


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
    # An @ after the first slash, or a fragment, is the rest of a password cut at its / or #.
    is_cut = "@" in parts.path or parts.fragment != "" or "%00" in url
    if is_cut or not (usable and is_postgres and parts.path.strip("/")):
        raise SettingsError(
            "DATABASE_URL cannot be used: write it as "
            "postgresql://user:password@host:5432/database, odd characters percent-encoded."
        )
    return _encoded(parts)


def _encoded(parts: SplitResult) -> SplitResult:
    """The same address with its user, password and options percent-encoded afresh."""
    user, at, host = parts.netloc.rpartition("@")
    # SQLAlchemy writes a blank in an option as +, libpq takes a + for itself.
    query = parts.query if "+" in parts.scheme else parts.query.replace("+", "%2B")
    options = parse_qsl(query, keep_blank_values=True)
    if "%2f" in host.lower():
        # libpq's other spelling of a socket's folder, which SQLAlchemy does not know.
        folder, _, port = host.partition(":")
        options += [("host", unquote(folder)), *([("port", port)] if port else [])]
        host = ""
    quoted = ":".join(quote(unquote(part), safe="") for part in user.split(":", maxsplit=1))
    return parts._replace(netloc=f"{quoted}{at}{host}", query=_query(options))


def _query(options: list[tuple[str, str]]) -> str:
    return urlencode(options, quote_via=quote, safe="/*")
