"""Transactions on the warehouse, and what a database says turned into our errors.

Imports neither pandas nor SQLAlchemy, so that a command that only reads starts fast.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Final, Self

import psycopg
from psycopg import errors

from actuals_pipeline.errors import (
    SchemaOutOfDate,
    SettingsError,
    WarehouseError,
    WarehouseHindered,
    WarehouseUnavailable,
)
from actuals_pipeline.warehouse.urls import libpq_url, without_password

CONNECT_TIMEOUT_SECONDS = 10
"""Chosen: longer than a failover on a local network, shorter than a person's patience."""


_TIMES_IN_UTC: Final = "SET LOCAL TIME ZONE 'UTC'"
"""Times of the product's tables may have no zone; they are UTC, whatever the database's default."""


class Warehouse:
    """The Postgres database at `url`, in any of the usual spellings.

    With `most_seconds` a connection that is used for longer is broken off, whatever it waits for.
    """

    def __init__(self, url: str, *, most_seconds: float | None = None) -> None:
        self._url = libpq_url(url)
        self._most_seconds = most_seconds
        self._keeps_open = False
        self._kept: deque[psycopg.Connection] = deque()

    def __repr__(self) -> str:
        return f"Warehouse({without_password(self._url)})"

    @contextmanager
    def kept_open(self) -> Iterator[Self]:
        """Within the block transactions follow one another on connections that stay open.

        For many short ones: to connect anew takes as long as most of them, and a server that has
        just been connected to has yet to look at each table that it is asked about.  At the end
        of the block no connection is left.  Not with a time limit, which is of a connection.
        """
        self._keeps_open = True
        try:
            yield self
        finally:
            self._keeps_open = False
            while self._kept:
                self._kept.pop().close()

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """A connection whose block is one transaction: committed at its end, or nothing at all."""
        begun = self._begun_on_kept()
        with self._translated(begun or self._connect()) as connection:
            try:
                if not begun:
                    connection.execute(_TIMES_IN_UTC)
                yield connection
                connection.commit()
            except BaseException:
                with suppress(psycopg.Error):
                    connection.rollback()
                connection.close()
                raise
            if self._keeps_open and not self._kept:
                self._kept.append(connection)
            else:
                connection.close()

    @contextmanager
    def autocommit(self) -> Iterator[psycopg.Connection]:
        """A connection whose statements are each a transaction, for what must be outside of one."""
        with self._translated(self._connect()) as connection, connection:
            connection.autocommit = True
            yield connection

    def _begun_on_kept(self) -> psycopg.Connection | None:
        """A transaction on a connection that was kept open, if there is one and it still works."""
        with suppress(IndexError):
            connection = self._kept.pop()
            try:
                connection.execute(_TIMES_IN_UTC)
            except psycopg.Error:
                # The server was started again, or ended it; a new connection will tell.
                connection.close()
            else:
                return connection
        return None

    @contextmanager
    def _translated(self, connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
        """`connection`; what the database says while it is used becomes an error of ours."""
        limit = _TimeLimit(connection, self._most_seconds)
        try:
            with limit:
                yield connection
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
            raise SchemaOutOfDate(
                f"The database lacks what this version needs ({error.diag.message_primary}): "
                "run `actuals db upgrade`."
            ) from error
        except (
            errors.OperationalError,
            errors.InternalError,
            errors.InsufficientPrivilege,
        ) as error:
            name = f"the database {without_password(self._url)}"
            if limit.is_over:
                raise WarehouseUnavailable(
                    f"T{name[1:]} did not answer within {self._most_seconds:g} s: look at what "
                    "holds it up (pg_stat_activity, pg_locks), or start it again."
                ) from error
            explained = explanation(name, error.sqlstate, error.diag.message_primary)
            if explained is None:
                raise
            raise explained from error

    def _connect(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT_SECONDS)
        except psycopg.ProgrammingError as error:
            raise SettingsError(f"DATABASE_URL cannot be used: {str(error).strip()}.") from None
        except psycopg.OperationalError as error:
            # One line an address that was tried, each with a hint under it.
            reason = str(error).partition("\n")[0].rpartition("failed: ")[2]
            raise WarehouseUnavailable(
                f"The database {without_password(self._url)} does not answer ({reason}): check "
                "DATABASE_URL and that the server runs."
            ) from None
        # Whatever the database's default: a writer that waited for another must see its rows.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection


class _TimeLimit:
    """Breaks a connection off after some seconds, so that who waits on it hears of it.

    From outside, because a server that is frozen or waits for a lock keeps no limit of its own.
    """

    def __init__(self, connection: psycopg.Connection, seconds: float | None) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = Timer(seconds, self._break_off) if seconds is not None else None

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_exception: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _break_off(self) -> None:
        self.is_over = True
        # On a descriptor of its own: the connection closes its own one itself.
        with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)


def explanation(name: str, state: str | None, said: str | None) -> WarehouseError | None:
    """What an SQLSTATE means for a person, and what to do; None when it is about a statement.

    Without a state the connection broke before the server could say why.  `name` is what was
    used, in the middle of a sentence.
    """
    if state is None or state.startswith(_BROKEN):
        return WarehouseUnavailable(
            f"The connection to {name} broke; what was being written is stored whole or not at "
            "all: run it again."
        )
    remedy = _REMEDIES.get(state) or _REMEDIES.get(state[:2])
    if remedy is None:
        return None
    return WarehouseHindered(
        f"{name[0].upper()}{name[1:]} gave up ({said}): {remedy}, then run it again; what was "
        "being written is stored whole or not at all."
    )


# The codes and their classes: PostgreSQL 18, appendix A.

_BROKEN = ("08", "57P")
"""Connection exceptions; and the end, the crash or the start of the server or the session."""

_OTHER_WRITER = "wait for the other writer"
_MORE_TIME = "raise the time limit, if it names one, for this database or for its role"
_LOOK_AT_THE_SERVER = "look into the server's log and at its disk"

_REMEDIES = {
    "25006": "let DATABASE_URL name a server that takes writes",
    "25P03": _MORE_TIME,
    "25P04": _MORE_TIME,
    "40001": _OTHER_WRITER,
    "40P01": _OTHER_WRITER,
    "42501": (
        "use the account that owns the tables, or give this one its rights with `actuals db roles`"
    ),
    "53": "give the server more of it",
    "53100": "make room on its disk",
    "55P03": _MORE_TIME,
    "57014": _MORE_TIME,
    "58": _LOOK_AT_THE_SERVER,
    "XX": _LOOK_AT_THE_SERVER,
}
