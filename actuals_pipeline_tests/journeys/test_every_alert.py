"""Each alert is told once, again by its schedule, and when it is over, by what really happens.

One installation lives through some bad days: the real job asks the stand-in, Dagster's scheduler
ticks the real schedule, the real sensor looks, and what arrives at the channel is what counts.
Whatever a rule reads is written by the pipeline; only the product's tables are filled by hand.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import dagster._daemon.daemon  # before the scheduler, for they import each other
import psycopg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

from actuals_pipeline.alerts.rules import RULES
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.orchestration.alert_watch import alert_watch_sensor
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import HEALTH_JOB_NAME
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.alerts.receiver import Receiver, receiver
from actuals_pipeline_tests.conftest import environment_of
from actuals_pipeline_tests.orchestration.conftest import RECONCILED, Pipeline, exported

FETCHED = ("raw_meta_insights", "meta_account_totals")
SCORED = ("prediction_accuracy", "model_drift", "retrain_states")
PACED = (*FETCHED, "ad_actuals", "plan_snapshots", "budget_pacing")

MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(weeks=1)
REPEAT_HOURS = 12

THROTTLED = {
    "error": {"code": 17},
    "headers": {
        "X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 1})
    },
}

LOGGER = logging.getLogger(__name__)

OF_MODELS = {"drift", "retrain_requested"}

_LINE = re.compile(r"(CRITICAL|WARNING|STILL OPEN|[A-Z ]+ after)\b.*?([a-z_]+): ")
_KINDS = {"CRITICAL": "new", "WARNING": "new", "STILL OPEN": "again"}


@dataclass
class Watch:
    """An installation whose clock is the world's, and what its alerts said to somebody."""

    pipeline: Pipeline
    channel: Receiver
    broken: Receiver
    heart: Receiver
    seen: set[str] = field(default_factory=set)
    """Rules of which anything was told."""
    _read: int = 0

    @property
    def settings(self) -> Settings:
        urls = ",".join(each.url.replace("http", "json", 1) for each in (self.channel, self.broken))
        return Settings.from_environment(
            {
                **self.pipeline.environment,
                "ALERT_URLS": urls,
                "ACTUALS_HEARTBEAT_URL": self.heart.url,
                "ACTUALS_ALERT_REPEAT_HOURS": str(REPEAT_HOURS),
            }
        )

    @property
    def now(self) -> datetime:
        return self.pipeline.graph.world.now

    def wait(self, delay: timedelta) -> None:
        self.pipeline.graph.world.now += delay

    def look(self) -> dict[str, list[str]]:
        """What the sensor tells at the world's time, by rule: `new`, `again` and `over`."""
        sensor = alert_watch_sensor(self.settings, clock=lambda: self.now)
        with dg.build_sensor_context(instance=self.pipeline.instance) as context:
            assert sensor.evaluate_tick(context).skip_message
        found: dict[str, list[str]] = defaultdict(list)
        for _, body in self.channel.got[self._read :]:
            for line in json.loads(body)["message"].splitlines():
                if told := _LINE.match(line):
                    found[told[2]].append(_KINDS.get(told[1], "over"))
        self._read = len(self.channel.got)
        self.seen |= found.keys()
        return found

    def fetch(self, days: int = 2, *, tier: str = "recent") -> bool:
        return self.run(FETCHED, days, tier=tier)

    def run(self, assets: tuple[str, ...], days: int = 2, *, tier: str = "recent") -> bool:
        """One run of the job over the trailing days: whether it succeeded."""
        window = DayWindow.trailing(self.now.date(), days)
        return self.pipeline.run(window, assets=assets, tags={"actuals/tier": tier}).success

    def spoil(self, effect: dict[str, object], **criteria: object) -> None:
        self.pipeline.graph.faults.add(Fault(effect, **criteria))  # type: ignore[arg-type]

    def mend(self) -> None:
        self.pipeline.graph.faults.clear()

    def examine(self) -> None:
        """The daily health check."""
        job = build_definitions(self.settings).resolve_job_def(HEALTH_JOB_NAME)
        with exported(self.pipeline.environment):
            assert job.execute_in_process(instance=self.pipeline.instance).success

    def publish(self, *ad_ids: str) -> None:
        """The product's videos of these ads, two days old."""
        with psycopg.connect(self.pipeline.environment["DATABASE_URL"]) as connection:
            for ad_id in ad_ids:
                connection.execute(
                    "INSERT INTO public.videos (id, title, meta_platform_id, created_at) "
                    "VALUES (gen_random_uuid(), 'v', %s, %s)",
                    [ad_id, self.now.replace(tzinfo=None) - timedelta(days=2)],
                )

    def predict(self, monday: date, *, version: str = "1", bias: float = 1.0) -> None:
        """What the product says, the day before, of the clicks of ads that launch in a week."""
        at = datetime.combine(monday, time(), tzinfo=UTC) - timedelta(days=1)
        ads = self.pipeline.graph.world.ads("42", at + 2 * WEEK)
        with psycopg.connect(self.pipeline.environment["DATABASE_URL"]) as connection:
            connection.execute("SELECT set_config('world.now', %s, false)", [at.isoformat()])
            for ad in ads:
                if not monday <= ad.launch_day < monday + WEEK:
                    continue
                connection.execute(
                    "INSERT INTO public.videos (id, title, meta_platform_id, created_at) "
                    "VALUES (%s, 'v', %s, %s)",
                    [ad.product_video_id, ad.ad_id, at.replace(tzinfo=None)],
                )
                connection.execute(
                    "INSERT INTO public.predictions (id, video_id, model_name, model_version, "
                    "predicted_ctr) VALUES (gen_random_uuid(), %s, 'm', %s, %s)",
                    [ad.product_video_id, version, bias * ad.rates.click_rate],
                )

    def score(self, *sundays: date) -> None:
        """The models, as of each of these days."""
        for sunday in sundays:
            window = DayWindow.inclusive(sunday, sunday)
            assert self.pipeline.run(window, assets=SCORED).success

    def plan(self, amount: int) -> None:
        """The product's planned budget."""
        days = [self.now.date() + timedelta(days=each) for each in (-5, 9)]
        with psycopg.connect(self.pipeline.environment["DATABASE_URL"]) as connection:
            raised = connection.execute("UPDATE public.budgets SET amount = %s", [amount])
            if not raised.rowcount:
                connection.execute(
                    "INSERT INTO public.budgets (name, meta_account_id, currency, amount, "
                    "start_date, end_date) VALUES ('Spring', 'act_42', 'EUR', %s, %s, %s)",
                    [amount, *days],
                )


