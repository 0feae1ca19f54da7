"""Turn insights payloads into numbers.

Meta sends every metric as text and leaves out those that are zero.  This is the only module
where that text becomes a number; everything downstream may rely on the types of its frames.

Units: money in the account's currency, major units, exact to the last digit Meta sent; report
days in the account's time zone.  `clicks` is Meta's clicks (all), `link_clicks` its inline link
clicks.  Purchases are those of one action type, at the attribution setting of the ad's ad set.

Source: Insights reference and payloads in public repositories, Marketing API v26.0, 2026-11-22.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NoReturn

import pandas as pd

from actuals_pipeline.errors import InputError, UnexpectedPayload
from actuals_pipeline.meta import fields
from actuals_pipeline.report_days import parse_day

Payload = Mapping[str, Any]
PurchaseActionType = Callable[[str], str]
"""From an account id to the one action type that counts as a purchase there."""

# No exponent, because Meta writes plain decimals; no more digits than a bigint holds in any case.
_COUNT: Final = re.compile(r"[0-9]{1,18}(\.0+)?")
_SIGNED_COUNT: Final = re.compile(r"-?[0-9]{1,18}(\.0+)?")
_AMOUNT: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_SIGNED_AMOUNT: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

_QUOTED_CHARACTERS: Final = 80
_LABELS: Final = (
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_name",
    "attribution_setting",
)


def parse_insights(
    payloads: Iterable[Payload],
    *,
    purchase_action_type: PurchaseActionType,
    fetched_at: datetime | Iterable[datetime],
) -> pd.DataFrame:
    """One row per payload, in their order: the figures of one ad on one report day.

    `fetched_at`, aware, holds for every payload or gives one instant for each.  A metric that
    Meta left out is 0, except `reach`, which is then unknown.  Raises `UnexpectedPayload`, which
    names account, ad, day, field and value.
    """
    rows = list(payloads)
    types = _purchase_types(rows, purchase_action_type)
    return pd.DataFrame(
        {
            "account_id": _texts(_identifier(row, "account_id") for row in rows),
            "ad_id": _texts(_identifier(row, "ad_id") for row in rows),
            "report_date": _objects(report_dates(rows)),
            "campaign_id": _labels(rows, "campaign_id"),
            "campaign_name": _labels(rows, "campaign_name"),
            "adset_id": _labels(rows, "adset_id"),
            "adset_name": _labels(rows, "adset_name"),
            "ad_name": _labels(rows, "ad_name"),
            "currency": _texts(_currency(row) for row in rows),
            "attribution_setting": _labels(rows, "attribution_setting"),
            "purchase_action_type": _texts(types),
            "impressions": _counts(rows, "impressions"),
            "clicks": _counts(rows, "clicks"),
            "link_clicks": _counts(rows, "inline_link_clicks"),
            "reach": _reach(rows),
            "spend": _objects(_amount(row, "spend") for row in rows),
            "conversions": _conversions(rows, types),
            "revenue": _revenue(rows, types),
            "fetched_at": _instants(fetched_at, len(rows)),
        }
    )


def parse_totals(
    payloads: Iterable[Payload], *, purchase_action_type: PurchaseActionType
) -> pd.DataFrame:
    """One row per payload, in their order: Meta's own total of one account and report day.

    As `parse_insights`; a total has no ad.
    """
    rows = list(payloads)
    types = _purchase_types(rows, purchase_action_type)
    return pd.DataFrame(
        {
            "account_id": _texts(_identifier(row, "account_id") for row in rows),
            "report_date": _objects(report_dates(rows)),
            "currency": _texts(_currency(row) for row in rows),
            "impressions": _counts(rows, "impressions"),
            "clicks": _counts(rows, "clicks"),
            "reach": _reach(rows),
            "spend": _objects(_amount(row, "spend") for row in rows),
            "conversions": _conversions(rows, types),
            "revenue": _revenue(rows, types),
            "purchase_action_type": _texts(types),
        }
    )


@dataclass(slots=True)
class DaySums:
    """What rows of one report day add up to; money in the account's currency."""

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    spend: Decimal = Decimal(0)
    revenue: Decimal = Decimal(0)

    def __add__(self, other: DaySums) -> DaySums:
        return DaySums(*(getattr(self, each) + getattr(other, each) for each in self.__slots__))

    def exceeds(self, other: DaySums) -> bool:
        """Whether any figure is above the other's."""
        return any(getattr(self, each) > getattr(other, each) for each in self.__slots__)


