"""An insights request, understood and answered as Meta would: which rows, and what is in them.

Metrics are JSON text and absent when zero; a row without anything in it does not exist.  Money is
in major units, `ctr` a percent.  Ads that are archived or deleted are missing from lists of ads
unless a filter on `ad.effective_status` names them, and always part of their parents' totals.

Not played: breakdowns, sorting and summaries, which are refused rather than ignored.
Source: Insights parameters and fields (Marketing API v26.0, read 2026-11-22).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from actuals_pipeline.errors import InputError
from actuals_pipeline.graph_stand_in.delivery import (
    AD_SET_SETTING,
    VIDEO_SHARES,
    Channel,
    Figures,
    Tally,
)
from actuals_pipeline.graph_stand_in.graph_errors import (
    invalid_parameter,
    start_too_old,
    unknown_field,
)
from actuals_pipeline.graph_stand_in.world import Ad, AdAccount, NodeKind, World
from actuals_pipeline.report_days import DayWindow, parse_day, retention_floor

LEVELS: Final = ("account", "campaign", "adset", "ad")

WINDOWS: Final = frozenset({"default", "1d_click", "7d_click", "28d_click", "1d_view", "1d_ev"})
DEAD_WINDOWS: Final = frozenset({"7d_view", "28d_view"})
"""Accepted and answered with silence since 2026-01-12 (developers' blog, 2025-10-16)."""

REFUSED_PARAMETERS: Final = ("breakdowns", "sort", "summary", "default_summary", "product_id_limit")

UNLISTED_STATUSES: Final = frozenset({"ARCHIVED", "DELETED"})

PURCHASE_ALIASES: Final[Mapping[str, tuple[Channel, ...]]] = MappingProxyType(
    {
        "omni_purchase": ("web", "on_meta"),
        "purchase": ("web", "on_meta"),
        "offsite_conversion.fb_pixel_purchase": ("web",),
        "onsite_web_purchase": ("web",),
        "onsite_web_app_purchase": ("web",),
        "web_in_store_purchase": ("web",),
        "web_app_in_store_purchase": ("web",),
        "onsite_conversion.purchase": ("on_meta",),
    }
)
"""Action types under which one and the same purchases appear, and which of them each counts."""


@dataclass(frozen=True, slots=True)
class Node:
    """The object that a request is about, and the ads that belong to it."""

    kind: NodeKind
    object_id: str
    account_id: str
    ads: Sequence[Ad]


@dataclass(frozen=True, slots=True)
class Filter:
    """One element of `filtering`."""

    field: str
    operator: str
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InsightsQuery:
    """What a request asks for, with every default filled in; hashable, so that it is computed once.

    `buckets` are the windows that get a row each.
    """

    kind: NodeKind
    object_id: str
    account_id: str
    level: str
    buckets: tuple[DayWindow, ...]
    filters: tuple[Filter, ...]
    fields: tuple[str, ...]
    windows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row before it is put into words; `ad` is any ad of the row's object."""

    account: AdAccount
    ad: Ad
    level: str
    bucket: DayWindow
    figures: Figures
    windows: tuple[str, ...]


def parse_query(world: World, node: Node, params: Mapping[str, str]) -> InsightsQuery:
    """The request that `params` make of `node`; `GraphError` as Meta would refuse it."""
    for name in REFUSED_PARAMETERS:
        if params.get(name):
            raise invalid_parameter(f"the stand-in does not play `{name}`")
    level = params.get("level", node.kind)
    if level not in LEVELS[LEVELS.index(node.kind) :]:
        raise invalid_parameter(f"level {level!r} on a node of kind {node.kind}")
    fields = tuple(_list_of(params.get("fields", ""))) or _default_fields(level)
    for name in fields:
        if name not in FIELDS:
            raise unknown_field(name, "AdsInsights")
    return InsightsQuery(
        kind=node.kind,
        object_id=node.object_id,
        account_id=node.account_id,
        level=level,
        buckets=_buckets(params, world.today(node.account_id), node.ads),
        filters=_filters(params.get("filtering", "")),
        fields=fields,
        windows=_windows(params.get("action_attribution_windows", "")),
    )


def materialise(
    world: World, query: InsightsQuery, ads: Sequence[Ad], as_of: datetime
) -> list[Row]:
    """All rows of the answer as of `as_of`, ordered by object and then by day."""
    account = world.accounts[query.account_id]
    span = DayWindow(
        min(bucket.start for bucket in query.buckets), max(bucket.end for bucket in query.buckets)
    )
    places = _places(query.buckets)
    sums: dict[tuple[str, int], Figures] = {}
    example: dict[str, Ad] = {}
    for ad in _selected(world, query, ads, as_of):
        key = _object_id(ad, query.level)
        example.setdefault(key, ad)
        for day, figures in world.days(ad, span, as_of):
            for place in places.get(day, ()):
                known = sums.get((key, place))
                sums[key, place] = known + figures if known else figures
    rows = [
        Row(
            account, example[key], query.level, query.buckets[place], sums[key, place],
            query.windows,
        )
        for key in example
        for place in range(len(query.buckets))
        if (key, place) in sums
    ]  # fmt: skip
    return [row for row in rows if row.figures.shows(query.windows) and _passes(row, query)]


def render(row: Row, fields: Iterable[str]) -> dict[str, Any]:
    """The row as JSON: the fields asked for, without those that are zero."""
    answer: dict[str, Any] = {}
    for name in fields:
        value = FIELDS[name](row)
        if value:
            answer[name] = value
    answer["date_start"] = row.bucket.since.isoformat()
    answer["date_stop"] = row.bucket.until.isoformat()
    return answer


def json_param(text: str, name: str) -> Any:
    """A parameter that is JSON text; `GraphError` when it is not."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise invalid_parameter(f"{name} must be JSON") from None


def _list_of(text: str) -> list[str]:
    """Names given as JSON list or comma-separated, both of which Meta takes."""
    names = json_param(text, "list") if text.startswith("[") else text.split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def _default_fields(level: str) -> tuple[str, ...]:
    ids = [f"{part}_id" for part in LEVELS[: LEVELS.index(level) + 1]]
    return (*ids, "impressions", "spend")


def _windows(text: str) -> tuple[str, ...]:
    windows = _list_of(text)
    for window in windows:
        if window not in WINDOWS | DEAD_WINDOWS:
            raise invalid_parameter(f"action_attribution_windows {window!r}")
    return tuple(window for window in windows if window != "default")


def _filters(text: str) -> tuple[Filter, ...]:
    given = json_param(text, "filtering") if text else []
    if not isinstance(given, list) or not all(isinstance(rule, dict) for rule in given):
        raise invalid_parameter("filtering must be a list of objects")
    return tuple(map(_filter, given))


def _filter(given: Mapping[str, Any]) -> Filter:
    value = given.get("value", "")
    values = tuple(map(str, value)) if isinstance(value, list) else str(value)
    rule = Filter(str(given.get("field")), str(given.get("operator")), values)
    if rule.field not in AD_TEXTS and rule.field.rpartition(".")[2] not in METRICS:
        raise invalid_parameter(f"filtering field {rule.field!r}")
    if rule.operator not in OPERATORS:
        raise invalid_parameter(f"filtering operator {rule.operator!r}")
    return rule


def _buckets(params: Mapping[str, str], today: date, ads: Sequence[Ad]) -> tuple[DayWindow, ...]:
    if params.get("time_ranges"):
        ranges = json_param(params["time_ranges"], "time_ranges")
        return tuple(_range(given, today) for given in ranges)
    if params.get("time_range"):
        window = _range(json_param(params["time_range"], "time_range"), today)
    else:
        window = _preset(params.get("date_preset", "last_30d"), today, ads)
    return tuple(_split(window, params.get("time_increment", "all_days")))


def _range(given: Any, today: date) -> DayWindow:
    try:
        window = DayWindow.inclusive(parse_day(given["since"]), parse_day(given["until"]))
    except (InputError, KeyError, TypeError) as error:
        raise invalid_parameter(f"time_range: {error}") from None
    if window.since < retention_floor(today):
        raise start_too_old()
    return window


def _preset(name: str, today: date, ads: Sequence[Ad]) -> DayWindow:
    yesterday = today - timedelta(days=1)
    monday = today - timedelta(days=today.weekday())
    month, last_month = today.replace(day=1), today.replace(day=1) - timedelta(days=1)
    presets = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "this_month": (month, today),
        "last_month": (last_month.replace(day=1), last_month),
        "this_year": (today.replace(month=1, day=1), today),
        "this_week_mon_today": (monday, today),
        "last_week_mon_sun": (monday - timedelta(days=7), monday - timedelta(days=1)),
        # The range of `maximum` starts with the object itself; that Meta does so is assumed.
        "maximum": (min([*(ad.launch_day for ad in ads), today]), today),
    }
    for days in (3, 7, 14, 28, 30, 90):
        presets[f"last_{days}d"] = (today - timedelta(days=days), yesterday)
    if name not in presets:
        raise invalid_parameter(f"date_preset {name!r}")
    return DayWindow.inclusive(*presets[name])


def _split(window: DayWindow, increment: str) -> list[DayWindow]:
    if increment == "all_days":
        return [window]
    if increment == "monthly":
        firsts = [day for day in window if day.day == 1 and day != window.start]
        edges = [window.start, *firsts, window.end]
    elif increment.isdecimal() and 1 <= int(increment) <= 90:
        edges = [*list(window)[:: int(increment)], window.end]
    else:
        raise invalid_parameter(f"time_increment {increment!r}")
    return [DayWindow(start, end) for start, end in pairwise(edges)]


def _selected(
    world: World, query: InsightsQuery, ads: Sequence[Ad], as_of: datetime
) -> Iterable[Ad]:
    today = world.today(query.account_id, as_of)
    rules = [rule for rule in query.filters if rule.field in AD_TEXTS]
    names_status = any(rule.field == "ad.effective_status" for rule in rules)
    hidden: frozenset[str] = frozenset()
    if query.level == "ad" and query.kind != "ad":
        if not names_status:
            hidden = UNLISTED_STATUSES
        elif not world.deleted_in_lists:
            hidden = frozenset({"DELETED"})
    for ad in ads:
        if ad.status(today) in hidden:
            continue
        if all(_holds(rule, AD_TEXTS[rule.field](ad, today)) for rule in rules):
            yield ad


def _passes(row: Row, query: InsightsQuery) -> bool:
    rules = [rule for rule in query.filters if rule.field not in AD_TEXTS]
    return all(_holds(rule, METRICS[rule.field.rpartition(".")[2]](row)) for rule in rules)


def _holds(rule: Filter, actual: str | Decimal) -> bool:
    values = rule.value if isinstance(rule.value, tuple) else (rule.value,)
    if isinstance(actual, str):
        return OPERATORS[rule.operator](actual, values)
    try:
        numbers = tuple(Decimal(value) for value in values)
    except ArithmeticError:
        raise invalid_parameter(f"filtering value {rule.value!r}") from None
    return OPERATORS[rule.operator](actual, numbers)


def _places(buckets: Sequence[DayWindow]) -> dict[date, list[int]]:
    """For each day the buckets that hold it; `time_ranges` may overlap."""
    places: dict[date, list[int]] = {}
    for place, bucket in enumerate(buckets):
        for day in bucket:
            places.setdefault(day, []).append(place)
    return places


def _object_id(ad: Ad, level: str) -> str:
    return str(getattr(ad, f"{level}_id"))


AD_TEXTS: Final[Mapping[str, Callable[[Ad, date], str]]] = MappingProxyType(
    {
        "ad.id": lambda ad, _: ad.ad_id,
        "ad.name": lambda ad, _: ad.name,
        "ad.effective_status": lambda ad, today: ad.status(today),
        "adset.id": lambda ad, _: ad.adset_id,
        "adset.name": lambda ad, _: ad.adset_name,
        "campaign.id": lambda ad, _: ad.campaign_id,
        "campaign.name": lambda ad, _: ad.campaign_name,
    }
)

METRICS: Final[Mapping[str, Callable[[Row], Decimal]]] = MappingProxyType(
    {
        "impressions": lambda row: Decimal(row.figures.impressions),
        "clicks": lambda row: Decimal(row.figures.clicks),
        "reach": lambda row: Decimal(row.figures.reach),
        "spend": lambda row: row.account.money(row.figures.spend_minor),
    }
)

OPERATORS: Final[Mapping[str, Callable[[Any, tuple[Any, ...]], bool]]] = MappingProxyType(
    {
        "EQUAL": lambda actual, values: actual == values[0],
        "NOT_EQUAL": lambda actual, values: actual != values[0],
        "IN": lambda actual, values: actual in values,
        "NOT_IN": lambda actual, values: actual not in values,
        "GREATER_THAN": lambda actual, values: actual > values[0],
        "GREATER_THAN_OR_EQUAL": lambda actual, values: actual >= values[0],
        "LESS_THAN": lambda actual, values: actual < values[0],
        "LESS_THAN_OR_EQUAL": lambda actual, values: actual <= values[0],
        "IN_RANGE": lambda actual, values: values[0] <= actual <= values[-1],
        "NOT_IN_RANGE": lambda actual, values: not values[0] <= actual <= values[-1],
        "CONTAIN": lambda actual, values: values[0] in str(actual),
        "NOT_CONTAIN": lambda actual, values: values[0] not in str(actual),
        "STARTS_WITH": lambda actual, values: str(actual).startswith(values[0]),
        "ENDS_WITH": lambda actual, values: str(actual).endswith(values[0]),
    }
)


def _plain(number: Decimal | int) -> str | None:
    """A number as Meta writes it: no exponent, no trailing zeros, nothing at all for zero."""
    if not number:
        return None
    text = format(number, "f") if isinstance(number, Decimal) else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _ratio(numerator: Decimal | int, denominator: Decimal | int, *, times: int = 1) -> str | None:
    if not numerator or not denominator:
        return None
    ratio = Decimal(numerator) * times / Decimal(denominator)
    return _plain(ratio.quantize(Decimal("0.000001")))


def _present(*entries: dict[str, str] | None) -> list[dict[str, str]]:
    return [entry for entry in entries if entry]


def _on_ad(row: Row, action_type: str, count: int) -> dict[str, str] | None:
    """Something done on the ad itself, which every click window holds."""
    text = _plain(count)
    if not text:
        return None
    windows = [window for window in row.windows if window.endswith("click")]
    return {"action_type": action_type, "value": text} | dict.fromkeys(windows, text)


def _purchases(
    row: Row, say: Callable[[Tally], str | None], aliases: Iterable[str] = PURCHASE_ALIASES
) -> list[dict[str, str]]:
    if not row.figures.purchases:
        return []
    # Most aliases repeat each other, so each set of channels is put into words once.
    said: dict[tuple[Channel, ...], dict[str, str]] = {}
    for channels in {PURCHASE_ALIASES[alias] for alias in aliases}:
        texts = {
            window: say(row.figures.purchased(window, channels))
            for window in ("value", *row.windows)
        }
        said[channels] = {window: text for window, text in texts.items() if text}
    return [
        {"action_type": alias} | said[PURCHASE_ALIASES[alias]]
        for alias in aliases
        if said[PURCHASE_ALIASES[alias]]
    ]


def _actions(row: Row) -> list[dict[str, str]]:
    figures = row.figures
    video_views = figures.video[list(VIDEO_SHARES).index("video_view")]
    return [
        *_present(
            _on_ad(row, "link_click", figures.link_clicks),
            _on_ad(row, "landing_page_view", figures.link_clicks * 3 // 4),
            _on_ad(row, "post_engagement", figures.clicks + video_views),
            _on_ad(row, "page_engagement", figures.clicks + video_views),
            _on_ad(row, "video_view", video_views),
        ),
        *_purchases(row, lambda tally: _plain(tally.n)),
    ]


def _roas(alias: str) -> Callable[[Row], list[dict[str, str]]]:
    def rendered(row: Row) -> list[dict[str, str]]:
        spend = row.figures.spend_minor
        return _purchases(row, lambda tally: _ratio(tally.minor, spend), (alias,))

    return rendered


def _video(name: str) -> Callable[[Row], list[dict[str, str]]]:
    place = list(VIDEO_SHARES).index(name)
    return lambda row: _present(_on_ad(row, "video_view", row.figures.video[place]))


def _from_level(level: str, say: Callable[[Ad], str]) -> Callable[[Row], str | None]:
    """A name or id that rows above `level` do not have."""
    wanted = LEVELS.index(level)
    return lambda row: say(row.ad) if LEVELS.index(row.level) >= wanted else None


def _spend(row: Row) -> Decimal:
    return row.account.money(row.figures.spend_minor)


FIELDS: Final[Mapping[str, Callable[[Row], Any]]] = MappingProxyType(
    {
        "account_id": lambda row: row.account.account_id,
        "account_name": lambda row: row.account.plan.name,
        "account_currency": lambda row: row.account.plan.currency,
        "campaign_id": _from_level("campaign", lambda ad: ad.campaign_id),
        "campaign_name": _from_level("campaign", lambda ad: ad.campaign_name),
        "adset_id": _from_level("adset", lambda ad: ad.adset_id),
        "adset_name": _from_level("adset", lambda ad: ad.adset_name),
        "ad_id": _from_level("ad", lambda ad: ad.ad_id),
        "ad_name": _from_level("ad", lambda ad: ad.name),
        "objective": _from_level("campaign", lambda _: "OUTCOME_SALES"),
        "buying_type": _from_level("campaign", lambda _: "AUCTION"),
        "optimization_goal": _from_level("adset", lambda _: "OFFSITE_CONVERSIONS"),
        "attribution_setting": lambda _: "_".join(AD_SET_SETTING),
        "date_start": lambda row: row.bucket.since.isoformat(),
        "date_stop": lambda row: row.bucket.until.isoformat(),
        "impressions": lambda row: _plain(row.figures.impressions),
        "reach": lambda row: _plain(row.figures.reach),
        "frequency": lambda row: _ratio(row.figures.impressions, row.figures.reach),
        "clicks": lambda row: _plain(row.figures.clicks),
        "ctr": lambda row: _ratio(row.figures.clicks, row.figures.impressions, times=100),
        "inline_link_clicks": lambda row: _plain(row.figures.link_clicks),
        "inline_link_click_ctr": lambda row: _ratio(
            row.figures.link_clicks, row.figures.impressions, times=100
        ),
        "outbound_clicks": lambda row: _present(
            _on_ad(row, "outbound_click", row.figures.link_clicks)
        ),
        "spend": lambda row: _plain(_spend(row)),
        "cpc": lambda row: _ratio(_spend(row), row.figures.clicks),
        "cpm": lambda row: _ratio(_spend(row), row.figures.impressions, times=1000),
        "cpp": lambda row: _ratio(_spend(row), row.figures.reach, times=1000),
        "cost_per_inline_link_click": lambda row: _ratio(_spend(row), row.figures.link_clicks),
        "actions": _actions,
        "action_values": lambda row: _purchases(
            row, lambda tally: _plain(row.account.money(tally.minor))
        ),
        "purchase_roas": _roas("omni_purchase"),
        "website_purchase_roas": _roas("offsite_conversion.fb_pixel_purchase"),
        **{name: _video(name) for name in VIDEO_SHARES if name != "video_view"},
        "video_avg_time_watched_actions": lambda row: _present(
            _on_ad(row, "video_view", 4 if row.figures.video[0] else 0)
        ),
    }
)
"""Every field that can be asked for, and how a row says it; a falsy value is left out."""
