"""Whether Meta can be asked, and for how long yet: token, scopes, accounts, version, clock.

    examine    the calls: one for the token, one an account
    ..._found  what an answer means: pure functions from answers to findings

Nothing is changed and no insights are asked for.  No finding carries a token or a secret.
Sources: Marketing API changelog and versions, debug_token and AdAccount references, v26.0, read
2026-11-22.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from threading import Lock, Thread
from typing import Any, Final

from actuals_pipeline.errors import InputError, MetaError, MetaRefused, MetaUnavailable
from actuals_pipeline.findings import Finding, ok, problem, warning
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.graph import STAND_IN_HEADER, Graph, GraphSession, MetaCredentials
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.report_days import time_zone

WARN_BEFORE_EXPIRY: Final = timedelta(days=14)
"""Notice given of the end of a token or of its access to data: two working weeks."""

WARN_BEFORE_VERSION_END: Final = timedelta(days=60)
"""Notice given of the end of an API version: an upgrade wants an SDK and a test on the account."""

VERSION_LIFE: Final = timedelta(days=300)
"""Age from which a version without an announced end is suspect: v22.0 to v24.0 lived 363 to 395
days.  Two months less, the notice that an announced end is given."""

VERSIONS_READ_ON: Final = date(2026, 11, 22)
API_VERSIONS: Final[Mapping[str, tuple[date, date | None]]] = {
    "v22.0": (date(2025, 1, 21), date(2026, 2, 19)),
    "v23.0": (date(2025, 5, 29), date(2026, 6, 9)),
    "v24.0": (date(2025, 10, 8), date(2026, 10, 6)),
    "v25.0": (date(2026, 2, 18), None),
    "v26.0": (date(2026, 7, 29), None),
}
"""First and last day of the Marketing API's versions, None where no end was announced on
`VERSIONS_READ_ON`.  The Graph API's own table promises two years; insights follow this one."""

NEWEST_VERSION: Final = list(API_VERSIONS)[-1]

CLOCK_WARNING: Final = timedelta(seconds=60)
"""Chosen: a clock that is kept by NTP is off by less than a second, `Date` has whole seconds."""

CLOCK_PROBLEM: Final = timedelta(minutes=10)
"""Chosen: on a clock so far ahead the tick at seven minutes past midnight comes before midnight,
and asks for a day that has not begun."""

CONCURRENT_CALLS: Final = 4
ANSWERS_SECONDS: Final = 180.0
"""Longest wait for all answers together.  Chosen: 200 accounts take a tenth of it."""

WAIT_SECONDS: Final = 30.0
"""Longest wait for Meta's limits in one call; whoever asks about health wants an answer now."""

