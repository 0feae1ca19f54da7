"""Turn an error of Meta into the error class and the reaction that it calls for.

One table from (code, subcode) to a reaction.  The message text decides only where Meta gives
nothing else, because "the description string is subject to change".  A code that the table does
not know is a `bug`: it is not retried, so that new behaviour is noticed, and told in Meta's words.

Here: what an error means and what a person should do.  Not here: doing it (`graph.py` waits and
repeats, `pages.py` restarts, `reports.py` resubmits and re-polls, `splitting.py` splits, and
`accounts.py` stops).  `docs/failures.md` is generated from these tables.

Sources, read 2026-11-22: Marketing API error reference [ER] and insights error codes [EC]
(2026-09-12), Graph API error handling [GE], rate limiting [RL], insights reference [REF];
[SEEN] marks what public connectors met (Airbyte, Singer, Estuary, ingestr and their issues).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from facebook_business.exceptions import FacebookRequestError

from actuals_pipeline.errors import (
    AdNotFound,
    MetaError,
    MetaRefused,
    MetaThrottled,
    MetaUnavailable,
    Reaction,
    ReportFailed,
    RequestTooLarge,
)
from actuals_pipeline.meta import throttle

MISSING_OBJECT: Final = (100, 33)
"""No such object, or the token may not see it."""

_UNKNOWN_ALIAS: Final = 803

LONG_WAIT_SECONDS: Final = 3600.0
"""Wait after a block for abuse, whose end Meta does not announce.  Chosen: it lasts up to 1 h."""

_QUOTED_CHARACTERS: Final = 300

ERROR_OF: Final[Mapping[Reaction, type[MetaError]]] = {
    Reaction.WAIT_APP: MetaThrottled,
    Reaction.WAIT_ACCOUNT: MetaThrottled,
    Reaction.SPLIT: RequestTooLarge,
    Reaction.RETRY: MetaUnavailable,
    Reaction.RESTART_PAGING: MetaUnavailable,
    Reaction.REPOLL: MetaUnavailable,
    Reaction.RESUBMIT: ReportFailed,
    Reaction.STOP_ACCOUNT: MetaRefused,
    Reaction.STOP_ALL: MetaRefused,
    Reaction.BUG: MetaError,
}
"""The class of the error that each reaction answers."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of error means: the client's reaction, the meaning, what a person should do."""

    reaction: Reaction
    meaning: str
    advice: str
    least_wait_seconds: float = 0.0
    lead: str = ""


def _refused(meaning: str, advice: str) -> Rule:
    return Rule(Reaction.STOP_ACCOUNT, meaning, advice)


def _app_refused(meaning: str, advice: str, *, lead: str = "") -> Rule:
    return Rule(Reaction.STOP_ALL, meaning, advice, lead=lead)


def _token(meaning: str) -> Rule:
    advice = "create a new system user token and put it in META_ACCESS_TOKEN"
    return _app_refused(meaning, advice, lead="Meta refused the token")


def _app_limit(meaning: str) -> Rule:
    return Rule(Reaction.WAIT_APP, meaning, "wait, then ask again")


def _account_limit(meaning: str) -> Rule:
    return Rule(Reaction.WAIT_ACCOUNT, meaning, "wait, then ask again")


def _blocked(meaning: str) -> Rule:
    advice = "wait an hour; if it comes back, ask Meta's support why the app is limited"
    return Rule(Reaction.WAIT_APP, meaning, advice, LONG_WAIT_SECONDS)


def _too_large(meaning: str) -> Rule:
    return Rule(Reaction.SPLIT, meaning, "ask for fewer days at a time")


def _transient(meaning: str) -> Rule:
    return Rule(Reaction.RETRY, meaning, "ask again later")


def _not_ready(meaning: str) -> Rule:
    return Rule(Reaction.REPOLL, meaning, "ask again later")


def _our_bug(meaning: str) -> Rule:
    return Rule(Reaction.BUG, meaning, "the request is wrong and is not repeated; report it")


_PERMISSION = _refused(
    "permission denied",
    "grant the token's system user `ads_read` and the Analyze task on the ad account",
)
_UNSIGNED = _app_refused(
    "signature missing or wrong", "set META_APP_SECRET to the secret of the app that made the token"
)
_OTHER_PRODUCT_LIMITS = (80001, 80002, 80005, 80006, 80007, 80008, 80009, 80014)

