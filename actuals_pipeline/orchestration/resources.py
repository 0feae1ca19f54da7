"""What assets reach the outside through: Meta's API and the warehouse.

Secrets arrive as environment variable names (`EnvVar`), so the UI shows the name and never the
value; they are resolved when a run starts, so the code location loads with nothing set.  From then
on a resource holds them, and leaves them out of its repr.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Self

import dagster as dg
from pydantic import Field, PrivateAttr

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.meta.accounts import AccountFetch, fetch_accounts
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.health import MetaAccess
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import FetchMemory
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse


class MetaApi(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own idiom
    """Meta's Graph API for the configured ad accounts."""

    access_token: str = Field(description="System user token with ads_read.", repr=False)
    app_id: str = Field(description="App that the token is of.")
    app_secret: str = Field(
        description="Signs every call; empty when the app does not ask it.", repr=False
    )
    account_ids: list[str] = Field(description="Ad accounts, digits without act_.")
    graph_url: str = Field(description="Graph API host.")
    api_version: str = Field(description="Marketing API version.")
    filter_statuses: bool = Field(description="Whether requests name every status of ads.")
    is_stand_in: bool = Field(description="Whether the local stand-in is meant to answer.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The resource for `settings`; a secret that is not set is left empty."""
        return cls(
            access_token=_secret("META_ACCESS_TOKEN", settings.meta_access_token),
            app_id=settings.meta_app_id,
            app_secret=_secret("META_APP_SECRET", settings.meta_app_secret),
            account_ids=list(settings.meta_ad_account_ids),
            graph_url=settings.meta_graph_url,
            api_version=settings.meta_api_version,
            filter_statuses=settings.filter_statuses,
            is_stand_in=settings.is_stand_in,
        )

    def client(self, limits: Limits, memory: FetchMemory) -> InsightsClient:
        """A client for one account, sharing what is known of the limits."""
        return InsightsClient(
            MetaCredentials(self.access_token, self.app_id, self.app_secret),
            graph_url=self.graph_url,
            api_version=self.api_version,
            limits=limits,
            memory=memory,
            filter_statuses=self.filter_statuses,
        )

    def access(self) -> MetaAccess:
        """Whom to ask about Meta's side of the installation's health."""
        return MetaAccess(
            MetaCredentials(self.access_token, self.app_id, self.app_secret),
            tuple(self.account_ids),
            self.graph_url,
            self.api_version,
            self.is_stand_in,
        )

    def clock(self) -> datetime:
        """The instant at which a fetch starts; tests override it to fix the day."""
        return datetime.now(UTC)

    def limits(self) -> Limits:
        """The limits that the accounts of one run share; tests override it to fix the time."""
        return Limits()

    def fetch(
        self,
        window: DayWindow,
        memory: FetchMemory,
        limits: Limits,
        purchase_action_type: Callable[[str], str],
        account_ids: Sequence[str],
    ) -> Iterator[AccountFetch]:
        """Fetch `window` of some of the accounts, each with its own outcome."""
        return fetch_accounts(
            account_ids,
            window,
            partial(self.client, limits, memory),
            purchase_action_type=purchase_action_type,
            expects_stand_in=self.is_stand_in,
            clock=self.clock,
        )

    def recalled_limits(self, memory: FetchMemory) -> Limits:
        """The limits of a run that begins, with what earlier runs were told to wait for.

        `SettingsError` when there is nobody to ask, or nothing to ask with.
        """
        if not self.access_token or not self.account_ids:
            missing = "META_AD_ACCOUNT_ID" if self.access_token else "META_ACCESS_TOKEN"
            raise SettingsError(f"{missing} is missing; set it and start Dagster again.")
        limits = self.limits()
        for account_id, seconds in memory.rests().items():
            limits.recall(account_id, seconds)
        return limits


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Postgres database of the warehouse."""

    database_url: str = Field(description="Postgres, in any of the usual spellings.", repr=False)

    _kept_open: Warehouse | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:  # noqa: ARG002
        """The resource for a run, whose transactions follow one another on one connection."""
        with Warehouse(self.database_url).kept_open() as self._kept_open:
            yield self

    def warehouse(self) -> Warehouse:
        """The warehouse at this address; nothing is connected yet."""
        return self._kept_open or Warehouse(self.database_url)

    def clock(self) -> datetime:
        """The instant at which what is written comes to be known; tests override it."""
        return datetime.now(UTC)


def _secret(variable: str, value: object) -> str:
    """A reference to `variable` if it is set, so that its value is stored nowhere."""
    return dg.EnvVar(variable) if str(value) else ""
