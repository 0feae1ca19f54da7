"""One question to Meta's insights, apart from its days: whose, at which level, which fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from actuals_pipeline.errors import InputError, UnexpectedPayload
from actuals_pipeline.meta import fields
from actuals_pipeline.report_days import DayWindow

_ADS_FIELD: Final = "ad.id"


@dataclass(frozen=True, slots=True)
class Query:
    """Insights of one `node` at one `level`; with `ad_ids` of these ads of it only.

    `names` are those of the fields; `account_id` is None where it is not known yet; `ad_id` is
    set when the node is an ad.
    """

    node: str
    level: str
    names: tuple[str, ...]
    account_id: str | None
    ad_id: str | None = None
    filtering: tuple[Mapping[str, Any], ...] = ()
    is_daily: bool = True
    ad_ids: tuple[str, ...] | None = None

    @classmethod
    def of_ads(cls, account_id: str, *, filter_statuses: bool) -> Query:
        """Every ad of an account, day by day."""
        return cls(
            account_node(account_id),
            fields.LEVEL_AD,
            fields.AD_FIELDS,
            account_id,
            filtering=fields.ALL_STATUSES_FILTER if filter_statuses else (),
        )

    @classmethod
    def of_ad(
        cls,
        ad_id: str,
        account_id: str | None,
        *,
        names: tuple[str, ...] = fields.AD_FIELDS,
        is_daily: bool = True,
    ) -> Query:
        """One ad, asked for directly, whatever its status; day by day or all days together."""
        node = checked_id(ad_id, "ad")
        return cls(node, fields.LEVEL_AD, names, account_id, ad_id, is_daily=is_daily)

    @classmethod
    def of_account(cls, account_id: str) -> Query:
        """The account's own totals, day by day."""
        return cls(
            account_node(account_id), fields.LEVEL_ACCOUNT, fields.ACCOUNT_FIELDS, account_id
        )

    def params(self, window: DayWindow) -> dict[str, Any]:
        """What to send for the days of `window`."""
        days = {"since": window.since.isoformat(), "until": window.until.isoformat()}
        return self.without_days() | {"time_range": days}

    def without_days(self) -> dict[str, Any]:
        """What to send besides the days."""
        params: dict[str, Any] = {
            "level": self.level,
            "fields": ",".join(self.names),
            "action_attribution_windows": list(fields.ATTRIBUTION_WINDOWS),
        }
        if self.is_daily:
            params["time_increment"] = fields.DAILY
        filtering = list(self.filtering)
        if self.ad_ids is not None:
            filtering.append({"field": _ADS_FIELD, "operator": "IN", "value": list(self.ad_ids)})
        if filtering:
            params["filtering"] = filtering
        return params

    def fingerprint(self, window: DayWindow) -> str:
        """Text that two requests share if and only if they ask for the same."""
        return json.dumps([self.node, self.params(window)], sort_keys=True)

    def for_ads(self, ad_ids: Sequence[str]) -> Query:
        """The same about some of the account's ads."""
        return replace(self, ad_ids=tuple(ad_ids))

    def for_measures(self, names: Sequence[str]) -> Query:
        """The same with some of its measures; what identifies a row is always asked for."""
        return replace(
            self, names=tuple(n for n in self.names if n in {*names, *fields.KEY_FIELDS})
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """The fields that a row can do without."""
        return tuple(name for name in self.names if name not in fields.KEY_FIELDS)

    @property
    def lists_ads(self) -> bool:
        """Whether it asks for the ads of an account, as many as there are."""
        return self.level == fields.LEVEL_AD and self.ad_id is None

    def unexpected(self, what: str, **facts: Any) -> UnexpectedPayload:
        """The error of an answer that is not one to this question."""
        subject = f"account act_{self.account_id}" if self.account_id else f"ad {self.ad_id}"
        return UnexpectedPayload(
            f"Meta's answer for {subject} is not what it promises: {what}.",
            account_id=self.account_id,
            **facts,
        )


def account_node(account_id: str) -> str:
    """The account as Graph paths write it."""
    return f"act_{checked_id(account_id, 'ad account')}"


def checked_id(value: str, kind: str) -> str:
    """`value` if it can stand in a path; `InputError` otherwise."""
    if not fields.is_id(value):
        raise not_an_id(value, kind)
    return value


def not_an_id(value: str, kind: str) -> InputError:
    """The error of an id that somebody mistyped."""
    return InputError(f"{value!r} is no {kind} id: write its digits, such as 120330000000000001.")
