"""`actuals serve` as a process: where it binds, how it stops, what it does not load."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.serving.http.server import STOP_SECONDS
from actuals_pipeline_tests.serving.conftest import (
    Command,
    Stored,
    eventually,
    processes_of,
    sentence_of,
)
from actuals_pipeline_tests.serving.http.conftest import FETCH, SYNC, Answer, Start
from actuals_pipeline_tests.serving.http.test_refusals import told

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=str)
def test_a_signal_ends_it_cleanly(number: int, start: Start, tmp_path: Path) -> None:
    with start() as (process, api):
        process.send_signal(number)
        assert process.wait(60) == 0
    log = (tmp_path / "serve.log").read_text()
    assert log == f"Answering on {api.url} (Ctrl-C stops it)\n"


def test_a_run_under_way_is_interrupted_and_its_caller_answered(
    start: Start, graph: GraphStandIn, environment: dict[str, str]
) -> None:
    # Both accounts: an interrupted run ends when the calls under way do.
    graph.faults.add(Fault({"delay_seconds": 4}, kind="insights", times=2))
    got: list[Answer] = []
    with start() as (process, api):
        caller = threading.Thread(target=lambda: got.append(api.post(SYNC)))
        caller.start()
        eventually(lambda: any(call.kind == "insights" for call in graph.calls))
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        caller.join(10)
    assert told(got[0]) == (503, "stopping")
    eventually(lambda: not processes_of(Path(environment["ACTUALS_HOME"])))


def test_a_fetch_that_outlasts_the_stop_is_answered_and_stores_all_or_nothing(
    start: Start, graph: GraphStandIn, world: World, stored: Stored
) -> None:
    graph.faults.add(Fault({"delay_seconds": STOP_SECONDS + 3}, kind="insights"))
    got: list[Answer] = []
    with start() as (process, api):
        ad_id = world.ads("42")[0].ad_id
        caller = threading.Thread(target=lambda: got.append(api.post(f"{FETCH}/{ad_id}")))
        caller.start()
        eventually(lambda: any(call.kind == "insights" for call in graph.calls))
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS + 10) == 0
        caller.join(10)
    # The stand-in ends its answer, which nobody waits for any more.
    time.sleep(3)
    assert told(got[0]) == (503, "stopping")
    assert int(got[0].headers["retry-after"]) >= 1
    assert not stored("ad_actuals")


def test_a_taken_port_is_said(command: Command, taken_port: int) -> None:
    sentence = sentence_of(command("serve", "--port", str(taken_port)))
    assert f"Port {taken_port} of 127.0.0.1 cannot be used" in sentence
    assert "choose another with --port" in sentence


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it must refuse them
def test_beyond_this_computer_it_asks_for_a_token(
    host: str, command: Command, taken_port: int
) -> None:
    sentence = sentence_of(command("serve", "--host", host, "--port", str(taken_port)))
    assert "ACTUALS_API_TOKEN is missing" in sentence
    with_token = command(
        "serve", "--host", host, "--port", str(taken_port), ACTUALS_API_TOKEN="x" * 32
    )
    assert "ACTUALS_API_TOKEN" not in with_token.stderr


def test_a_host_that_is_none_is_said(command: Command, taken_port: int) -> None:
    for host in ("no.such.host.invalid", "192.0.2.1"):
        sentence = sentence_of(
            command("serve", "--host", host, "--port", str(taken_port), ACTUALS_API_TOKEN="x" * 32)
        )
        assert host in sentence


HELP = """
import sys
from actuals_pipeline.serving.cli import main

try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"fastapi", "uvicorn", "starlette", "prometheus_client", "dagster", "pandas"}
sys.exit(f"loaded: {sorted(heavy & sys.modules.keys())}")
"""


def test_the_other_commands_load_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert "serve " in done.stdout
    assert done.stderr == "loaded: []\n"