_NEWER_VERSION: Final = (
    f"Set META_API_VERSION to {NEWEST_VERSION}, or install a newer actuals_pipeline."
)
_NEW_TOKEN: Final = "Create a new system user token and put it in META_ACCESS_TOKEN."  # noqa: S105
_DEAD_STATUSES: Final = {"DISABLED", "CLOSED"}

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class MetaAccess:
    """Whom to ask, as whom, and about which ad accounts (bare digits)."""

    credentials: MetaCredentials
    account_ids: tuple[str, ...]
    graph_url: str
    api_version: str
    expects_stand_in: bool = False
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    answers_seconds: float = ANSWERS_SECONDS

    def graph(self, credentials: MetaCredentials | None = None) -> Graph:
        """A way to ask, as the token's owner unless other credentials are given."""
        session = GraphSession(
            credentials or self.credentials,
            graph_url=self.graph_url,
            api_version=self.api_version,
            timeout=(10, 60),
        )
        return Graph(session, Limits(sleep=self.sleep, budget_seconds=WAIT_SECONDS))


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one call: the answer or the error, and when it was asked and heard."""

    asked_at: datetime
    heard_at: datetime
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    error: MetaError | None = None

    @property
    def is_silence(self) -> bool:
        """Whether nobody answered at all."""
        return isinstance(self.error, MetaUnavailable) and self.error.http_status is None


def examine(access: MetaAccess, *, clock: Clock = lambda: datetime.now(UTC)) -> list[Finding]:
    """Every finding about Meta: one call for the token and one for each account."""
    version = version_found(access.api_version, clock().date())
    if not access.credentials.access_token:
        missing = problem("token", "META_ACCESS_TOKEN is not set", _NEW_TOKEN)
        return [version, missing]
    deadline = time.monotonic() + access.answers_seconds
    asked: dict[str, Callable[[], Heard]] = {"token": lambda: _token_heard(access, clock)}
    (token,) = _all_heard(asked, access, clock, deadline).values()
    if token.is_silence:
        return [version, Finding.of_error("graph_api", token.error or MetaUnavailable())]
    accounts = {each: partial(_account_heard, access, each, clock) for each in access.account_ids}
    heard = _all_heard(accounts, access, clock, deadline)
    granted = granted_accounts(token.body)
    answered = [each for each in (token, *heard.values()) if each.error is None]
    return [
        version,
        source_found(access, answered),
        clock_found(answered),
        *token_found(token, access, clock()),
        *accounts_configured(access.account_ids),
        *(
            finding
            for account_id, each in heard.items()
            for finding in account_found(account_id, each, granted)
        ),
    ]


def version_found(version: str, today: date) -> Finding:
    """How long the API version lives yet."""
    if version not in API_VERSIONS:
        return _unknown_version_found(version)
    since, end = API_VERSIONS[version]
    if end is None:
        seen = f"{version} of {since}; no end announced on {VERSIONS_READ_ON}"
        if today - since < VERSION_LIFE:
            return ok("api_version", seen)
        advice = "Versions live about a year: look its end up in Meta's Marketing API changelog."
        return warning("api_version", seen, advice)
    if today >= end:
        return problem("api_version", f"{version} expired on {end}", _NEWER_VERSION)
    seen = f"{version}, until {end}"
    if end - today <= WARN_BEFORE_VERSION_END:
        return warning("api_version", seen, _NEWER_VERSION)
    return ok("api_version", seen)


def source_found(access: MetaAccess, answered: list[Heard]) -> Finding:
    """Whether Meta answers where Meta is meant to, and the stand-in where that is."""
    if not answered:
        return ok("graph_api", f"{access.graph_url} answers, if only with refusals")
    is_stand_in = any(STAND_IN_HEADER in each.headers for each in answered)
    who = "the Graph API stand-in, whose data is made up" if is_stand_in else "a real Graph API"
    seen = f"{access.graph_url} is {who}"
    if is_stand_in == access.expects_stand_in:
        return ok("graph_api", seen)
    advice = (
        "Point META_GRAPH_URL at https://graph.facebook.com, or use `actuals demo`."
        if is_stand_in
        else "Unset ACTUALS_STAND_IN."
    )
    return problem("graph_api", seen, advice)


def clock_found(answered: list[Heard]) -> Finding:
    """How far this computer's clock is from Meta's, judged by the `Date` of an answer."""
    skews = [skew for skew in map(_skew, answered) if skew is not None]
    if not skews:
        advice = "Mend the access to Meta first; its answers carry the time."
        return warning("clock", "not compared: no answer said what time it is", advice)
    skew = min(skews, key=abs)
    if abs(skew) <= CLOCK_WARNING:
        return ok("clock", "agrees with Meta's")
    side = "behind" if skew > timedelta(0) else "ahead of"
    seen = f"{abs(skew).total_seconds():.0f} s {side} Meta's"
    advice = "Let NTP set this computer's clock (`timedatectl set-ntp true`)."
    return (problem if abs(skew) > CLOCK_PROBLEM else warning)("clock", seen, advice)


def token_found(heard: Heard, access: MetaAccess, now: datetime) -> list[Finding]:
    """What `debug_token` says of the token: validity, both expiries, scopes."""
    if heard.error is not None:
        return [_token_not_described(heard.error, access)]
    facts = _facts(heard.body)
    if not facts:
        advice = "Nothing; whether the token works shows in the accounts below."
        return [warning("token", "the Graph API describes no tokens", advice)]
    if facts.get("is_valid") is not True:
        return [problem("token", "Meta calls it invalid", _NEW_TOKEN)]
    return [
        _expiry_found("token", "valid", facts.get("expires_at"), now, _NEW_TOKEN),
        _expiry_found(
            "data_access",
            "granted",
            facts.get("data_access_expires_at"),
            now,
            "Let the token's user log in to the app again, or use a system user's token.",
        ),
        _scopes_found(facts.get("scopes")),
    ]


def granted_accounts(described: Mapping[str, Any]) -> frozenset[str] | None:
    """Ids of the accounts that a token was granted; None when it was not limited to some."""
    granular = _facts(described).get("granular_scopes")
    for scope in granular if isinstance(granular, list) else ():
        if isinstance(scope, Mapping) and scope.get("scope") == fields.READING_SCOPE:
            ids = scope.get("target_ids")
            return frozenset(map(str, ids)) if isinstance(ids, list) else None
    return None


def accounts_configured(account_ids: tuple[str, ...]) -> list[Finding]:
    """A problem when there is no account to fetch."""
    if account_ids:
        return []
    advice = "Put the ad account, such as act_42, in .env or the environment."
    return [problem("account_access", "META_AD_ACCOUNT_ID is not set", advice)]


def account_found(
    account_id: str, heard: Heard, granted: frozenset[str] | None = None
) -> list[Finding]:
    """What an account's node says: access, status, time zone, currency."""
    subject, node = f"act_{account_id}", heard.body
    if heard.error is not None:
        return [Finding.of_error("account_access", heard.error, subject=subject)]
    access = ok("account_access", f"readable, called {node.get('name')!r}", subject=subject)
    if granted is not None and account_id not in granted:
        access = warning(
            "account_access",
            "readable, but the token was not granted this account",
            "Assign the account to the token's system user with the Analyze task.",
            subject=subject,
        )
    return [
        access,
        _status_found(node.get("account_status"), subject),
        _zone_found(node.get("timezone_name"), subject),
        _currency_found(node.get("currency"), subject),
    ]


