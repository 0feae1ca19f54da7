"""The routes, with the specification's JSON to the key and unit, and a few of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from actuals_pipeline.errors import ActualsError, InputError
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.report_days import MOST_DAYS_BACK, DayWindow, parse_day
from actuals_pipeline.serving import answers, queries, single_ad
from actuals_pipeline.serving.http import answer_shapes as shapes
from actuals_pipeline.serving.http import description, metrics
from actuals_pipeline.serving.http.failures import (
    ErrorAnswer,
    Refusal,
    kind_named,
    refusal,
    refusal_of_class,
    stopping,
    tell_all,
)
from actuals_pipeline.serving.http.gate import Gate
from actuals_pipeline.serving.http.live_page import LivePages
from actuals_pipeline.serving.http.readiness import LOOK_SECONDS, Readiness
from actuals_pipeline.serving.http.request_rate import RequestRate
from actuals_pipeline.serving.http.sync_runs import Ended, SyncRun, SyncRuns
from actuals_pipeline.serving.http.webhooks import webhooks
from actuals_pipeline.serving.http.workers import Workers
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.report import story
from actuals_pipeline.warehouse import schema
from actuals_pipeline.warehouse.connection import Warehouse

READ_SECONDS = 30.0
"""Longest that a route which only reads takes.  Chosen: a dashboard's patience."""

FETCH_SECONDS = 60.0
"""Longest that one ad may take; measured against Meta's own figure of half a second a call."""

SYNC_WAIT_SECONDS = 300.0
"""Longest that a caller waits for a run; it gets the run's id after that."""

META_WAIT_SECONDS = 10.0
"""Longest that one ad's fetch waits for Meta's limits; longer waits are the caller's (429)."""

_THREADS = 8
"""At a time, of either kind; a small Postgres takes 100 connections."""

_MOST_WAITING = 64
"""Requests that wait for a thread; more are told to come back."""

_MOST_HOURS, _MOST_DAYS = 24 * 3660, 3660
"""Ages of videos that can be asked for: ten years."""


class Service:
    """What the routes answer from: the database, Meta, and runs of the Dagster job."""

    def __init__(self, installation: Installation) -> None:
        self.settings = installation.settings
        url = installation.database_url
        self.warehouse = Warehouse(url, most_seconds=READ_SECONDS)
        probed = Warehouse(url, most_seconds=LOOK_SECONDS)
        self.readiness = Readiness(lambda: schema.check_in(probed))
        self.readers = Workers(_THREADS, _MOST_WAITING, READ_SECONDS)
        # Apart from the readers, so that a slow Meta holds up no dashboard.
        self.fetchers = Workers(_THREADS, _MOST_WAITING, FETCH_SECONDS)
        self.sync_runs = SyncRuns(installation)
        self.pages = LivePages(self.warehouse, installation.settings.home)

    def give_up(self) -> None:
        """Answer all who still wait that the service stops."""
        for waited_for in (self.readers, self.fetchers, self.pages, self.readiness):
            waited_for.give_up()


def create_app(installation: Installation) -> FastAPI:
    """The ASGI application over `installation`; its `state.service` is the `Service`."""
    service = Service(installation)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.sync_runs.stop()

    app = FastAPI(
        title="actuals_pipeline",
        version=version("actuals_pipeline"),
        description="What Meta ads really did, and how good the predictions were.",
        lifespan=life,
        # The pages that come with FastAPI load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    token = service.settings.api_token.get_secret_value()
    # Only described here: `Gate` asks for the token before any route is looked at.
    bearer = Depends(HTTPBearer(auto_error=False, description="ACTUALS_API_TOKEN"))
    app.include_router(api, dependencies=[bearer] if token else [])
    app.include_router(probes)
    app.include_router(webhooks)
    tell_all(app)
    app.add_middleware(
        Gate,
        token=token,
        rate=RequestRate(service.settings.api_requests_per_minute),
    )
    return app


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


_Serving = Annotated[Service, Depends(_service)]

_FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer},
    "5XX": {"model": ErrorAnswer},
}

_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def _answers(
    shape: type[shapes.Shape], *, under_way: type[shapes.Shape] | None = None
) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for OpenAPI: written by us, so that money keeps its digits."""
    described: dict[int | str, dict[str, Any]] = {200: {"model": shape}}
    if under_way:
        described[202] = {"model": under_way, "description": "The run is under way."}
    return described


api = APIRouter(responses=_FAILURES)
probes = APIRouter(responses=_FAILURES)


def _parsed_day(value: Any) -> Any:
    try:
        return parse_day(value) if isinstance(value, str) else value
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from error


_Day = Annotated[
    date, BeforeValidator(_parsed_day), Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))
]


class _Parameters(BaseModel):
    """Query parameters; one that is unknown is refused, for it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class FetchParameters(_Parameters):
    """Of one ad's fetch."""

    video_id: str | None = Field(
        None, max_length=200, description="Video to name in the answer; default: the ad's own."
    )
    days_back: int = Field(7, ge=1, le=MOST_DAYS_BACK, description="Trailing days, today included.")


