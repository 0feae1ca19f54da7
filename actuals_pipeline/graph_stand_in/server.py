"""The Graph API stand-in on a port of this computer, and its control under `/_stand_in/`.

    GET, POST         clock        {"now": "2026-03-07T12:00:00+00:00"}; forward only
    GET               truth        ?account_id=42&since=2026-03-01&until=2026-03-07, both inclusive
    GET               videos       what the product's tables would hold
    GET               predictions
    GET, DELETE       calls        the Graph calls so far, without secrets
    GET, POST, DELETE faults       one rule, or a list of rules, as in `faults.Fault`
    GET, POST         limits       {"sync_row_limit": 1000, "async_row_limit": null,
                                    "page_limit_max": 500}

A token about to expire, a disabled account, a `Date` that is off, a host that refuses the bearer
header and the like are faults too; `faults` says how each is written.

The control needs no token: it listens on the loopback address only.  Amounts are JSON text there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from email.utils import formatdate
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from actuals_pipeline.errors import InputError
from actuals_pipeline.graph_stand_in.faults import Call, Fault, Faults
from actuals_pipeline.graph_stand_in.graph import Answer, Graph, Request
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow, parse_day

STAND_IN_TOKEN: Final = "graph-stand-in-token"  # noqa: S105 - opens nothing but the stand-in
STAND_IN_APP_SECRET: Final = "graph-stand-in-app-secret"  # noqa: S105 - signs nothing else
STAND_IN_HEADER: Final = ("X-Graph-Stand-In", "actuals_pipeline")

_LOOPBACK = "127.0.0.1"
_LIMITS = {"sync_row_limit", "async_row_limit", "page_limit_max"}
_CONNECTION = "graph_stand_in.connection"


@dataclass(frozen=True, slots=True)
class GraphStandIn:
    """A running stand-in: where it is, how to sign in, and the strings to pull."""

    url: str
    graph: Graph

    @property
    def world(self) -> World:
        """The world behind it; set `world.now` to move its clock."""
        return self.graph.world

    @property
    def access_token(self) -> str:
        """The only token it accepts."""
        return self.graph.access_token

    @property
    def app_secret(self) -> str:
        """The secret that calls must be signed with; empty when they need not be."""
        return self.graph.app_secret

    @property
    def calls(self) -> list[Call]:
        """The Graph calls so far, oldest first."""
        return self.graph.calls

    @property
    def faults(self) -> Faults:
        """The rules that spoil answers."""
        return self.graph.faults


def create_app(
    world: World,
    *,
    access_token: str,
    app_secret: str = "",
    page_limit_max: int = 500,
    sync_row_limit: int | None = None,
    async_row_limit: int | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Starlette:
    """The stand-in as an ASGI application; the parameters are those of `Graph`."""
    return _app_of(
        Graph(
            world,
            access_token=access_token,
            app_secret=app_secret,
            page_limit_max=page_limit_max,
            sync_row_limit=sync_row_limit,
            async_row_limit=async_row_limit,
            clock=clock,
        )
    )


@contextmanager
def running_stand_in(
    world: World,
    *,
    access_token: str = STAND_IN_TOKEN,
    app_secret: str = STAND_IN_APP_SECRET,
    port: int = 0,
    sync_row_limit: int | None = None,
    async_row_limit: int | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Iterator[GraphStandIn]:
    """Serve the world on the loopback address while the context lasts; port 0 takes a free one."""
    graph = Graph(
        world,
        access_token=access_token,
        app_secret=app_secret,
        sync_row_limit=sync_row_limit,
        async_row_limit=async_row_limit,
        clock=clock,
    )
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    with socket.create_server((_LOOPBACK, port)) as listener:
        # Inherited by the connections: asyncio sets it on none whose listener names no protocol,
        # and an answer in two packets then waits 40 ms for the client to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serving = _serve(_app_of(graph), listener, stopped)
        thread = threading.Thread(
            target=loop.run_until_complete, args=(serving,), name="graph-stand-in", daemon=True
        )
        thread.start()
        try:
            # Connections queue in the listening socket until the server accepts them.
            yield GraphStandIn(f"http://{_LOOPBACK}:{listener.getsockname()[1]}", graph)
        finally:
            loop.call_soon_threadsafe(stopped.set)
            thread.join()
            loop.close()


async def _serve(app: ASGIApp, listener: socket.socket, stopped: asyncio.Event) -> None:
    """Serve until `stopped`, then let answers under way finish for a second.

    uvicorn's own `Server` polls, which costs each test a fifth of a second to stop it.
    """
    # A filter on hundreds of ids makes a long address.
    config = uvicorn.Config(
        app, ws="none", log_config=None, access_log=False, h11_max_incomplete_event_size=2**20
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: _CuttableProtocol(config, state, {}), sock=listener
    )
    await stopped.wait()
    server.close()
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=1)
    await asyncio.sleep(0)  # the loop closes the sockets on its next turn


class _CuttableProtocol(H11Protocol):
    """HTTP whose application can reach the connection, to cut it as a failing network would."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        application = self.app

        async def with_connection(scope: Any, receive: Any, send: Any) -> None:
            scope[_CONNECTION] = self.transport
            await application(scope, receive, send)

        self.app = with_connection