RULES: Final[Mapping[tuple[int, int | None], Rule]] = {
    # A subcode of None stands for every subcode without a row of its own.
    # Limits of the whole app [EC, RL, GE].
    (4, None): _app_limit("app call limit reached"),
    (4, 1504022): _app_limit("insights are overloaded"),
    (4, 1504039): _app_limit("insights are overloaded"),
    (341, None): _app_limit("app limit reached"),
    (613, 5044001): _app_limit("too many changes a second"),
    # Limits of one ad account [GE, RL].
    (17, None): _account_limit("account call limit reached"),
    (17, 2446079): _account_limit("account call limit reached"),
    (32, None): _account_limit("page call limit reached"),
    (613, 1487742): _account_limit("too many calls from this ad account"),
    (80000, None): _account_limit("insights limit reached"),
    (80003, None): _account_limit("custom audience limit reached"),
    (80004, None): _account_limit("ads management limit reached"),
    **{(code, None): _account_limit("call limit reached") for code in _OTHER_PRODUCT_LIMITS},
    # Blocks that only patience and a person end [ER, GE].
    (368, None): _blocked("temporarily blocked for policy reasons"),
    (613, None): _blocked("calls reduced because of abuse"),
    (613, 1996): _blocked("inconsistent number of calls"),
    # Too much asked for at once [EC]; 960, and 1504018 with code 2 [SEEN].
    (100, 1487534): _too_large("too much data"),
    (100, 1504018): _too_large("timed out"),
    (2, 1504018): _too_large("timed out"),
    (2, 1504038): _too_large("timed out"),
    (-3, 1504045): _too_large("report too large"),
    (960, None): _too_large("timed out"),
    # Passing trouble [EC, GE]; 99 is documented as a wrong `level`, but comes and goes [SEEN].
    (1, None): _transient("unknown error"),
    (1, 99): _transient("unknown error"),
    (2, None): _transient("service unavailable"),
    (2, 1504043): _transient("service unavailable"),
    (2, 1504044): _transient("service unavailable"),
    # Report runs [EC]; their results may be announced before they can be read [SEEN].
    (-2, 2490547): Rule(Reaction.RESUBMIT, "report failed", "ask again, for fewer days"),
    (2601, None): _not_ready("report result not ready"),
    (2601, 1815107): _not_ready("report result not ready"),
    (2637, None): _not_ready("report result not ready"),
    # A cursor that Meta no longer takes [SEEN].
    (2642, None): Rule(Reaction.RESTART_PAGING, "cursor no longer valid", "ask again later"),
    # The token [GE, ER]; 104 comes with an HTTP 5xx when it is passing trouble [SEEN].
    (102, None): _token("session invalid"),
    (104, None): _UNSIGNED,
    (190, None): _token("token invalid"),
    (190, 458): _token("app not installed"),
    (190, 459): _app_refused(
        "checkpoint", "let the token's user log in at facebook.com and confirm"
    ),
    (190, 460): _token("password changed"),
    (190, 463): _token("session expired"),
    (190, 464): _app_refused(
        "user unconfirmed", "let the token's user log in and confirm the account"
    ),
    (190, 467): _token("token invalid"),
    (190, 492): _token("session invalid"),
    (492, None): _token("session invalid"),
    # Permissions [EC, ER, GE].
    MISSING_OBJECT: _refused(
        "no such object, or not visible to the token",
        "check META_AD_ACCOUNT_ID and that the token's system user is assigned to the ad account",
    ),
    (_UNKNOWN_ALIAS, None): _refused(
        "no such object", "check META_AD_ACCOUNT_ID; it is act_ and the account's digits"
    ),
    (3, None): _PERMISSION,
    (10, None): _PERMISSION,
    **{(code, None): _PERMISSION for code in range(200, 300)},
    (100, 3191001): _PERMISSION,
    # The API version [REF].
    (2635, None): _app_refused(
        "API version expired", "set META_API_VERSION to a version that Meta still serves"
    ),
    # Our own mistakes [EC, GE]; repeating them lowers the quota [RL].
    (100, None): _our_bug("invalid parameter"),
    (2500, None): _our_bug("request not understood"),
    (3018, None): _our_bug("start more than 37 months ago"),
    (100, 3018): _our_bug("start more than 37 months ago"),
    (2, 1504041): _our_bug("invalid breakdowns"),
    (2, 1504042): _our_bug("invalid custom metrics"),
}
"""What each error of Meta means, by code and subcode."""