class AgeParameters(_Parameters):
    """Which videos the summary of a run counts; what is fetched and scored stays the same."""

    min_age_hours: int | None = Field(
        None, ge=0, le=_MOST_HOURS, description="Default: ACTUALS_MIN_AGE_HOURS."
    )
    max_age_days: int | None = Field(
        None, ge=1, le=_MOST_DAYS, description="Default: ACTUALS_MAX_AGE_DAYS."
    )


class SyncParameters(AgeParameters):
    """Of a run of the Dagster job."""

    wait: bool = Field(
        default=True,
        description="Answer with the summary; otherwise at once, with 202 and the run's id.",
    )


class SummaryParameters(_Parameters):
    """Of the summary."""

    since: _Day | None = Field(None, description="First day; default: the first ever fetched.")
    until: _Day | None = Field(None, description="Last day; default: the last ever fetched.")
    as_of: _Day | None = Field(None, description="Show what was known at the end of this day.")


@api.post("/api/ml/actuals/fetch/{ad_id}", responses=_answers(shapes.AdAnswer))
async def fetch(
    ad_id: Annotated[str, Path(pattern="^[0-9]{1,25}$")],
    asked: Annotated[FetchParameters, Query()],
    service: _Serving,
) -> Response:
    """Fetch one ad's trailing days from Meta and store them.

    `status` is `success`, or `no_delivery` or `outside_window` with `actuals` null and a `message`.
    """
    settings = service.settings.require_meta()

    def work() -> dict[str, Any]:
        return single_ad.fetch(
            service.warehouse,
            settings,
            ad_id,
            days_back=asked.days_back,
            video_id=asked.video_id,
            limits=Limits(budget_seconds=META_WAIT_SECONDS),
        )

    return _json(await service.fetchers.run(work))


@api.post("/api/ml/actuals/sync", responses=_answers(shapes.SyncAnswer, under_way=shapes.UnderWay))
async def sync(asked: Annotated[SyncParameters, Query()], service: _Serving) -> Response:
    """Refresh the trailing 7 days of every account through the Dagster job.

    Who asks while a run is under way shares it.  202 when it lasts longer than a caller waits.
    """
    service.settings.require_meta()
    run = service.sync_runs.current()
    if asked.wait:
        await service.sync_runs.wait(run, SYNC_WAIT_SECONDS)
    return await _of_run(service, run, asked) if asked.wait else _under_way(run)


@api.get(
    "/api/ml/actuals/sync/{run_id}",
    responses=_answers(shapes.SyncAnswer, under_way=shapes.UnderWay),
)
async def sync_run(
    run_id: UUID, asked: Annotated[AgeParameters, Query()], service: _Serving
) -> Response:
    """The answer of a run that `sync` began; 202 while it is under way."""
    run = service.sync_runs.known(str(run_id))
    if run is None:
        raise Refusal(
            404,
            "run_not_found",
            f"No run {run_id} was begun here lately.",
            "Ask /api/ml/actuals/scheduler-status for the last run.",
        )
    return await _of_run(service, run, asked)


@api.get("/api/ml/actuals/scheduler-status", responses=_answers(shapes.StatusAnswer))
async def scheduler_status(service: _Serving) -> Response:
    """Whether the hourly schedule runs, and what the last run did."""

    def work() -> dict[str, Any]:
        return answers.scheduler_status(service.warehouse, service.settings, datetime.now(UTC))

    return _json(await service.readers.run(work))


@api.get("/api/ml/actuals/stats", responses=_answers(shapes.StatsAnswer))
async def stats(service: _Serving) -> Response:
    """Counts over every fetch."""
    answer = await service.readers.run(lambda: answers.stats(service.warehouse, service.settings))
    return _json(answer)


@api.get("/api/ml/actuals/summary", responses=_answers(shapes.SummaryAnswer))
async def summary(asked: Annotated[SummaryParameters, Query()], service: _Serving) -> Response:
    """Spend, revenue, ROAS, conversions, CPA, the investment and each model's accuracy."""

    def work() -> dict[str, Any]:
        now = datetime.now(UTC)
        return answers.asked_summary(service.warehouse, service.settings, now, **dict(asked))

    return _json(await service.readers.run(work))


