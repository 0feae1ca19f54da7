"""`actuals up`: what it serves and to whom, and that nothing of it outlives it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest

from actuals_pipeline.settings import SECRETS
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.serving.conftest import (
    Command,
    eventually,
    processes_of,
    sentence_of,
)
from actuals_pipeline_tests.serving.up import (
    SCHEDULE,
    STATE,
    SWITCH_OFF,
    Up,
    free_port,
    started,
)

OF_META = {"DATABASE_URL", "META_ACCESS_TOKEN", "META_APP_SECRET"}
NEEDED = {
    "code_server": OF_META | {"ALERT_URLS"},
    "daemon": {"DATABASE_URL"},
    "ui": {"DATABASE_URL"},
    "http": OF_META | {"ACTUALS_API_TOKEN", "META_WEBHOOK_VERIFY_TOKEN"},
}
"""Of the secrets that are set, those that each process sees."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


Start = Callable[..., AbstractContextManager[Up]]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """Start `actuals up`, on a free port unless one is named; it ends with the block."""
    # Far away, so that a tick that falls into the test starts no run.
    environment["ACTUALS_START_DATE"] = "2900-01-01"
    return partial(started, environment, tmp_path)


def test_everything_is_served_starts_again_and_ends_with_all_its_processes(
    start: Start, actuals: Actuals, environment: dict[str, str]
) -> None:
    environment["ACTUALS_API_TOKEN"] = "of-the-interface-and-nobody-else"
    environment["META_WEBHOOK_VERIFY_TOKEN"] = "of-the-interface-as-well"
    environment["ALERT_URLS"] = "json://127.0.0.1:1/nobody"
    http_port = free_port()
    # As a shell without job control starts what stands before an ampersand.
    with start("/bin/sh", "-c", """trap '' INT; exec "$@" """, "sh", http_port=http_port) as up:
        eventually(up.answers, seconds=60)
        query = {"query": STATE, "variables": {"schedule": SCHEDULE}}
        state = up.asked("/graphql", query)["data"]["scheduleOrError"]["scheduleState"]
        assert state["status"] == "RUNNING"
        with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
            # Another address of this computer: whoever could come from outside.
            outside.connect(("127.0.0.2", up.port))
        with pytest.raises(HTTPError, match="403"):
            up.asked("/graphql", query, Origin="https://elsewhere.example")
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/readyz", timeout=60) as answer:
            assert json.load(answer) == {"status": "ready"}

        def scheduler() -> Any:
            answer = json.loads(actuals("status", "--json").stdout)
            names = {each["name"] for each in answer["processes"] if each["pid"]}
            assert names == {"code_server", "daemon", "ui", "http"}
            return answer["scheduler"]

        eventually(lambda: bool(scheduler()["is_running"]))
        switched = {"query": SWITCH_OFF, "variables": {"id": state["id"]}}
        answer = up.asked("/graphql", switched)["data"]["stopRunningSchedule"]
        assert answer["scheduleState"]["status"] == "STOPPED"
        assert scheduler()["is_running"] is False

        again = actuals("up", "--port", str(free_port()), "--no-http")
        assert again.returncode == 2
        assert f"`actuals up` runs for {up.home} already" in again.stderr

        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            # What never happens is missed from now on.
            watched = connection.execute("SELECT subject FROM actuals.watched_since ORDER BY 1")
            assert watched.fetchall() == [("",), ("42",), ("43",)]

        secrets = {name: seen_by(up.pid_of(name)) & SECRETS for name in NEEDED}
        assert secrets == NEEDED

        killed = up.pid_of("daemon")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: up.pid_of("daemon") not in {killed, None}, seconds=10)

        log = up.ended(signal.SIGTERM)
        assert f"Dagster UI: http://127.0.0.1:{up.port} (Ctrl-C stops it)" in log
        assert "daemon was killed by SIGKILL and is started again in 1 s; see" in log
        assert "Traceback" not in log
    logs = {path.name: path.read_text() for path in (up.home / "logs").glob("*.log")}
    assert logs.keys() == {"code_server.log", "daemon.log", "http.log", "ui.log"}
    assert "Started Dagster code server" in logs["code_server.log"]
    assert not any("\x1b" in text for text in logs.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "hang-up"])
def test_a_signal_ends_what_has_only_begun_to_start(number: int, start: Start) -> None:
    with start() as up:
        eventually(lambda: len(up.children) >= 1)
        up.ended(number)


def test_a_hang_up_is_nothing_where_it_is_ignored_and_when_it_is_killed_all_ends(
    start: Start,
) -> None:
    with start("nohup") as up:
        eventually(lambda: len(up.children) >= 1)
        up.process.send_signal(signal.SIGHUP)
        # It goes on starting.
        eventually(lambda: up.pid_of("ui") is not None)
        folders = {folder for pid in up.children if (folder := working_folder(pid))}
        up.process.kill()
        eventually(lambda: not processes_of(up.home), seconds=20)
        assert len(folders) == 1
        eventually(lambda: not any(folder.exists() for folder in folders), seconds=5)


def seen_by(pid: int | None) -> set[str]:
    """The variables of a process."""
    lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {line.decode().partition("=")[0] for line in lines}


def working_folder(pid: int) -> Path | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink()
    return None


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_taken_port_is_said_before_anything_starts(
    option: str, start: Start, taken_port: int
) -> None:
    ports = {option.removeprefix("--").replace("-", "_"): taken_port}
    with start(**ports) as up:
        assert up.process.wait(60) == 2
        (sentence,) = up.log.read_text().splitlines()
    assert sentence.startswith(f"actuals: Port {taken_port} of 127.0.0.1 cannot be used")
    assert f"choose another with {option}" in sentence
    assert not up.home.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it must refuse them
def test_beyond_this_computer_both_ask_for_their_secrets(host: str, command: Command) -> None:
    without = ("up", "--host", host, "--port", str(free_port()))
    assert "ACTUALS_UI_PASSWORD is missing" in sentence_of(command(*without))
    half = command(*without, ACTUALS_UI_PASSWORD="x" * 16)
    assert "ACTUALS_API_TOKEN is missing" in sentence_of(half)