@pytest.fixture
def world() -> World:
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 20),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 8),
    )
    # Noon, so that a day of either account does not end meanwhile; the clock only goes forward.
    now = datetime.now(UTC).replace(hour=9, minute=30, second=0, microsecond=0)
    return World(now=now - timedelta(days=4), accounts=accounts)


@pytest.fixture
def watch(
    environment: dict[str, str], dagster_instance: dg.DagsterInstance, graph: GraphStandIn
) -> Iterator[Watch]:
    with watching(Pipeline(environment, dagster_instance, graph)) as watched:
        yield watched


@contextmanager
def watching(pipeline: Pipeline) -> Iterator[Watch]:
    with receiver([200]) as channel, receiver([200]) as broken, receiver([200]) as heart:
        yield Watch(pipeline, channel, broken, heart)


@pytest.fixture
def tick(watch: Watch, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Let Dagster's own scheduler do what is due at the world's time, over the code location."""
    code = tmp_path / "location.py"
    code.write_text(
        "from actuals_pipeline.orchestration.build import build_definitions\n"
        "from actuals_pipeline.settings import Settings\n"
        "settings = Settings.from_environment()\n"
        "defs = build_definitions(settings)\n"
    )
    # A first day that has not come: the schedule ticks, and says that there is nothing to launch.
    first = watch.now.date() + timedelta(days=30)
    origin = LoadableTargetOrigin(python_file=str(code), attribute="defs")
    target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin))
    with (
        exported({**watch.pipeline.environment, "ACTUALS_START_DATE": str(first)}),
        # Dagster reads a property of its own that it calls deprecated.
        warnings.catch_warnings(action="ignore"),
        WorkspaceProcessContext(watch.pipeline.instance, target) as workspace,
    ):
        iterations: dict[str, ScheduleIterationTimes] = {}

        def pass_over() -> None:
            """To the end, for it is a generator."""
            deque(launch_scheduled_runs(workspace, LOGGER, watch.now, iterations), maxlen=0)

        yield pass_over


@pytest.mark.slow
def test_each_alert_is_told_once_and_again_by_its_schedule_and_when_it_is_over(
    watch: Watch, tick: Callable[[], None]
) -> None:
    def pass_by(delay: timedelta) -> None:
        """Let time pass in which everything works."""
        watch.wait(delay)
        tick()
        assert watch.fetch()

    # Installed, with the product's videos, and nothing happens.
    delivered = {
        row["ad_id"] for row in watch.pipeline.truth(DayWindow.trailing(watch.now.date(), 9))
    }
    watch.publish(*delivered)
    assert watch.look() == {"coverage": ["new"]}
    watch.wait(2.2 * HOUR)
    never = {"scheduler_stopped": ["new"], "no_recent_actuals": ["new", "new"]}
    assert watch.look() == never
    watch.wait(MINUTE)
    assert watch.look() == {}, "once"
    tick()
    watch.wait(HOUR)
    tick()
    watch.heart.answers = [500]
    assert watch.run(RECONCILED, 30, tier="month")
    assert watch.look() == {
        "coverage": ["over"],
        "scheduler_stopped": ["over"],
        "no_recent_actuals": ["over", "over"],
    }

    # Nobody takes the heartbeat.
    for _ in range(2):
        assert watch.look() == {}
        watch.wait(6 * MINUTE)
    assert watch.look() == {"heartbeat_failed": ["new"]}
    watch.heart.answers = [200]
    watch.wait(6 * MINUTE)
    assert watch.look() == {"heartbeat_failed": ["over"]}

    # Meta asks to wait, six times.
    for _ in range(3):
        watch.spoil(THROTTLED, kind="insights", account_id="42", times=2)
        assert watch.fetch()
    assert watch.look() == {"rate_limits": ["new"]}

    # The token is dead, also for a backfill.
    watch.spoil({"error": {"code": 190, "subcode": 463}}, times=None)
    assert not watch.fetch(tier="backfill")
    assert watch.look() == {
        "success_rate": ["new"],
        "failed_fetches": ["new", "new"],
        "backfill_failed": ["new"],
    }
    watch.mend()
    assert watch.fetch(tier="sync")
    assert watch.look() == {"backfill_failed": ["over"]}

    # The token has three days left.
    soon = int((datetime.now(UTC) + timedelta(days=3)).timestamp())
    watch.spoil({"merge": {"data": {"expires_at": soon}}}, kind="debug_token")
    watch.examine()
    assert watch.look() == {"token_expiring": ["new"]}
    watch.examine()
    assert watch.look() == {"token_expiring": ["over"]}

    # Meta leaves ads out of its answers, then no more.
    watch.spoil({"drop_rows": 1}, params="^level=ad$", account_id="42", times=None)
    watch.run(RECONCILED, 1)
    assert watch.look() == {"spend_not_reconciling": ["new"]}
    watch.mend()
    assert watch.run(RECONCILED, 1)
    assert watch.look() == {"spend_not_reconciling": ["over"]}

    # More was spent than was planned; and one of two channels does not take that.
    watch.plan(1)
    assert watch.run(PACED, 7)
    watch.broken.answers = [503]
    assert watch.look() == {"overspend": ["new"]}
    pass_by(1.2 * HOUR)
    assert watch.look() == {"alerts_undelivered": ["new"]}
    watch.broken.answers = [200]
    pass_by(HOUR)
    assert watch.look() == {}
    assert watch.look() == {"alerts_undelivered": ["over"]}

    # What lasts is told again.
    pass_by(REPEAT_HOURS * HOUR)
    lasting = {
        "rate_limits": ["again"],
        "success_rate": ["again"],
        "failed_fetches": ["again", "again"],
        "overspend": ["again"],
    }
    assert watch.look() == lasting
    assert watch.look() == {}

    # A day later the failures are long ago; but the week was left out, and the plan is raised.
    pass_by(10 * HOUR)
    for _ in range(4):
        assert watch.fetch()
    assert watch.look() == {
        "rate_limits": ["over"],
        "success_rate": ["over"],
        "failed_fetches": ["over", "over"],
        "stale_actuals": ["new", "new"],
    }
    watch.plan(1_000_000)
    assert watch.run(PACED, 7, tier="week")
    assert watch.look() == {"stale_actuals": ["over", "over"], "overspend": ["over"]}
    assert watch.look() == {}

    assert watch.seen == {rule.name for rule in RULES} - OF_MODELS


@pytest.fixture
def modelled(environment: dict[str, str], dagster_instance: dg.DagsterInstance) -> Iterator[Watch]:
    """An account with enough ads a week for a model to be judged, on the evening of a Sunday."""
    now = datetime.now(UTC).replace(hour=20, minute=0, second=0, microsecond=0)
    now -= timedelta(days=now.isoweekday()) + 2 * WEEK
    # A week is judged from thirty pairs on; some ads never deliver.
    account = AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 12 * 45)
    world = World(now=now, accounts=[account], history_days=12 * 7)
    with running_stand_in(world) as graph:
        own = environment_of(graph, environment["DATABASE_URL"], Path(environment["ACTUALS_HOME"]))
        date_logs_by_the_world(own["DATABASE_URL"])
        with watching(Pipeline(own, dagster_instance, graph)) as watched:
            yield watched


def date_logs_by_the_world(database: str) -> None:
    """The logs of predictions and videos go by the setting `world.now`, not by Postgres's clock."""
    with psycopg.connect(database) as connection:
        functions = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc "
            "WHERE pronamespace = 'actuals'::regnamespace AND prosrc LIKE '%clock_timestamp()%'"
        ).fetchall()
        for (definition,) in functions:
            now = "current_setting('world.now')::timestamptz"
            connection.execute(definition.replace("clock_timestamp()", now).encode())


