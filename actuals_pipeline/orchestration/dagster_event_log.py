"""Dagster's event log in Postgres, without what takes Dagster's own the longest.

`dagster.yaml` names it.  Dagster reads logs of older versions too, and before most statements asks
Postgres whether a table or a column is there yet: 157 times an hourly run, a tenth of its time.
And the partitions that a run is going to make are stored one by one: 5,800 of a year's backfill.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.config import pg_config
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy.engine import Connection


class EventLog(PostgresEventLogStorage):
    """Remembers which tables and columns there are, and stores what is planned all at once."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._tables = set[str]()
        self._columns = set[str]()
        super().__init__(postgres_url, inst_data=inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """What `dagster.yaml` may say of it: as of Dagster's own."""
        return pg_config()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "EventLog":
        """The event log that `dagster.yaml` asks for."""
        return cls(pg_url_from_config(config_value), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store some events, all of which Dagster lets be stored together."""
        planned = [event for event in events if _is_planned(event)]
        super().store_event_batch([event for event in events if not _is_planned(event)])
        if planned:
            self._store_planned(planned)

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """As Dagster stores the partitions that were made: only the last of an asset is noted."""
        insert = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self.index_transaction() as connection:
            ids = [row.id for row in connection.execute(insert)]
            numbered = zip(events, ids, strict=True)
            last = {
                event.get_dagster_event().asset_key: (event, number) for event, number in numbered
            }
            for event, number in last.values():
                self._store_asset_event(connection, event, number)

    def has_table(self, table_name: str) -> bool:
        """Whether the table is there; one that is not may come with a migration."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        """Whether the table of assets has the column; a method of Dagster's, which may change."""
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(
            conn, column_name
        ):
            self._columns.add(column_name)
        return column_name in self._columns


def _is_planned(event: EventLogEntry) -> bool:
    planned = DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    return event.is_dagster_event and event.get_dagster_event().event_type == planned
