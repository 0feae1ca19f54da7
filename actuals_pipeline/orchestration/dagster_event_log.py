"""Dagster's event log in Postgres, which does not ask anew what its tables look like.

`dagster.yaml` names it.  Dagster reads logs of older versions too, and before most statements asks
Postgres whether a table or a column is there yet: 157 times an hourly run, a tenth of its time.
"""

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.config import pg_config
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy.engine import Connection


class EventLog(PostgresEventLogStorage):
    """Remembers which tables and columns there are; what is missing may come with a migration."""

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

    def has_table(self, table_name: str) -> bool:
        """Whether the table is there."""
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
