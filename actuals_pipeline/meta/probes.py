"""What a real account says about everything we could only assume.

Meta's own pages leave these questions open or answer them twice.  Each probe asks one account,
reads only, and puts what it found beside what the rest of this program assumes.  A report run is
the one POST; it computes insights and changes nothing.

Numbers here are measurements for a person to read, and go into no table: those come from `parse`.
Sources: "Not established" of our notes on Marketing API v26.0, read 2026-11-22.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Literal

import requests

from actuals_pipeline.errors import InputError, MetaError, RequestTooLarge, UnexpectedPayload
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.graph import Graph, GraphAnswer
from actuals_pipeline.meta.health import MetaAccess
from actuals_pipeline.meta.memory import PAGE_SIZE
from actuals_pipeline.report_days import DayWindow, report_day, time_zone

MAX_CALLS: Final = 24
"""Most calls of one measurement, repetitions included; without trouble it takes no more."""

DAYS: Final = 28
"""Days measured: all that Meta still restates, up to yesterday."""

LARGER_PAGE: Final = 10
"""How many times our page is asked for to see whether more rows fit into one."""

PAGES_PER_SUM: Final = 3
"""Pages added up of each list of ads; an account with more is not summed."""

POLL_DELAYS_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits between polls of a report run over one account; chosen: half a minute or it is not said."""

ROUNDING: Final = Decimal("0.01")
"""Share by which a ratio of Meta's may differ from ours before it counts as another unit."""