@api.get("/api/ml/accuracy/{model:path}", responses=_answers(shapes.AccuracyAnswer))
async def accuracy(model: Annotated[str, Path(max_length=200)], service: _Serving) -> Response:
    """A model's rows of the summary: one a version and protocol."""
    rows = await service.readers.run(
        lambda: answers.model_rows(service.warehouse, service.settings, model)
    )
    if not rows:
        raise Refusal(
            404,
            "model_not_found",
            "No model of this name was scored.",
            "Ask /api/ml/actuals/summary which models there are.",
        )
    return _json({"status": "success", "model": model, "models": rows})


@api.get("/metrics", response_class=Response, responses=_METRICS)
async def metrics_page(service: _Serving) -> Response:
    """For Prometheus, in its text format."""
    now = datetime.now(UTC)
    text = await service.readers.run(lambda: metrics.written(service.warehouse, now))
    return Response(text, media_type=metrics.CONTENT_TYPE)


class PageParameters(_Parameters):
    """Of the page."""

    since: _Day | None = Field(None, description="First day; default: 90 days before the last.")
    until: _Day | None = Field(None, description="Last day; default: the last ever fetched.")


@api.get("/", include_in_schema=False)
async def page(
    asked: Annotated[PageParameters, Query()], request: Request, service: _Serving
) -> Response:
    """Everything at a glance, for people."""
    return await service.pages.answer(asked.since, asked.until, request.headers)


@api.get("/api/ml/ads/{ad_id}/story", include_in_schema=False)
async def ad_story(
    ad_id: Annotated[str, Path(pattern="^[0-9]{1,25}$")], service: _Serving
) -> Response:
    """What the page shows of an ad: predictions, days, revisions, what Meta answered."""
    told = await service.readers.run(lambda: story.story_of(service.warehouse, ad_id))
    if told is None:
        raise Refusal(
            404,
            "ad_not_found",
            f"Nothing is known of ad {ad_id}.",
            "Check the id of the ad.",
        )
    return _json(told)


@api.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The routes, for people."""
    openapi = request.app.openapi()
    return HTMLResponse(description.page(openapi), headers=description.HEADERS)


@probes.get("/healthz", responses=_answers(shapes.Alive))
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@probes.get("/readyz", responses=_answers(shapes.Ready))
async def readyz(service: _Serving) -> Response:
    """The database answers and has the schema of this version; 503 otherwise."""
    refused = await service.readiness.refused()
    return refused.response() if refused else _json({"status": "ready"})


async def _of_run(service: Service, run: SyncRun, asked: AgeParameters) -> Response:
    """What a run brought, with the ads of the ages asked for counted."""
    if not run.ended.done():
        return _under_way(run)
    ended = run.ended.result()
    return _json(await service.readers.run(lambda: _brought(service, run, ended, asked)))


def _under_way(run: SyncRun) -> Response:
    address = f"/api/ml/actuals/sync/{run.run_id}"
    response = _json({"status": "running", "run_id": run.run_id, "answer_at": address}, status=202)
    response.headers["Location"] = address
    return response


def _brought(service: Service, run: SyncRun, ended: Ended, asked: AgeParameters) -> dict[str, Any]:
    if ended.answer is None:
        raise _failure(service, run, ended)
    ages = asked.model_dump(include=set(AgeParameters.model_fields), exclude_none=True)
    answer, summed = ended.answer, ended.answer["summary"]
    window = DayWindow.inclusive(*map(parse_day, answer["window"].values()))
    counts = queries.ad_outcomes(
        service.warehouse,
        window,
        answer["run_ids"],
        service.settings.model_copy(update=ages),
        datetime.fromisoformat(summed["timestamp"]),
    )
    return {**answer, "summary": {**summed, **counts}}


def _failure(service: Service, run: SyncRun, ended: Ended) -> Refusal:
    """Why a run brought nothing: as the accounts' fetches where all of those failed."""
    if service.sync_runs.is_stopping:
        return stopping()
    accounts = queries.account_outcomes(service.warehouse, [run.run_id])
    failed = [row["error_class"] for row in accounts if row["outcome"] != "complete"]
    if failed and len(failed) == len(accounts):
        return refusal_of_class(kind_named(failed[0]), ended.sentence)
    return refusal(ActualsError(ended.sentence))


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    """An answer with all digits of its money."""
    return Response(answers.as_json(answer), status_code=status, media_type="application/json")