@pytest.mark.slow
def test_a_model_that_goes_wrong_is_told_until_its_successor_is_known(modelled: Watch) -> None:
    watch = modelled
    sunday = watch.now.date()
    monday = sunday + timedelta(days=1)
    # Right for five weeks, then half as much again of all clicks for six.
    for week in range(-11, 0):
        watch.predict(monday + week * WEEK, bias=1.5 if week >= -6 else 1.0)
    assert watch.run((*FETCHED, "ad_actuals"), 80)
    watch.score(*(sunday + week * WEEK for week in range(-9, -4)))
    assert not watch.look().keys() & OF_MODELS, "it was right"
    watch.score(*(sunday + week * WEEK for week in range(-4, 1)))
    told = watch.look()
    assert {rule: told[rule] for rule in OF_MODELS} == {rule: ["new"] for rule in OF_MODELS}
    said = json.loads(watch.channel.got[-1][1])["message"]
    assert "Multiply predicted ctr by 0.6" in said
    assert not watch.look().keys() & OF_MODELS, "once"

    # Its successor is right, of which thirty predictions have matured.
    for week in range(2):
        watch.predict(monday + week * WEEK, version="2")
        for _ in range(7):
            watch.wait(24 * HOUR)
            assert watch.run((*FETCHED, "ad_actuals"), 3)
        watch.score(watch.now.date())
    over = watch.look()
    assert {rule: over[rule] for rule in OF_MODELS} == {rule: ["over"] for rule in OF_MODELS}
