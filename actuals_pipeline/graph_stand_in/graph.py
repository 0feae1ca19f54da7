"""The Graph protocol over a world: who may ask, which node is meant, pages, runs and batches.

No HTTP here: `Graph.answer` takes a request in parts and gives an answer in parts, so that a
batch and a single call take the same way.  The cursor of a page holds the instant as of which its
first page was computed, so that paging is consistent although the clock moves on.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from actuals_pipeline.graph_stand_in import nodes
from actuals_pipeline.graph_stand_in.faults import (
    Call,
    Faults,
    Payload,
    error_answer,
    spoil_payload,
)
from actuals_pipeline.graph_stand_in.graph_errors import (
    GraphError,
    bad_token,
    error_body,
    invalid_cursor,
    invalid_parameter,
    missing_proof,
    no_version,
    read_only,
    too_much_data,
    unknown_node,
    wrong_proof,
)
from actuals_pipeline.graph_stand_in.insights import (
    InsightsQuery,
    Node,
    Row,
    json_param,
    materialise,
    parse_query,
    render,
)
from actuals_pipeline.graph_stand_in.world import Ad, NodeKind, World

Item = TypeVar("Item")

STAND_IN_APP_ID: Final = "880000000000099"

DEFAULT_PAGE: Final = 25
"""Rows in a page when `limit` is not sent (SDK issue 282)."""

BATCH_MAX: Final = 50
"""Requests in a batch (Graph API, Batch requests)."""

SECRET_PARAMS: Final = frozenset({"access_token", "appsecret_proof", "input_token"})

_CACHED_ANSWERS: Final = 16

_PROGRESS: Final = (("Job Not Started", 0), ("Job Running", 50), ("Job Completed", 100))
"""What the first, the second and all later polls of a report run say."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request in parts; `params` are query and form together, `base_url` ends without `/`.

    The token is in `params` wherever it came; `via` says where that was.
    """

    method: str
    path: str
    params: Mapping[str, str]
    base_url: str
    via: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in parts; `body` is the text to send, `drops` means to cut the connection.

    `raw` is sent instead of all of it, before the connection is closed.
    """

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    drops: bool = False
    raw: str = ""


@dataclass(slots=True)
class _Run:
    """An asynchronous report: what it computes, as of when, and how often it was asked about."""

    run_id: str
    query: InsightsQuery
    ads: Sequence[Ad]
    as_of: datetime
    polls: int = 0

    @property
    def account_id(self) -> str:
        return self.query.account_id

    @property
    def progress(self) -> tuple[str, int]:
        return _PROGRESS[min(self.polls, len(_PROGRESS)) - 1]