Verdict = Literal["as assumed", "differs", "not measured"]
StatusFilter = Literal["all", "none"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One assumption beside what was found, and what to change, empty when nothing."""

    assumption: str
    assumed: str
    found: str
    verdict: Verdict
    change: str = ""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The settings that a measurement may speak against."""

    purchase_action_type: str
    status_filter: StatusFilter = "all"
    page_size: int = PAGE_SIZE


class CallsSpent(MetaError):
    """The number of calls that the measurement may make is used up."""


def measure(
    access: MetaAccess, account_id: str, assumptions: Assumptions, now: datetime
) -> tuple[list[Measurement], int]:
    """Every measurement on one account, and the number of calls that they took.

    A probe that Meta refuses is not measured and says why; the others go on.  None is tried when
    the account itself cannot be read, because refused calls lower the quota.
    """
    account = _Account(access, account_id, assumptions, now)
    reason = ""
    try:
        _ = account.days
    except (MetaError, InputError) as error:
        reason = str(error)
    try:
        found = [
            _Found("not measured", reason) if reason else _found(probe, account)
            for _, _, probe in _PROBES
        ]
    finally:
        account.close()
    shown = {
        "purchases": assumptions.purchase_action_type,
        "filter": assumptions.status_filter,
        "page": assumptions.page_size,
    }
    measured = [
        Measurement(name, assumed.format(**shown), each.seen, each.verdict, each.change)
        for (name, assumed, _), each in zip(_PROBES, found, strict=True)
    ]
    return measured, account.calls


def _found(probe: Callable[[_Account], _Found], account: _Account) -> _Found:
    try:
        return probe(account)
    except MetaError as error:
        return _Found("not measured", str(error))


@dataclass(frozen=True, slots=True)
class _Found:
    verdict: Verdict
    seen: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class _Purchases:
    """Number and value of the purchases under one action type, as Meta wrote them."""

    number: Decimal = Decimal(0)
    value: Decimal = Decimal(0)

    def __str__(self) -> str:
        return f"{self.number} worth {self.value:,.2f}"


@dataclass(slots=True)
class _Sum:
    """What some pages of ads add up to; `is_whole` when there was no further page."""

    spend: Decimal = Decimal(0)
    ads: int = 0
    is_whole: bool = True


class _Account:
    """One account under measurement: its answers, each asked for at most once, and the count."""

    def __init__(
        self, access: MetaAccess, account_id: str, assumptions: Assumptions, now: datetime
    ) -> None:
        self.access = access
        self.account_id = account_id
        self.assumptions = assumptions
        self._now = now
        self._calls_apart = 0
        # Repetitions are waited for, so that this stops one too many as well.
        self._graph: Graph = replace(access, sleep=self._sleep).graph()

    def close(self) -> None:
        self._graph.close()

    @property
    def calls(self) -> int:
        return self._graph.usage.calls + self._calls_apart

    def count(self) -> None:
        """Count a call that goes another way than `get`."""
        self._refuse_if_spent()
        self._calls_apart += 1

    def sleep(self, seconds: float) -> None:
        self.access.sleep(seconds)

    def get(self, *path: str, **params: Any) -> GraphAnswer:
        return self._call("GET", path, params)

    def insights(self, **params: Any) -> GraphAnswer:
        """A page of the account's insights over the measured days, all days in one row."""
        return self.get(self.node, "insights", time_range=self.days, **params)

    def submitted(self, **params: Any) -> str:
        """The id of a report run over the measured days."""
        body = self._call("POST", (self.node, "insights"), {"time_range": self.days, **params}).body
        return str(body.get("report_run_id"))

    @property
    def node(self) -> str:
        return f"act_{self.account_id}"

    @cached_property
    def days(self) -> dict[str, str]:
        zone = str(self.get(self.node, fields="timezone_name").body.get("timezone_name"))
        today = report_day(self._now, time_zone(zone))
        whole = DayWindow.trailing(today, DAYS + 1)
        last = list(whole)[-2]
        return {"since": whole.since.isoformat(), "until": last.isoformat()}

    @cached_property
    def page(self) -> GraphAnswer:
        """The first page of the ads' days, of the size that fetches ask for."""
        return self.insights(
            level=fields.LEVEL_AD,
            fields="account_id,ad_id,date_start,impressions,spend,actions",
            time_increment=fields.DAILY,
            filtering=list(fields.ALL_STATUSES_FILTER),
            limit=self.assumptions.page_size,
        )

    @cached_property
    def total(self) -> GraphAnswer:
        """The account's own row, with every attribution window, silent ones included."""
        return self.insights(
            level=fields.LEVEL_ACCOUNT,
            fields=_TOTAL_FIELDS,
            action_attribution_windows=[*fields.ATTRIBUTION_WINDOWS, *fields.SILENT_WINDOWS],
        )

    @cached_property
    def total_row(self) -> Mapping[str, Any]:
        return _only_row(self.total.body)

    def purchases(self, row: Mapping[str, Any]) -> _Purchases:
        """The purchases in `row` under the chosen action type."""
        return _purchases(row, self.assumptions.purchase_action_type)

    def _call(self, method: str, path: Sequence[str], params: Mapping[str, Any]) -> GraphAnswer:
        self._refuse_if_spent()
        return self._graph.call(method, path, params, kind="probe", account_id=self.account_id)

    def _sleep(self, seconds: float) -> None:
        self._refuse_if_spent()
        self.access.sleep(seconds)

    def _refuse_if_spent(self) -> None:
        if self.calls >= MAX_CALLS:
            raise CallsSpent(f"Not asked: the {MAX_CALLS} calls are used up.")


_TOTAL_FIELDS: Final = "account_id,spend,actions,action_values,purchase_roas"


def _bearer(account: _Account) -> _Found:
    """One call of its own: whatever the session does, here the token is in the header alone."""
    access = account.access
    credentials = access.credentials
    params = {"fields": "account_id"}
    if credentials.app_secret:
        key, text = credentials.app_secret.encode(), credentials.access_token.encode()
        params["appsecret_proof"] = hmac.new(key, text, sha256).hexdigest()
    account.count()
    try:
        response = requests.get(
            "/".join((access.graph_url.rstrip("/"), access.api_version, account.node)),
            params=params,
            headers={"Authorization": f"Bearer {credentials.access_token}"},
            timeout=(10, 60),
            allow_redirects=False,
        )
        body = json.loads(response.content)
    except (requests.RequestException, ValueError) as error:
        # Its text is the URL, and with it the signature.
        return _Found("not measured", f"no usable answer ({type(error).__name__})")
    if isinstance(body, dict) and body.get("account_id") == account.account_id:
        return _Found("as assumed", "the account answers with the token in the header alone")
    if response.status_code >= requests.codes["server_error"]:
        return _Found("not measured", f"passing trouble (HTTP {response.status_code})")
    refusal = body.get("error") if isinstance(body, dict) else None
    said = refusal.get("code") if isinstance(refusal, dict) else None
    # Text of a host's is not told: it may quote the call.
    code = said if isinstance(said, int) else None
    change = "Nothing: the token goes into the query then, and is kept out of logs and errors."
    return _Found("differs", f"refused (HTTP {response.status_code}, code {code})", change)


def _largest_page(account: _Account) -> _Found:
    asked, body = account.assumptions.page_size, account.page.body
    rows = len(_rows(body))
    if not _has_next(body):
        seen = f"all {rows} rows of {DAYS} days fit into one page"
        return _Found("not measured", seen)
    if rows < asked:
        change = "Nothing: pages are followed to their end; a fetch takes more calls."
        return _Found("differs", f"{rows} rows came although {asked} were asked for", change)
    more = asked * LARGER_PAGE
    try:
        larger = account.insights(
            level=fields.LEVEL_AD,
            fields="account_id,ad_id",
            time_increment=fields.DAILY,
            filtering=list(fields.ALL_STATUSES_FILTER),
            limit=more,
        )
    except RequestTooLarge:
        return _Found("as assumed", f"{asked} rows in a page; {more} are refused as too large")
    got = len(_rows(larger.body))
    return _Found("as assumed", f"{asked} rows in a page; of {more} asked for, {got} came")


def _status_filter(account: _Account) -> _Found:
    """Which of the two requests comes nearer to the account's own total."""
    whole = _number(account.total_row.get("spend"))
    sums = {
        "all": _sum_of_ads(account, fields.ALL_STATUSES_FILTER),
        "none": _sum_of_ads(account, ()),
    }
    seen = "; ".join(
        f"{name}: {sums[name].ads} ads, {sums[name].spend:,.2f} of {whole:,.2f}" for name in sums
    )
    if not all(each.is_whole for each in sums.values()):
        return _Found("not measured", f"more than {PAGES_PER_SUM} pages of ads")
    gaps = {name: abs(whole - each.spend) for name, each in sums.items()}
    chosen = account.assumptions.status_filter
    better = min(gaps, key=lambda name: (gaps[name], name != chosen))
    if better == chosen:
        return _Found("as assumed", seen)
    return _Found("differs", seen, f"ACTUALS_STATUS_FILTER={better}")


def _sum_of_ads(account: _Account, filtering: Sequence[Mapping[str, Any]]) -> _Sum:
    params: dict[str, Any] = {
        "level": fields.LEVEL_AD,
        "fields": "account_id,ad_id,spend",
        "limit": account.assumptions.page_size,
    }
    if filtering:
        params["filtering"] = list(filtering)
    found = _Sum()
    for _page in range(PAGES_PER_SUM):
        body = account.insights(**params).body
        found.ads += len(_rows(body))
        found.spend += sum((_number(row.get("spend")) for row in _rows(body)), Decimal(0))
        found.is_whole = not _has_next(body)
        if found.is_whole:
            break
        params["after"] = body["paging"]["cursors"]["after"]
    return found


def _deleted_ads(account: _Account) -> _Found:
    only_deleted = {"field": "ad.effective_status", "operator": "IN", "value": ["DELETED"]}
    body = account.insights(
        level=fields.LEVEL_AD, fields="account_id,ad_id", filtering=[only_deleted], limit=25
    ).body
    found = len(_rows(body))
    if found:
        return _Found("as assumed", f"{found}{' or more' if _has_next(body) else ''} came")
    return _Found(
        "not measured",
        "none came; there may be none that delivered",
        "Nothing: spend without a listed ad shows as a gap in spend_reconciliation.",
    )


def _windows(account: _Account) -> _Found:
    entries = list(_entries(account.total_row))
    seen = {key for entry in entries for key in entry}
    came = [each for each in _ALL_WINDOWS if each in seen]
    if not entries:
        return _Found("not measured", "no actions in these days")
    told = f"{', '.join(came) or 'none'} came"
    if set(came) & set(fields.SILENT_WINDOWS):
        change = "Nothing reads them; report it, so that they are asked for."
        return _Found("differs", told, change)
    # Longer windows of clicks hold the shorter ones, so a shorter one proves them.
    clicks = [each for each in fields.ATTRIBUTION_WINDOWS if each.endswith("_click")]
    shortest = next((place for place, each in enumerate(clicks) if each in seen), len(clicks))
    if missing := [each for each in clicks[shortest:] if each not in seen]:
        change = f"Nothing: {', '.join(missing)} stays unknown in the stored payloads."
        return _Found("differs", told, change)
    return _Found("as assumed", told)


_ALL_WINDOWS: Final = (*fields.ATTRIBUTION_WINDOWS, *fields.SILENT_WINDOWS)


def _default_windows(account: _Account) -> _Found:
    """Purchases with windows named, with none, and in a report with none."""
    params = {"level": fields.LEVEL_ACCOUNT, "fields": _TOTAL_FIELDS}
    counted = {
        "named": account.purchases(account.total_row),
        "GET": account.purchases(_only_row(account.insights(**params).body)),
    }
    if not counted["named"].number:
        return _Found("not measured", "no purchases in these days")
    run_id = account.submitted(level=fields.LEVEL_ACCOUNT, fields=_TOTAL_FIELDS.split(","))
    row = _row_of_run(account, run_id)
    if row is None:
        return _Found("not measured", "the report was not ready in half a minute")
    counted["POST"] = account.purchases(row)
    seen = "; ".join(f"{name}: {purchases}" for name, purchases in counted.items())
    if len(set(counted.values())) == 1:
        return _Found("as assumed", seen)
    return _Found("differs", seen, "Nothing: every request of ours names its windows.")


def _row_of_run(account: _Account, run_id: str) -> Mapping[str, Any] | None:
    for delay in (0.0, *POLL_DELAYS_SECONDS):
        account.sleep(delay)
        run = account.get(run_id, fields="async_status,async_percent_completion").body
        is_done = str(run.get("async_percent_completion")) == "100"
        if is_done and run.get("async_status") == fields.JOB_COMPLETED:
            return _only_row(account.get(run_id, "insights").body)
    return None


def _dating(account: _Account) -> _Found:
    """Purchases on days without delivery prove that the day is the purchase's own."""
    rows = _rows(account.page.body)
    bought = [row for row in rows if account.purchases(row).number]
    apart = [row for row in bought if not _number(row.get("impressions"))]
    if not bought:
        return _Found("not measured", "no purchases in these days")
    seen = f"{len(apart)} of {len(bought)} ad-days with purchases had no delivery"
    return _Found("as assumed" if apart else "not measured", seen)


def _report_time(account: _Account) -> _Found:
    """The same days, dated two ways: equal when the parameter is ignored."""
    by_time = {}
    for dated in ("impression", "conversion"):
        body = account.insights(
            level=fields.LEVEL_ACCOUNT,
            fields="account_id,actions",
            time_increment=fields.DAILY,
            action_report_time=dated,
            limit=DAYS,
        ).body
        rows = _rows(body)
        by_time[dated] = {row.get("date_start"): account.purchases(row).number for row in rows}
    if not any(by_time["conversion"].values()):
        return _Found("not measured", "no purchases in these days")
    if by_time["impression"] == by_time["conversion"]:
        return _Found("as assumed", "each day has the same purchases either way")
    days = sum(
        by_time["impression"].get(day) != number for day, number in by_time["conversion"].items()
    )
    change = "Nothing yet; report it: requests should then name the dating they rely on."
    return _Found("differs", f"{days} of {DAYS} days differ", change)


def _aliases(account: _Account) -> _Found:
    """What each action type of purchases adds up to, beside the one that is counted."""
    chosen = account.assumptions.purchase_action_type
    types = dict.fromkeys((chosen, *fields.PURCHASE_ACTION_TYPES))
    counted = {each: _purchases(account.total_row, each) for each in types}
    present = {each: found for each, found in counted.items() if found.number}
    # Most are aliases of one another, told in one breath.
    told = {
        found: [each for each in present if present[each] == found] for found in present.values()
    }
    seen = "; ".join(f"{', '.join(names)}: {found}" for found, names in told.items())
    if not present:
        return _Found("not measured", "no purchases in these days")
    if chosen not in present:
        other = next(iter(present))
        change = f"ACTUALS_PURCHASE_ACTION_TYPE={chosen},{account.node}={other}"
        return _Found("differs", f"none under {chosen}; {seen}", change)
    greater = [
        each
        for each, found in present.items()
        if found.number > counted[chosen].number or found.value > counted[chosen].value
    ]
    if greater:
        change = f"ACTUALS_PURCHASE_ACTION_TYPE, if {greater[0]} is what you mean by a purchase."
        return _Found("differs", seen, change)
    return _Found("as assumed", seen)


def _roas_unit(account: _Account) -> _Found:
    row, chosen = account.total_row, account.assumptions.purchase_action_type
    spend = _number(row.get("spend"))
    value = account.purchases(row).value
    theirs = next(
        (
            _number(entry.get("value"))
            for entry in _entries(row, "purchase_roas")
            if entry.get("action_type") == chosen
        ),
        Decimal(0),
    )
    if not (spend and value and theirs):
        return _Found("not measured", f"no purchase_roas under {chosen}")
    ours = value / spend
    seen = f"theirs {theirs:.4f}, value / spend {ours:.4f}"
    if abs(theirs - ours) <= ROUNDING * ours:
        return _Found("as assumed", seen)
    return _Found("differs", seen, "Nothing: ROAS is always computed from value and spend.")


def _access_tier(account: _Account) -> _Found:
    headers = account.total.headers
    usage = " ".join(value for name, value in headers.items() if "usage" in name.lower())
    text = f"{headers.get('X-FB-Ads-Insights-Throttle', '')} {usage}"
    tiers = sorted(set(re.findall(r'"ads_api_access_tier":\s*"(\w{1,40})"', text)))
    if not tiers:
        return _Found("not measured", "no header names a tier")
    seen = ", ".join(tiers)
    if set(tiers) <= {"standard_access", "development_access"}:
        return _Found("as assumed", seen)
    return _Found("differs", seen, "Nothing: the tier is not relied on, percentages are.")


_PROBES: Final[tuple[tuple[str, str, Callable[[_Account], _Found]], ...]] = (
    ("bearer header", "is read; else the token goes into the query", _bearer),
    ("largest page", "{page} rows", _largest_page),
    ("status filter", "ACTUALS_STATUS_FILTER={filter} gives most", _status_filter),
    ("deleted ads", "come when a filter names their status", _deleted_ads),
    ("windows", f"{', '.join(fields.ATTRIBUTION_WINDOWS)} come, others do not", _windows),
    ("default windows", "do not change the figures: value is the ad sets' own", _default_windows),
    ("dating", "web purchases have the day of the purchase", _dating),
    ("action_report_time", "is ignored", _report_time),
    ("purchase types", "{purchases} holds every purchase once", _aliases),
    ("purchase_roas", "is a ratio, 3.42 for 3.42 times the spend", _roas_unit),
    ("access tier", "standard_access or development_access", _access_tier),
)
"""Name, assumption and probe, in the order in which they are asked."""


def _rows(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise UnexpectedPayload("A page of insights has no list of rows.")
    return rows


def _only_row(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one row of a request without days and objects; empty where nothing happened."""
    rows = _rows(body)
    return rows[0] if rows else {}


def _has_next(body: Mapping[str, Any]) -> bool:
    paging = body.get("paging")
    return isinstance(paging, Mapping) and bool(paging.get("next"))


def _entries(row: Mapping[str, Any], *names: str) -> Iterator[Mapping[str, Any]]:
    for name in names or ("actions", "action_values"):
        values = row.get(name)
        for entry in values if isinstance(values, list) else ():
            if isinstance(entry, Mapping):
                yield entry


def _purchases(row: Mapping[str, Any], action_type: str) -> _Purchases:
    of = {
        name: next(
            (
                _number(entry.get("value"))
                for entry in _entries(row, name)
                if entry.get("action_type") == action_type
            ),
            Decimal(0),
        )
        for name in ("actions", "action_values")
    }
    return _Purchases(of["actions"], of["action_values"])


def _number(value: object) -> Decimal:
    """A metric as Meta writes it, absent for zero; `UnexpectedPayload` for anything else."""
    text = "0" if value is None else str(value)
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise UnexpectedPayload("A metric is no number.")
    return Decimal(text)