def sums_by_day(
    payloads: Iterable[Payload], *, purchase_action_type: PurchaseActionType
) -> dict[str, DaySums]:
    """The sums of each report day, given as Meta writes it, over payloads read one by one.

    Every field that becomes part of a frame is read, so that what cannot be parsed is found here,
    within the fetch of the one account: `UnexpectedPayload`.
    """
    sums: defaultdict[str, DaySums] = defaultdict(DaySums)
    kind_of = cache(purchase_action_type)
    for row in payloads:
        _check_the_rest(row)
        day, kind = sums[str(row.get("date_start"))], kind_of(_identifier(row, "account_id"))
        day.impressions += _whole(_number(row, "impressions", row.get("impressions"), _COUNT))
        day.clicks += _whole(_number(row, "clicks", row.get("clicks"), _COUNT))
        day.conversions += _conversions_of(row, kind)
        day.spend += _amount(row, "spend")
        day.revenue += _revenue_of(row, kind)
    return dict(sums)


def _check_the_rest(row: Payload) -> None:
    """Read what `sums_by_day` does not add up."""
    _currency(row)
    for field in ("inline_link_clicks", "reach"):
        _number(row, field, row.get(field), _COUNT)
    for field in _LABELS:
        _label(row, field)


def parse_reach(payloads: Iterable[Payload]) -> int | None:
    """People reached according to the one row that covers all days asked about; None if unknown."""
    reached = _reach(list(payloads))
    return int(reached[0]) if len(reached) == 1 and reached.notna().all() else None


def report_dates(payloads: Iterable[Payload]) -> list[date]:
    """The report day of each payload."""
    parsed = cache(parse_day)
    return [_report_date(payload, parsed) for payload in payloads]


def _purchase_types(rows: Sequence[Payload], chosen: PurchaseActionType) -> list[str]:
    of_account = cache(chosen)
    return [of_account(_identifier(row, "account_id")) for row in rows]


def _conversions(rows: Sequence[Payload], types: Sequence[str]) -> pd.Series[Any]:
    counted = [_conversions_of(row, kind) for row, kind in zip(rows, types, strict=True)]
    return pd.Series(counted, dtype="Int64")


def _revenue(rows: Sequence[Payload], types: Sequence[str]) -> pd.Series[Any]:
    return _objects(_revenue_of(row, kind) for row, kind in zip(rows, types, strict=True))


def _conversions_of(payload: Payload, kind: str) -> int:
    return sum(map(_whole, _purchase_values(payload, "actions", kind, _SIGNED_COUNT)))


def _revenue_of(payload: Payload, kind: str) -> Decimal:
    values = _purchase_values(payload, "action_values", kind, _SIGNED_AMOUNT)
    return sum(map(Decimal, values), Decimal(0))


def _purchase_values(
    payload: Payload, field: str, action_type: str, form: re.Pattern[str]
) -> Iterator[str]:
    """`value` of each entry of the one action type, 0 where the entry has only other windows.

    Usually there is one entry; with action breakdowns there are several, which add up.  The other
    purchase types repeat the same purchases and are never added.
    """
    for entry in _entries(payload, field):
        if entry.get("action_type") == action_type:
            yield _number(payload, f"{field}[{action_type}]", entry.get("value"), form)