@dataclass(frozen=True, slots=True)
class _Target:
    """What a path means: the kind of call, and the node or the run that it is about."""

    kind: str
    subject: Node | _Run | None = None

    @property
    def account_id(self) -> str | None:
        return self.subject.account_id if self.subject else None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A place in the list that some request gives; `turn` keeps two cursors to one place apart."""

    as_of: datetime
    offset: int
    owner: str
    turn: int = 0

    def encode(self) -> str:
        text = json.dumps([self.as_of.isoformat(), self.offset, self.owner, self.turn])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> _Cursor:
        try:
            parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(datetime.fromisoformat(parts[0]), *parts[1:])
        except (ValueError, TypeError, IndexError, binascii.Error):
            raise invalid_cursor() from None


class Graph:
    """A Graph API over `world`.

    With an `app_secret` every call must be signed.  `sync_row_limit` and `async_row_limit` are the
    most insights rows that one request may cost; None means no limit.  `clock`, when given, moves
    the world's clock along before each call.
    """

    def __init__(
        self,
        world: World,
        *,
        access_token: str,
        app_secret: str = "",
        page_limit_max: int = 500,
        sync_row_limit: int | None = None,
        async_row_limit: int | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.world = world
        self.access_token = access_token
        self.app_secret = app_secret
        self.page_limit_max = page_limit_max
        self.sync_row_limit = sync_row_limit
        self.async_row_limit = async_row_limit
        self.faults = Faults()
        self.calls: list[Call] = []
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._rows: OrderedDict[tuple[InsightsQuery, datetime], list[Row]] = OrderedDict()

    def tick(self) -> None:
        """Let the world's clock catch up with `clock`."""
        if self._clock:
            self.world.now = max(self.world.now, self._clock())

    def answer(self, request: Request) -> Answer:
        """Answer one request, spoiled if a fault says so, and record it."""
        self.tick()
        try:
            target = self._target(request)
            refusal = None
        except GraphError as error:
            target, refusal = _Target("unknown"), error
        call = _call(request, target)
        effect = self.faults.take(call)
        answer = self._answer(request, target, effect, refusal)
        self.calls.append(replace(call, status=answer.status))
        return answer

    def _answer(
        self,
        request: Request,
        target: _Target,
        effect: Mapping[str, Any],
        refusal: GraphError | None,
    ) -> Answer:
        status, headers = 200, self._usage(target)
        if "raw_body" in effect:
            status, body = effect.get("status", 200), str(effect["raw_body"])
            headers["Content-Type"] = effect.get("content_type", "text/html")
        else:
            if "error" in effect:
                status, payload = error_answer(effect)
            else:
                status, payload = self._payload(request, target, effect, refusal)
            body = json.dumps(payload)
        if effect.get("truncate"):
            body = body[: len(body) // 2]
        return Answer(
            status=status,
            body=body,
            headers=headers | effect.get("headers", {}),
            delay_seconds=effect.get("delay_seconds", 0),
            drops=bool(effect.get("drop_connection")),
            raw=effect.get("raw_answer", ""),
        )

    def _payload(
        self,
        request: Request,
        target: _Target,
        effect: Mapping[str, Any],
        refusal: GraphError | None,
    ) -> tuple[int, Any]:
        try:
            if target.kind != "debug_token":
                self._authenticate(request.params)
            if refusal:
                raise refusal
            payload = _HANDLERS[target.kind](self, request, target.subject, effect)
        except GraphError as error:
            return error.status, error_body(error.code, error.message, subcode=error.subcode)
        # The answer to a batch is a list, whose parts were spoiled on their own.
        if isinstance(payload, dict):
            spoil_payload(payload, effect)
        return 200, payload

    def _authenticate(self, params: Mapping[str, str]) -> None:
        token = params.get("access_token", "")
        if not hmac.compare_digest(token.encode(), self.access_token.encode()):
            raise bad_token()
        if not self.app_secret:
            return
        proof = params.get("appsecret_proof", "")
        if not proof:
            raise missing_proof()
        if not hmac.compare_digest(
            proof.encode(), appsecret_proof(self.app_secret, token).encode()
        ):
            raise wrong_proof()

    def debug_token(self, request: Request, _subject: None, _effect: object) -> Payload:
        """What a token is worth; asked with the token itself or with `app_id|app_secret`."""
        asking = request.params.get("access_token", "")
        app_token = f"{STAND_IN_APP_ID}|{self.app_secret}"
        if asking != app_token or not self.app_secret:
            self._authenticate(request.params)
        is_valid = request.params.get("input_token") == self.access_token
        facts: Payload = {"app_id": STAND_IN_APP_ID, "is_valid": is_valid, "scopes": []}
        if is_valid:
            accounts = list(self.world.accounts)
            facts |= {
                "type": "SYSTEM_USER",
                "application": "Graph API stand-in",
                "user_id": "880000000000098",
                "expires_at": 0,
                "data_access_expires_at": 0,
                "scopes": ["ads_read"],
                "granular_scopes": [{"scope": "ads_read", "target_ids": accounts}],
            }
        else:
            facts["error"] = {"code": 190, "message": "Invalid OAuth access token."}
        return {"data": facts}

    def _target(self, request: Request) -> _Target:
        path, n_versions = re.subn(r"^/v\d+\.\d+(?=/|$)", "", request.path)
        parts = [part for part in path.split("/") if part]
        if not parts and request.method == "POST":
            return _Target("batch")
        if parts == ["debug_token"]:
            return _Target("debug_token")
        if not n_versions:
            raise no_version()
        if parts == ["me", "adaccounts"]:
            return _Target("adaccounts")
        if not parts:
            raise invalid_parameter("no object")
        edge = "/".join(parts[1:])
        if parts[0] in self._runs:
            return self._run_target(self._runs[parts[0]], edge)
        return self._node_target(self._node(parts[0]), edge, request.method)

    def _run_target(self, run: _Run, edge: str) -> _Target:
        kinds = {"": "run", "insights": "run_insights"}
        if edge not in kinds:
            raise unknown_node(run.run_id)
        return _Target(kinds[edge], run)

    def _node_target(self, node: Node, edge: str, method: str) -> _Target:
        if edge == "insights" and node.kind in {"account", "campaign", "adset", "ad"}:
            return _Target("insights_async" if method == "POST" else "insights", node)
        if method == "POST":
            raise read_only()
        if not edge:
            return _Target(node.kind, node)
        if edge in {"ads", "campaigns", "adsets"} and node.kind == "account":
            return _Target(edge, node)
        raise unknown_node(node.object_id)

    def _node(self, object_id: str) -> Node:
        account_id = object_id.removeprefix("act_")
        if object_id.startswith("act_") and account_id in self.world.accounts:
            return Node("account", object_id, account_id, self.world.ads(account_id))
        found = self.world.find(object_id)
        if not found:
            raise unknown_node(object_id)
        kind, ads = found
        return Node(kind, object_id, ads[0].account_id, ads)

    def node(self, request: Request, node: Node, _effect: object) -> Payload:
        """An account, campaign, ad set, ad, creative or video."""
        fields = request.params.get("fields", "")
        return nodes.chosen(self._described(node), fields, node.kind)

    def _described(self, node: Node) -> Payload:
        if node.kind == "account":
            return nodes.account_node(self.world.accounts[node.account_id], self.world.now)
        ad = node.ads[0]
        if node.kind == "ad":
            return nodes.ad_node(ad, self.world.today(node.account_id))
        if node.kind == "creative":
            return nodes.creative_node(ad)
        if node.kind == "video":
            return nodes.video_node(node.object_id, ad)
        if node.kind == "campaign":
            return nodes.campaign_node(node.ads, self.world)
        return nodes.ad_set_node(node.ads, self.world)

    def adaccounts(self, request: Request, _subject: None, effect: Mapping[str, Any]) -> Payload:
        """The accounts that the token may read: all of them."""
        ids = self.world.accounts
        described = [self._described(self._node(f"act_{account_id}")) for account_id in ids]
        fields = request.params.get("fields", "")
        chosen = [nodes.chosen(account, fields, "account") for account in described]
        return self._page(request, effect, chosen, self._start(request, "adaccounts"), put=dict)

    def ads(self, request: Request, node: Node, effect: Mapping[str, Any]) -> Payload:
        """An account's ads; archived ones only when asked for, deleted ones not even then."""
        wanted = json_param(request.params.get("effective_status") or "[]", "effective_status")
        if "DELETED" in wanted:
            raise invalid_parameter("effective_status DELETED cannot be listed")
        start = self._start(request, f"ads/{node.account_id}/{sorted(wanted)}")
        today = self.world.today(node.account_id, start.as_of)
        listed = [
            ad
            for ad in node.ads
            if ad.created_at <= start.as_of
            and (
                ad.status(today) in wanted
                if wanted
                else ad.status(today) not in {"ARCHIVED", "DELETED"}
            )
        ]
        fields = request.params.get("fields", "")
        payload = self._page(
            request,
            effect,
            listed,
            start,
            put=lambda ad: nodes.chosen(nodes.ad_node(ad, today), fields, "ad"),
        )
        if request.params.get("summary") == "true":
            payload["summary"] = {"total_count": len(listed)}
        return payload

    def campaigns(self, request: Request, node: Node, effect: Mapping[str, Any]) -> Payload:
        """An account's campaigns with their budgets."""
        return self._parents(request, node, effect, "campaign", nodes.campaign_node)

    def ad_sets(self, request: Request, node: Node, effect: Mapping[str, Any]) -> Payload:
        """An account's ad sets with their budgets."""
        return self._parents(request, node, effect, "adset", nodes.ad_set_node)

    def _parents(
        self,
        request: Request,
        node: Node,
        effect: Mapping[str, Any],
        kind: NodeKind,
        described: Callable[[Sequence[Ad], World], Payload],
    ) -> Payload:
        start = self._start(request, f"{kind}s/{node.account_id}")
        groups: dict[str, list[Ad]] = {}
        for ad in node.ads:
            if ad.created_at <= start.as_of:
                groups.setdefault(getattr(ad, f"{kind}_id"), []).append(ad)
        fields = request.params.get("fields", "")
        return self._page(
            request,
            effect,
            list(groups.values()),
            start,
            put=lambda ads: nodes.chosen(described(ads, self.world), fields, kind),
        )

    def insights(self, request: Request, node: Node, effect: Mapping[str, Any]) -> Payload:
        """A page of insights, computed while the client waits."""
        query = parse_query(self.world, node, request.params)
        start = self._start(request, repr(query))
        rows = self._computed(query, node.ads, start.as_of, self.sync_row_limit)
        return self._page(request, effect, rows, start, put=lambda row: render(row, query.fields))

    def insights_async(self, request: Request, node: Node, _effect: object) -> Payload:
        """The id of a report run that will compute the insights."""
        query = parse_query(self.world, node, request.params)
        self._computed(query, node.ads, self.world.now, self.async_row_limit)
        run_id = f"1277{len(self._runs) + 1:014d}"
        self._runs[run_id] = _Run(run_id, query, node.ads, self.world.now)
        return {"report_run_id": run_id}

    def run(self, _request: Request, run: _Run, _effect: object) -> Payload:
        """How far a report run is; it advances with each poll."""
        run.polls += 1
        status, percent = run.progress
        return {
            "id": run.run_id,
            "account_id": run.query.account_id,
            "async_status": status,
            "async_percent_completion": percent,
            "is_running": percent < 100,
            "time_ref": int(run.as_of.timestamp()),
            "date_start": run.query.buckets[0].since.isoformat(),
            "date_stop": run.query.buckets[-1].until.isoformat(),
        }

    def run_insights(self, request: Request, run: _Run, effect: Mapping[str, Any]) -> Payload:
        """A page of a run's result; empty and without any error when read too early, as at Meta."""
        is_done = run.polls and run.progress[1] == 100
        rows = self._computed(run.query, run.ads, run.as_of, None) if is_done else []
        start = self._start(request, run.run_id, as_of=run.as_of)
        return self._page(
            request, effect, rows, start, put=lambda row: render(row, run.query.fields)
        )

    def _computed(
        self, query: InsightsQuery, ads: Sequence[Ad], as_of: datetime, row_limit: int | None
    ) -> list[Row]:
        key = (query, as_of)
        if key not in self._rows:
            self._rows[key] = materialise(self.world, query, ads, as_of)
            if len(self._rows) > _CACHED_ANSWERS:
                self._rows.popitem(last=False)
        self._rows.move_to_end(key)
        if row_limit is not None and len(self._rows[key]) > row_limit:
            raise too_much_data()
        return self._rows[key]

    def _start(self, request: Request, owner: str, as_of: datetime | None = None) -> _Cursor:
        """Where the request's page starts; a cursor of another request is refused."""
        digest = sha256(owner.encode()).hexdigest()[:12]
        after = request.params.get("after")
        cursor = _Cursor.decode(after) if after else _Cursor(as_of or self.world.now, 0, digest)
        if cursor.owner != digest:
            raise invalid_cursor()
        return cursor

    def _page(
        self,
        request: Request,
        effect: Mapping[str, Any],
        items: Sequence[Item],
        start: _Cursor,
        put: Callable[[Item], Any],
    ) -> Payload:
        """The page of `items` at `start`, each item put into words by `put`."""
        limit = self._limit(request.params)
        end = start.offset + limit
        after, shown = (
            replace(start, offset=min(end, len(items)), turn=0),
            items[start.offset : end],
        )
        has_next = end < len(items)
        if effect.get("empty_page"):
            after, shown, has_next = replace(start, turn=start.turn + 1), [], True
        elif effect.get("repeat_cursor"):
            after, has_next = start, True
        payload: Payload = {"data": [put(item) for item in shown]}
        if not shown and not has_next:
            return payload
        payload["paging"] = {"cursors": {"before": start.encode(), "after": after.encode()}}
        if has_next:
            # Meta's links carry the token too, which is why nobody should store them.
            query = {**request.params, "limit": str(limit), "after": after.encode()}
            payload["paging"]["next"] = f"{request.base_url}{request.path}?{urlencode(query)}"
        return payload

    def _limit(self, params: Mapping[str, str]) -> int:
        limit = params.get("limit", str(DEFAULT_PAGE))
        if not limit.isdecimal() or int(limit) < 1:
            raise invalid_parameter(f"limit {limit!r}")
        return min(int(limit), self.page_limit_max)

    def batch(self, request: Request, _subject: None, _effect: object) -> Any:
        """Up to 50 requests in one; each is answered, recorded and spoiled on its own."""
        parts = json_param(request.params.get("batch", ""), "batch")
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise invalid_parameter("batch must be a list of requests")
        if len(parts) > BATCH_MAX:
            raise invalid_parameter(f"a batch holds at most {BATCH_MAX} requests")
        return [self._batch_part(request, part) for part in parts]

    def _batch_part(self, request: Request, part: Mapping[str, str]) -> Payload | None:
        url = urlsplit(part.get("relative_url", ""))
        path = "/" + url.path.lstrip("/")
        version = re.match(r"/v\d+\.\d+(?=/|$)", request.path)
        if version and not re.match(r"/v\d+\.\d+/", path):
            path = version.group() + path
        inherited = {name: request.params[name] for name in SECRET_PARAMS & request.params.keys()}
        given = [*parse_qsl(url.query), *parse_qsl(part.get("body", ""))]
        method = part.get("method", "GET").upper()
        params = inherited | dict(given)
        answer = self.answer(Request(method, path, params, request.base_url, request.via))
        if answer.drops:
            return None  # what Meta sends for a part that timed out
        headers = [{"name": name, "value": value} for name, value in answer.headers.items()]
        return {"code": answer.status, "headers": headers, "body": answer.body}

    def _usage(self, target: _Target) -> dict[str, str]:
        """Usage headers of an insights answer: low, because nothing here is ever used up."""
        account_id = target.account_id
        if not account_id or target.kind not in _METERED:
            return {}
        tier = {"ads_api_access_tier": "standard_access"}
        load = {"call_count": 1, "total_cputime": 1, "total_time": 1}
        cases = [
            {"type": kind, **load, "estimated_time_to_regain_access": 0, **tier}
            for kind in ("ads_insights", "ads_management")
        ]
        headers = {
            "X-FB-Ads-Insights-Throttle": {"app_id_util_pct": 0.5, "acc_id_util_pct": 1.25, **tier},
            "X-Business-Use-Case-Usage": {account_id: cases},
            "X-Ad-Account-Usage": {"acc_id_util_pct": 1.25, "reset_time_duration": 0, **tier},
            "X-App-Usage": load,
        }
        return {name: json.dumps(value) for name, value in headers.items()}


def appsecret_proof(app_secret: str, access_token: str) -> str:
    """The signature that belongs to a token (Graph API, Secure requests)."""
    return hmac.new(app_secret.encode(), access_token.encode(), sha256).hexdigest()


def _call(request: Request, target: _Target) -> Call:
    """What is recorded of a request: everything but its secrets."""
    shown = {
        name: value
        for name, value in request.params.items()
        if name not in SECRET_PARAMS and name != "batch"
    }
    return Call(
        method=request.method,
        path=request.path,
        kind=target.kind,
        params=shown,
        account_id=target.account_id,
        page=_page_number(shown) if target.kind in _PAGED else None,
        via=request.via if "access_token" in request.params else None,
    )


def _page_number(params: Mapping[str, str]) -> int:
    try:
        offset = _Cursor.decode(params["after"]).offset if params.get("after") else 0
        return offset // int(params.get("limit", DEFAULT_PAGE)) + 1
    except (GraphError, ValueError, ZeroDivisionError):
        return 1


_PAGED = frozenset({"insights", "run_insights", "ads", "campaigns", "adsets", "adaccounts"})

_METERED = frozenset({"insights", "insights_async", "run", "run_insights"})

_HANDLERS: Mapping[str, Callable[[Graph, Request, Any, Mapping[str, Any]], Any]] = {
    "account": Graph.node,
    "campaign": Graph.node,
    "adset": Graph.node,
    "ad": Graph.node,
    "creative": Graph.node,
    "video": Graph.node,
    "ads": Graph.ads,
    "campaigns": Graph.campaigns,
    "adsets": Graph.ad_sets,
    "adaccounts": Graph.adaccounts,
    "insights": Graph.insights,
    "insights_async": Graph.insights_async,
    "run": Graph.run,
    "run_insights": Graph.run_insights,
    "debug_token": Graph.debug_token,
    "batch": Graph.batch,
}