OF_A_NEW_RUN: Final[Mapping[tuple[int, int | None], Rule]] = {
    # A run is announced before every server of Meta knows it [SEEN: Singer].
    MISSING_OBJECT: _not_ready("report run not known yet"),
}
"""What an error means instead when it is about a report run created less than a minute ago."""

BY_MESSAGE: Final = (
    # Code 1 is both "unknown" and "too much", told apart by the text alone (SDK issues 294, 470).
    (1, "reduce the amount of data", _too_large("too much data")),
    # Comes and goes on reports that are read back unchanged [SEEN: Stitch, Airbyte, Keboola].
    (100, "in summary param", _not_ready("report not ready")),
    # An app may be set to require signed calls; Meta has no code of its own for it.
    (100, "appsecret_proof", _UNSIGNED),
)
"""(code, words in the message in lower case, rule), for codes that mean two things."""

OUTAGE: Final = _transient("server error")
"""HTTP 5xx, `is_transient`, no connection, a body that is no JSON: where no code says more."""

TOO_MANY_REQUESTS: Final = _account_limit("too many requests")
"""HTTP 429 without a code; Meta sends its limits as codes, but a proxy before it may not."""

_SERVER_ERROR_WINS: Final = frozenset({104})
_HTTP_TOO_MANY_REQUESTS: Final = 429
_HTTP_SERVER_ERROR: Final = 500


def rule_for(
    code: int | None,
    subcode: int | None = None,
    *,
    message: str = "",
    is_transient: bool = False,
    http_status: int | None = None,
) -> Rule | None:
    """The rule for one error, or None when nothing is known about it."""
    for with_code, words, rule in BY_MESSAGE:
        if code == with_code and words in message.lower():
            return rule
    outage = OUTAGE if is_transient or (http_status or 0) >= _HTTP_SERVER_ERROR else None
    if code is None:
        return TOO_MANY_REQUESTS if http_status == _HTTP_TOO_MANY_REQUESTS else outage
    exact = RULES.get((code, subcode)) if subcode is not None else None
    known = exact or RULES.get((code, None))
    # Meta marks limits as transient too, so the flag counts only where the code says nothing.
    says_nothing = known is None or (known.reaction is Reaction.BUG and exact is None)
    if outage and (says_nothing or code in _SERVER_ERROR_WINS):
        return outage
    return known


def may_be_too_large(error: MetaError) -> bool:
    """Whether asking for less may help.

    Meta often says no more than "unknown error" of what it fails to put together [SEEN: Airbyte].
    """
    is_unknown = error.code == 1 and (error.http_status or 0) >= _HTTP_SERVER_ERROR
    return error.reaction is Reaction.SPLIT or is_unknown


def is_unknown_yet(error: MetaError) -> bool:
    """Whether `error` is what Meta says of a report run that it has just created."""
    return (error.code, error.subcode) in OF_A_NEW_RUN


@contextmanager
def translated(*, account_id: str | None, ad_id: str | None = None) -> Iterator[None]:
    """Let a refusal by Meta leave the block as one of our errors, each with its account."""
    try:
        yield
    except MetaError as error:
        error.account_id = error.account_id or account_id
        raise
    except FacebookRequestError as error:
        failure = translate(error, account_id=account_id, ad_id=ad_id)
    else:
        return
    # The SDK's twenty lines about the request would only repeat this one.
    raise failure from None


def translate(
    error: FacebookRequestError, *, account_id: str | None, ad_id: str | None = None
) -> MetaError:
    """Our error for Meta's refusal of a call about an account, or about one ad of it.

    With `ad_id` an object that does not exist is `AdNotFound` instead of `MetaRefused`.
    """
    # The SDK has no annotations.
    body: object = error.body()  # type: ignore[no-untyped-call]
    headers: Mapping[str, str] | None = error.http_headers()  # type: ignore[no-untyped-call]
    http_status: int | None = error.http_status()  # type: ignore[no-untyped-call]
    facts = body.get("error") if isinstance(body, Mapping) else None
    return failure_of(
        facts if isinstance(facts, Mapping) else {},
        account_id=account_id,
        ad_id=ad_id,
        http_status=http_status,
        headers=headers,
    )


