"""When a process is killed, and what it was about to write at that moment.

A quarter of the kills come at any instant of the time that a run usually takes, the others while
it writes a certain table: from the copy of the rows to the commit.  Before it is killed the
process is stopped, so that its open transactions can be looked at; what it had sent by then is
executed.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import LiteralString

import psycopg

from actuals_pipeline_tests.crashes.victims import Victim

WRITTEN_TABLES = (
    "raw_meta_insights",
    "meta_account_totals",
    "ad_actuals",
    "spend_reconciliation",
    "revenue_development",
    "prediction_accuracy",
    "model_accuracy",
    "model_statistics",
    "investment_summary",
    "winners",
    "budget_advice",
)

_POLL_SECONDS = 0.001
_GONE_SECONDS = 30.0

# Of a transaction that has written something; Dagster writes to tables of its own.
_OPEN_WRITES: LiteralString = r"""
SELECT query FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
  AND query ~ '\m(staged_|actuals\M|pg_advisory_xact_lock)'
"""
_OTHERS: LiteralString = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Instant:
    """`seconds` after the start, or after the first write to `table` if one is named."""

    seconds: float
    table: str | None = None

    @classmethod
    def drawn(cls, chance: Random, usual_seconds: float) -> Instant:
        """An instant of a run that usually takes so long."""
        if chance.random() < 0.25:
            return cls(chance.uniform(0, usual_seconds))
        # A write of these tests' few rows takes some hundredths of a second.
        return cls(chance.uniform(0, 0.05), chance.choice(WRITTEN_TABLES))


@dataclass(frozen=True)
class Killer:
    """Kills processes that write to one database."""

    database: str

    def kill(self, victim: Victim, instant: Instant) -> str | None:
        """Kill it then; what it was writing ("" for nothing), or None if it had ended before."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            if not self._has_come(connection, victim, instant):
                return None
            os.kill(victim.pid, signal.SIGSTOP)
            was_at = _doing(self._open_writes(connection))
            os.kill(victim.pid, signal.SIGKILL)
            self._wait_until_rolled_back(connection)
        return was_at

    def _has_come(self, connection: psycopg.Connection, victim: Victim, instant: Instant) -> bool:
        if instant.table is not None:
            while not any(instant.table in query for query in self._open_writes(connection)):
                if victim.ended_within(_POLL_SECONDS):
                    return False
        return not victim.ended_within(instant.seconds)

    @staticmethod
    def _open_writes(connection: psycopg.Connection) -> list[str]:
        return [query for (query,) in connection.execute(_OPEN_WRITES).fetchall()]

    def _wait_until_rolled_back(self, connection: psycopg.Connection) -> None:
        """Postgres notices a client's end when it next reads or writes."""
        deadline = time.monotonic() + _GONE_SECONDS
        while connection.execute(_OTHERS).fetchone() != (0,):
            assert time.monotonic() < deadline, "Postgres goes on without its client"
            time.sleep(_POLL_SECONDS)


def _doing(queries: list[str]) -> str:
    """The last statement of an open write in two words: what and where."""
    for query in queries:
        words = re.sub(r"^\W*WITH \w+ AS \(", "", query).split()
        table = re.search(r'staged_(\w+)|"actuals"\."(\w+?)(_\d{4}_\d\d)?"', query)
        return f"{words[0]} {next(filter(None, table.groups())) if table else ''}".strip()
    return ""


def told(kills: Counter[str]) -> str:
    """How many kills hit what."""
    in_a_write = kills.total() - kills[""]
    counts = (
        f"{number:5} {what or 'nothing being written'}" for what, number in kills.most_common()
    )
    return "\n".join([f"{kills.total()} kills, {in_a_write} in a write", *counts])