def _all_heard(
    asked: Mapping[str, Callable[[], Heard]], access: MetaAccess, clock: Clock, deadline: float
) -> dict[str, Heard]:
    """What was heard of each call until `deadline`; some are under way at once.

    Threads that nobody has to wait for: an answer may come byte by byte and without end, which the
    timeout of a single read does not see.
    """
    began, heard = clock(), dict[str, Heard]()
    waiting = iter(list(asked.items()))
    turn = Lock()

    def work() -> None:
        while True:
            with turn:
                name, call = next(waiting, (None, None))
            if name is None or call is None:
                return
            heard[name] = call()

    threads = [Thread(target=work, daemon=True) for _ in range(min(CONCURRENT_CALLS, len(asked)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = MetaUnavailable(
        f"{access.graph_url} did not answer within {access.answers_seconds:g} s: check "
        "META_GRAPH_URL and the network between, then ask again."
    )
    return {name: heard.get(name) or Heard(began, clock(), error=late) for name in asked}


def _token_heard(access: MetaAccess, clock: Clock) -> Heard:
    """What `debug_token` says; asked as the app where the app is known, else as the token."""
    own = access.credentials
    asking = own
    if own.app_id and own.app_secret:
        asking = MetaCredentials(f"{own.app_id}|{own.app_secret}", own.app_id, own.app_secret)
    params = {"input_token": own.access_token}
    return _heard(access.graph(asking), ("debug_token",), params, None, clock)


def _account_heard(access: MetaAccess, account_id: str, clock: Clock) -> Heard:
    params = {"fields": ",".join(fields.ACCOUNT_HEALTH_FIELDS)}
    return _heard(access.graph(), (f"act_{account_id}",), params, account_id, clock)


def _heard(
    graph: Graph,
    path: tuple[str, ...],
    params: Mapping[str, str],
    account_id: str | None,
    clock: Clock,
) -> Heard:
    asked_at = clock()
    try:
        answer = graph.call("GET", path, params, kind="health", account_id=account_id)
    except MetaError as error:
        return Heard(asked_at, clock(), error=error)
    finally:
        graph.close()
    return Heard(asked_at, clock(), answer.body, answer.headers)


def _token_not_described(error: MetaError, access: MetaAccess) -> Finding:
    if isinstance(error, MetaRefused) and not (
        access.credentials.app_id and access.credentials.app_secret
    ):
        return Finding.of_error("token", error)
    return warning(
        "token",
        "how long it is valid is not known: debug_token was refused",
        f"See whether the accounts below can be read, and check META_APP_ID. {error}",
    )


def _facts(body: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = body.get("data")
    return facts if isinstance(facts, Mapping) else {}


def _expiry_found(name: str, word: str, value: object, now: datetime, advice: str) -> Finding:
    """A finding about an instant in Unix seconds, of which 0 stands for never."""
    if not isinstance(value, int) or isinstance(value, bool):
        return ok(name, f"{word}; Meta does not say until when")
    if value == 0:
        return ok(name, f"{word}, does not expire")
    try:
        end = datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return ok(name, f"{word}; Meta does not say until when")
    if end <= now:
        return problem(name, f"expired on {end:%Y-%m-%d %H:%M} UTC", advice)
    days = (end - now).days
    seen = f"{word} until {end:%Y-%m-%d %H:%M} UTC, {days} day{'' if days == 1 else 's'} from now"
    return warning(name, seen, advice) if end - now <= WARN_BEFORE_EXPIRY else ok(name, seen)


def _scopes_found(value: object) -> Finding:
    scopes = sorted(map(str, value)) if isinstance(value, list) else []
    seen = ", ".join(scopes) or "none"
    if fields.READING_SCOPE in scopes:
        return ok("scopes", seen)
    advice = f"Create the token with the scope {fields.READING_SCOPE}."
    return problem("scopes", f"{fields.READING_SCOPE} is missing, there is: {seen}", advice)


def _status_found(value: object, subject: str) -> Finding:
    name = fields.ACCOUNT_STATUSES.get(value) if isinstance(value, int) else None
    seen = f"{name} ({value})" if name else f"{value!r}, which is not known here"
    if name == "ACTIVE":
        return ok("account_status", seen, subject=subject)
    advice = "Look at the account in Meta's Business settings: its ads may not be delivered."
    found = problem if name in _DEAD_STATUSES else warning
    return found("account_status", seen, advice, subject=subject)


def _zone_found(value: object, subject: str) -> Finding:
    try:
        time_zone(value if isinstance(value, str) else "")
    except InputError:
        advice = "Install newer time zones (`pip install --upgrade tzdata`): its days need one."
        seen = f"{value!r} is no known time zone"
        return problem("account_time_zone", seen, advice, subject=subject)
    return ok("account_time_zone", str(value), subject=subject)


def _currency_found(value: object, subject: str) -> Finding:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper():
        return ok("account_currency", value, subject=subject)
    advice = "Report it: no amount of this account can be stored."
    return problem("account_currency", f"{value!r} is no currency", advice, subject=subject)


def _skew(heard: Heard) -> timedelta | None:
    """Meta's clock minus ours; zero while Meta's lies between asking and hearing."""
    try:
        theirs = parsedate_to_datetime(heard.headers["Date"])
    except (KeyError, ValueError):
        return None
    # The header tells whole seconds, and a naive one is in UTC.
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    if theirs > heard.heard_at:
        return theirs - heard.heard_at
    latest = theirs + timedelta(seconds=1)
    return latest - heard.asked_at if latest < heard.asked_at else timedelta(0)


def _unknown_version_found(version: str) -> Finding:
    if _number_of(version) > _number_of(NEWEST_VERSION):
        return ok("api_version", f"{version}, newer than {NEWEST_VERSION}, the newest known here")
    return problem("api_version", f"{version} has expired", _NEWER_VERSION)


def _number_of(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.removeprefix("v").split(".")))