class _StandInHeader:
    """Middleware that marks every answer as the stand-in's, and dates it unless a fault did."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                name, value = STAND_IN_HEADER
                message["headers"].append((name.lower().encode(), value.encode()))
                if b"date" not in dict(message["headers"]):
                    # The real clock, whatever the world's: that may stand in another year.
                    message["headers"].append((b"date", formatdate(usegmt=True).encode()))
            await send(message)

        await self._app(scope, receive, marked)


def _app_of(graph: Graph) -> Starlette:
    control = [
        Route(f"/_stand_in/{name}", partial(_controlled, graph, actions), methods=list(actions))
        for name, actions in _CONTROL.items()
    ]
    graph_route = Route("/{path:path}", partial(_graph_call, graph), methods=["GET", "POST"])
    app = Starlette(routes=[*control, graph_route])
    app.add_middleware(_StandInHeader)
    return app


async def _graph_call(graph: Graph, http: HttpRequest) -> Response:
    params, bearer = await _params(http), _bearer(http)
    is_in_header = bool(bearer) and "access_token" not in params
    request = Request(
        method=http.method,
        path=http.url.path,
        params=params | {"access_token": bearer} if is_in_header else params,
        base_url=f"{http.url.scheme}://{http.url.netloc}",
        via="header" if is_in_header else "query",
    )
    answer = graph.answer(request)
    if answer.delay_seconds:
        await asyncio.sleep(answer.delay_seconds)
    if answer.drops or answer.raw:
        await _end(http, answer.raw)
    return _response(answer)


async def _params(http: HttpRequest) -> dict[str, str]:
    """Query and form together."""
    params = dict(http.query_params)
    body = (await http.body()).decode()
    if http.headers.get("content-type", "").startswith("application/json"):
        given = json.loads(body or "{}")
        params |= {k: v if isinstance(v, str) else json.dumps(v) for k, v in given.items()}
    else:
        params |= dict(parse_qsl(body))
    return params


def _bearer(http: HttpRequest) -> str:
    """The token of the `Authorization` header, or nothing."""
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def _end(http: HttpRequest, last_words: str) -> None:
    """End the connection, cut or after `last_words`, when the server that runs us knows how to."""
    connection: asyncio.Transport | None = http.scope.get(_CONNECTION)
    if connection is None:
        return
    if last_words:
        connection.write(last_words.encode())
        connection.close()
    else:
        connection.abort()
    # The protocol learns of the end on the next turn of the loop and then ignores the answer.
    await asyncio.sleep(0.01)


def _response(answer: Answer) -> Response:
    headers = {"Content-Type": "application/json; charset=UTF-8"} | dict(answer.headers)
    return Response(answer.body, status_code=answer.status, headers=headers)


async def _controlled(
    graph: Graph, actions: Mapping[str, Callable[[Graph, Any], Any]], http: HttpRequest
) -> Response:
    graph.tick()
    # Starlette adds HEAD to whatever answers GET.
    action = actions["GET" if http.method == "HEAD" else http.method]
    try:
        body = json.loads(await http.body() or b"{}")
        status, answer = 200, action(graph, body if http.method == "POST" else http.query_params)
    except (ValueError, TypeError, KeyError, InputError) as error:
        status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
    text = json.dumps(answer, default=_as_json)
    return Response(text, status_code=status, media_type="application/json")


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return asdict(value)


def _clock(graph: Graph, _: Any) -> Any:
    return {"now": graph.world.now}


def _set_clock(graph: Graph, body: Any) -> Any:
    graph.world.now = datetime.fromisoformat(body["now"])
    return _clock(graph, body)


def _truth(graph: Graph, query: Any) -> Any:
    window = DayWindow.inclusive(parse_day(query["since"]), parse_day(query["until"]))
    return {"now": graph.world.now, "data": graph.world.truth(query["account_id"], window)}


def _videos(graph: Graph, _: Any) -> Any:
    return {"data": graph.world.videos()}


def _predictions(graph: Graph, _: Any) -> Any:
    return {"data": graph.world.predictions()}


def _calls(graph: Graph, _: Any) -> Any:
    return {"data": graph.calls}


def _forget_calls(graph: Graph, _: Any) -> Any:
    graph.calls.clear()
    return {"data": []}


def _faults(graph: Graph, _: Any) -> Any:
    return {"data": graph.faults.pending()}


def _add_faults(graph: Graph, body: Any) -> Any:
    rules = body if isinstance(body, list) else [body]
    graph.faults.add(*(Fault(**rule) for rule in rules))
    return _faults(graph, body)


def _forget_faults(graph: Graph, _: Any) -> Any:
    graph.faults.clear()
    return {"data": []}


def _limits(graph: Graph, _: Any) -> Any:
    return {name: getattr(graph, name) for name in _LIMITS}


def _set_limits(graph: Graph, body: Any) -> Any:
    for name in _LIMITS & body.keys():
        setattr(graph, name, body[name])
    return _limits(graph, body)


_CONTROL: Mapping[str, Mapping[str, Callable[[Graph, Any], Any]]] = {
    "clock": {"GET": _clock, "POST": _set_clock},
    "truth": {"GET": _truth},
    "videos": {"GET": _videos},
    "predictions": {"GET": _predictions},
    "calls": {"GET": _calls, "DELETE": _forget_calls},
    "faults": {"GET": _faults, "POST": _add_faults, "DELETE": _forget_faults},
    "limits": {"GET": _limits, "POST": _set_limits},
}