def _entries(payload: Payload, field: str) -> Sequence[Payload]:
    entries = payload.get(field)
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        _refuse(payload, field, entries, "a list of objects")
    return entries


def _counts(rows: Sequence[Payload], field: str) -> pd.Series[Any]:
    counts = [_whole(_number(row, field, row.get(field), _COUNT)) for row in rows]
    return pd.Series(counts, dtype="Int64")


def _reach(rows: Sequence[Payload]) -> pd.Series[Any]:
    """People reached; unknown where absent, as Meta withholds it for some old days."""
    counts = [
        None
        if (value := row.get("reach")) is None
        else _whole(_number(row, "reach", value, _COUNT))
        for row in rows
    ]
    return pd.Series(counts, dtype="Int64")


def _amount(payload: Payload, field: str) -> Decimal:
    return Decimal(_number(payload, field, payload.get(field), _AMOUNT))


def _number(payload: Payload, field: str, value: object, form: re.Pattern[str]) -> str:
    """`value` if it has the form of its kind of number, "0" if it is absent.

    A JSON number is refused: read as a float it is no longer what Meta sent.
    """
    if value is None:
        return "0"
    if not isinstance(value, str) or form.fullmatch(value) is None:
        _refuse(payload, field, value, _FORMS[form])
    return value


def _whole(text: str) -> int:
    """The whole number that `text` writes, be it as 3 or as 3.0."""
    return int(text.partition(".")[0])


_FORMS: Final[Mapping[re.Pattern[str], str]] = {
    _COUNT: "a whole number from 0 up",
    _SIGNED_COUNT: "a whole number",
    _AMOUNT: "an amount from 0 up",
    _SIGNED_AMOUNT: "an amount",
}


def _identifier(payload: Payload, field: str) -> str:
    value = payload.get(field)
    if not fields.is_id(value):
        _refuse(payload, field, value, "an id")
    return str(value)


def _report_date(payload: Payload, parsed: Callable[[str], date]) -> date:
    day = payload.get("date_start")
    if not isinstance(day, str) or payload.get("date_stop") != day:
        _refuse(payload, "date_stop", payload.get("date_stop"), "the day in date_start")
    try:
        return parsed(day)
    except InputError:
        _refuse(payload, "date_start", day, "a day")


def _currency(payload: Payload) -> str:
    value = payload.get("account_currency")
    if not isinstance(value, str) or _CURRENCY.fullmatch(value) is None:
        _refuse(payload, "account_currency", value, "three capital letters")
    return value


def _labels(rows: Sequence[Payload], field: str) -> pd.Series[Any]:
    return _texts(_label(row, field) for row in rows)


def _label(payload: Payload, field: str) -> str | None:
    """Text for people to read, missing where absent."""
    value = payload.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        _refuse(payload, field, value, "text")
    return storable(value)


def storable(text: str) -> str:
    """`text` without what JSON can spell and Postgres not store: NUL and half a surrogate pair."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _instants(values: datetime | Iterable[datetime], length: int) -> pd.Series[Any]:
    instants = [values] * length if isinstance(values, datetime) else list(values)
    if any(instant.tzinfo is None for instant in instants):
        raise ValueError("fetched_at is naive; a naive datetime names no instant")
    return pd.Series(instants, dtype="datetime64[us, UTC]")


def _texts(values: Iterable[str | None]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="str")


def _objects(values: Iterable[object]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="object")


def _refuse(payload: Payload, field: str, value: object, expected: str) -> NoReturn:
    account_id = payload.get("account_id")
    ad = f", ad {payload['ad_id']}" if "ad_id" in payload else ""
    raise UnexpectedPayload(
        f"Meta's insights of account act_{account_id}{ad}, day {payload.get('date_start')}: "
        f"{field} is {repr(value)[:_QUOTED_CHARACTERS]}, not {expected}.",
        account_id=account_id if isinstance(account_id, str) else None,
    )