def report_failure(run: Mapping[str, Any], *, account_id: str) -> MetaError:
    """Our error for a report run that ended as `Job Failed`; `run` is its node."""
    facts = {
        "code": _integer(run.get("error_code")),
        "error_subcode": run.get("error_subcode"),
        "message": run.get("error_message"),
        "error_user_title": run.get("error_user_title"),
        "error_user_msg": run.get("error_user_msg"),
    }
    if facts["code"] is None:
        return ReportFailed(
            f"Meta's report for account act_{account_id} failed without a reason: ask again, for "
            f"fewer days.{_told(facts)}",
            account_id=account_id,
        )
    return failure_of(facts, account_id=account_id)


def failure_of(
    facts: Mapping[str, Any],
    *,
    account_id: str | None,
    ad_id: str | None = None,
    http_status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> MetaError:
    """Our error for Meta's error object `facts` (`code`, `error_subcode`, `message`, ...)."""
    code, subcode = _integer(facts.get("code")), _integer(facts.get("error_subcode"))
    message = str(facts.get("message") or "")
    rule = rule_for(
        code,
        subcode,
        message=message,
        is_transient=facts.get("is_transient") is True,
        http_status=http_status,
    )
    reaction = rule.reaction if rule else Reaction.BUG
    kind = ERROR_OF[reaction]
    subject = f" for account act_{account_id}" if account_id else ""
    if ad_id is not None:
        subject = f" for ad {ad_id}"
        if _is_missing(code, subcode):
            kind = AdNotFound
    request_id = str(facts.get("fbtrace_id") or "") or None
    number = "/".join(str(part) for part in (code, subcode) if part is not None) or "no code"
    traits = [f"fbtrace_id {request_id}"] if request_id else []
    told = ""
    if kind is MetaError:
        # Our own mistakes and unknown codes are explained by nobody but Meta.
        told = _told(facts)
        status = f"HTTP {http_status}" if http_status else ""
        traits = [each for each in (_words(facts.get("type")), status, *traits) if each]
    return kind(
        _sentence(kind, rule, subject, number) + told + (f" ({', '.join(traits)})" * bool(traits)),
        reaction=reaction,
        account_id=account_id,
        code=code,
        subcode=subcode,
        http_status=http_status,
        request_id=request_id,
        retry_after=_retry_after(rule, headers or {}) if kind is MetaThrottled else None,
    )


def _is_missing(code: int | None, subcode: int | None) -> bool:
    return (code, subcode) == MISSING_OBJECT or code == _UNKNOWN_ALIAS


_LEADS: Final[Mapping[type[MetaError], str]] = {
    MetaRefused: "Meta refused the request",
    AdNotFound: "Meta found nothing",
    MetaThrottled: "Meta asks to wait",
    MetaUnavailable: "Meta could not answer",
    RequestTooLarge: "Meta refused the request as too large",
    ReportFailed: "Meta's report failed",
    MetaError: "Meta answered with an error",
}


def _sentence(kind: type[MetaError], rule: Rule | None, subject: str, number: str) -> str:
    meaning = rule.meaning if rule else "not known to this program"
    advice = rule.advice if rule else "it is not repeated; report it"
    if kind is AdNotFound:
        meaning, advice = "no such ad, or not visible to the token", "check the id of the ad"
    lead = rule.lead if rule and rule.lead else _LEADS[kind]
    return f"{lead}{subject} ({number}, {meaning}): {advice}."


def _told(facts: Mapping[str, Any]) -> str:
    """Meta's message, and what it would show to a user, each quoted once; nothing without them."""
    names = ("message", "error_user_title", "error_user_msg")
    said = dict.fromkeys(_words(facts.get(name)) for name in names)
    return "".join(f' Meta says: "{words}"' for words in said if words)


def _words(text: object) -> str:
    """Text of Meta's in one line, and not more of it than a line holds."""
    return " ".join(str(text or "").split())[:_QUOTED_CHARACTERS]


def _retry_after(rule: Rule | None, headers: Mapping[str, str]) -> float:
    hinted = throttle.seconds_to_wait(headers)
    return max(hinted or throttle.DEFAULT_PAUSE_SECONDS, rule.least_wait_seconds if rule else 0)


def _integer(value: object) -> int | None:
    """`value` as an integer, also when it is sent as text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 12 else None
