"""`actuals doctor`: each check in its line, a failing one beside the others, and exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from actuals_pipeline.errors import WarehouseUnavailable
from actuals_pipeline.findings import Finding
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import STAND_IN_APP_ID, appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.serving import doctor, queries
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import embedded, embedded_place, schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Command, eventually, sentence_of

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)

OURS = ["database", "postgres_version", "schema", "schedule", "disk", "embedded_data"]
METAS = ["api_version", "graph_api", "clock", "token", "data_access", "scopes"]
OF_EACH_ACCOUNT = ["account_access", "account_status", "account_time_zone", "account_currency"]


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"META_APP_ID": STAND_IN_APP_ID}


@pytest.fixture
def installed(settings: Settings, database: str) -> Callable[..., dict[str, Finding]]:
    """The findings about this side by name, over the test's database unless told otherwise."""

    def found(**options: Any) -> dict[str, Finding]:
        options = {"open_database": lambda: nullcontext(database), "clock": lambda: NOW} | options
        return {each.name: each for each in doctor.installed(settings, **options)}

    return found


def answered(command: Command, *options: str, **variables: str) -> tuple[int, dict[str, Any]]:
    result = command("doctor", "--json", *options, **variables)
    assert not result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, answer


def test_every_problem_and_warning_of_a_broken_installation_says_what_to_do(
    command: Command, graph: GraphStandIn
) -> None:
    graph.faults.add(
        Fault({"error": {"code": 98765}}, kind="debug_token"),
        Fault({"error": {"code": 190}}, account_id="42", times=None),
        Fault({"merge": {"account_status": 101, "currency": "?", "timezone_name": "Mars"}}),
    )
    exit_code, answer = answered(
        command, DATABASE_URL="postgresql://127.0.0.1:1/x", META_API_VERSION="v23.0"
    )
    assert (exit_code, answer["status"]) == (2, "problem")
    wrong = [row for row in answer["findings"] if row["verdict"] != "ok"]
    assert len(wrong) > 5
    for row in wrong:
        assert re.search(r"\b(check|create|use|set|look|report|install|mend|let)\b",
                         row["advice"], re.IGNORECASE), row  # fmt: skip


def test_the_answer_has_exactly_its_keys_and_a_row_for_each_check(command: Command) -> None:
    exit_code, answer = answered(command)
    assert answer.keys() == {"status", "source", "checked_at", "findings", "deep"}
    assert [row["name"] for row in answer["findings"]] == [*METAS, *2 * OF_EACH_ACCOUNT, *OURS]
    assert {tuple(row) for row in answer["findings"]} == {
        ("name", "verdict", "seen", "advice", "subject")
    }
    not_ok = {row["name"]: row["verdict"] for row in answer["findings"] if row["verdict"] != "ok"}
    # Nobody started Dagster, which is no reason to fail.
    assert not_ok == {"schedule": "warning"}
    assert (exit_code, answer["status"], answer["source"]) == (0, "warning", "stand-in")
    assert answer["deep"] is None


def test_a_line_says_ok_or_what_to_do_and_a_problem_is_exit_code_2(
    command: Command, graph: GraphStandIn
) -> None:
    soon = int((datetime.now(UTC) + timedelta(days=3, hours=1)).timestamp())
    graph.faults.add(
        Fault({"merge": {"data": {"expires_at": soon}}}, kind="debug_token", times=None)
    )
    warned = command("doctor")
    assert warned.exit_code == 0
    lines = warned.stdout.splitlines()
    assert lines[0].startswith("STAND-IN DATA")
    assert lines[1].startswith("ok       api version: v26.0")
    (token,) = [line for line in lines if "token" in line]
    assert token.startswith("warning  token: valid until 20")
    assert token.endswith("3 days from now. Create a new system user token and put it "
                          "in META_ACCESS_TOKEN.")  # fmt: skip
    assert lines[-1] == "20 checks: 2 warnings."

    graph.faults.add(Fault({"merge": {"account_status": 2}}, account_id="43"))
    failed = command("doctor")
    assert failed.exit_code == 2
    assert "problem  account status act_43: DISABLED (2). Look at the account" in failed.stdout
    assert "20 checks: 1 problem, 2 warnings." in failed.stdout


def test_names_from_elsewhere_stay_in_their_line(command: Command, graph: GraphStandIn) -> None:
    scopes = {"data": {"scopes": ["ads_read", "[red]x\x1b[2J\nok"]}}
    graph.faults.add(Fault({"merge": scopes}, kind="debug_token"))
    lines = command("doctor").stdout.splitlines()
    assert len(lines) == 22
    (told,) = [line for line in lines if "scopes" in line]
    assert told == "ok       scopes: [red]x\N{REPLACEMENT CHARACTER}[2J ok, ads_read"


@pytest.mark.parametrize(
    ("variables", "broken"),
    [
        ({"META_ACCESS_TOKEN": ""}, {"token"}),
        ({"META_AD_ACCOUNT_ID": ""}, {"account_access"}),
        ({"DATABASE_URL": "postgresql://somebody:pass-word@127.0.0.1:1/x"}, {"database"}),
        ({"META_API_VERSION": "v23.0"}, {"api_version"}),
        ({"ACTUALS_STAND_IN": ""}, {"graph_api"}),
        (
            {"META_ACCESS_TOKEN": "", "DATABASE_URL": "postgresql://127.0.0.1:1/x"},
            {"token", "database"},
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_broken_or_missing_stops_no_other_check(
    variables: dict[str, str], broken: set[str], command: Command
) -> None:
    exit_code, answer = answered(command, **variables)
    verdicts = {row["name"]: row["verdict"] for row in answer["findings"]}
    assert (exit_code, answer["status"]) == (2, "problem")
    assert {name for name, verdict in verdicts.items() if verdict == "problem"} == broken
    assert {"api_version", "disk", "embedded_data"} <= verdicts.keys()
    assert ("clock" in verdicts) == ("META_ACCESS_TOKEN" not in variables)
    assert ("schedule" in verdicts) == ("DATABASE_URL" not in variables)
    assert "pass-word" not in json.dumps(answer)


def test_deep_measures_the_first_account_or_the_one_that_is_named(
    command: Command, graph: GraphStandIn
) -> None:
    exit_code, answer = answered(command, "--deep")
    assert exit_code == 0
    assert answer["deep"].keys() == {"account", "calls", "max_calls", "measurements"}
    assert (answer["deep"]["account"], answer["deep"]["max_calls"]) == ("act_42", 24)
    assert {tuple(row) for row in answer["deep"]["measurements"]} == {
        ("assumption", "assumed", "found", "verdict", "change")
    }
    graph.calls.clear()
    printed = command(
        "doctor", "--deep", "--account", "act_43", COLUMNS="120",
        ACTUALS_PURCHASE_ACTION_TYPE="omni_purchase,act_43=nothing",
    )  # fmt: skip
    assert {call.account_id for call in graph.calls if "insights" in call.kind} == {"43"}
    assert "Measured on act_43 with" in printed.stdout
    assert "of at most 24 calls" in printed.stdout
    # Sentences go on in the next line and are cut nowhere.
    assert "ACTUALS_PURCHASE_ACTION_TYPE" in printed.stdout
    assert "…" not in printed.stdout
    assert "at most 24 calls" in command("doctor", "--help").stdout


@pytest.mark.parametrize(
    ("options", "variables", "reason"),
    [
        (["--account", "act_999"], {}, "is no account of META_AD_ACCOUNT_ID"),
        (["--deep"], {"META_ACCESS_TOKEN": ""}, "META_ACCESS_TOKEN is missing"),
        ([], {"META_API_VERSION": "26"}, "META_API_VERSION cannot be used"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    options: list[str], variables: dict[str, str], reason: str, command: Command
) -> None:
    assert reason in sentence_of(command("doctor", *options, **variables))


def test_no_secret_is_printed(command: Command, graph: GraphStandIn) -> None:
    token, secret = "EAA" + "tokenThatMustNotLeak", "appSecretThatMustNotLeak"
    echo = {"code": 12345, "message": f"Malformed {token} of {secret}"}
    graph.faults.add(Fault({"error": echo}, times=None))
    for options in ([], ["--json"], ["--deep"], ["--deep", "--json"]):
        result = command(
            "-v", "doctor", *options, META_ACCESS_TOKEN=token, META_APP_SECRET=secret
        )  # fmt: skip
        assert "Malformed ***" in result.output
        for hidden in (token, secret, appsecret_proof(secret, token)):
            assert hidden not in result.output + result.stderr


@pytest.mark.parametrize(
    ("number", "verdict", "seen"),
    [
        (130_020, "problem", "13 is too old"),
        (140_000, "ok", "14"),
        (180_004, "ok", "18"),
        (190_000, "warning", "19, newer than what was tested"),
    ],
)
def test_the_version_of_postgres(number: int, verdict: str, seen: str) -> None:
    found = doctor.version_found(number)
    assert (found.verdict, found.seen, bool(found.advice)) == (verdict, seen, verdict != "ok")


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(5e9, "ok"), (4.99e9, "warning"), (1e9, "warning"), (0.99e9, "problem")],
)
def test_the_free_space_of_the_disk(
    free: float, verdict: str, installed: Callable[..., dict[str, Finding]], settings: Settings
) -> None:
    asked: list[Path] = []

    def free_bytes(folder: Path) -> int:
        asked.append(folder)
        return int(free)

    found = installed(free_bytes=free_bytes)["disk"]
    assert (found.verdict, bool(found.advice)) == (verdict, verdict != "ok")
    assert found.seen == f"{free / 1e9:,.1f} GB free for {settings.home}"
    assert set(asked) == {settings.home.parent}, "the home itself is not there yet"


def test_the_disk_of_data_that_lie_outside_of_the_home_counts_too(
    installed: Callable[..., dict[str, Finding]], settings: Settings
) -> None:
    outside = embedded_place._outside(settings.home) / "postgres"
    settings.home.mkdir()
    (settings.home / "postgres.location").write_text(f"{outside}\n")
    found = installed(free_bytes=lambda folder: 10**12 if folder == settings.home else 10)["disk"]
    assert (found.verdict, found.seen) == ("problem", f"0.0 GB free for {outside}")


def test_data_of_another_version_of_postgres_are_a_problem(
    installed: Callable[..., dict[str, Finding]], settings: Settings
) -> None:
    assert installed()["embedded_data"].seen == "none: DATABASE_URL is set"
    data = settings.home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    assert installed()["embedded_data"].seen == f"in {data}"
    (data / "PG_VERSION").write_text("17\n")
    found = installed()["embedded_data"]
    assert found.verdict == "problem"
    assert "was made by Postgres 17" in found.advice


def test_the_address_is_told_without_its_password(
    installed: Callable[..., dict[str, Finding]], database: str
) -> None:
    address = database.replace("postgres@", "postgres:pass-word@")
    found = installed(open_database=lambda: nullcontext(address))["database"]
    assert found.verdict == "ok"
    assert "postgresql://postgres" in found.seen
    assert "pass-word" not in found.seen


def test_a_disk_that_cannot_be_read_is_a_problem_of_its_own(
    installed: Callable[..., dict[str, Finding]],
) -> None:
    def broken(_folder: Path) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/home/x")

    found = installed(free_bytes=broken)
    assert (found["disk"].verdict, found["disk"].advice) == (
        "problem", "Give this user access to it, or repair it: Permission denied (/home/x).",
    )  # fmt: skip
    assert found["schema"].verdict == "ok"


def test_a_check_that_crashes_is_told_as_a_bug_and_stops_no_other(
    installed: Callable[..., dict[str, Finding]],
) -> None:
    def broken() -> datetime:
        raise ZeroDivisionError("postgresql://shop:hunter2@127.0.0.1/shop")

    found = installed(clock=broken)
    assert (found["schedule"].verdict, found["schedule"].advice) == (
        "problem", "This is a bug (ZeroDivisionError): report it.",
    )  # fmt: skip
    assert list(found) == OURS


def test_a_database_that_is_held_up_is_a_problem_after_a_while(
    installed: Callable[..., dict[str, Finding]], database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("LOCK actuals.schema_version IN ACCESS EXCLUSIVE MODE")
        before = time.monotonic()
        found = installed(answer_seconds=0.5)
        assert 0.5 <= time.monotonic() - before < 10
    assert found["schema"].verdict == "problem"
    assert "did not answer within 0.5 s: look at what holds it up" in found["schema"].advice
    assert {name for name, each in found.items() if each.verdict == "problem"} == {"schema"}
    assert list(found) == OURS


def test_a_schema_that_is_not_this_versions_is_a_problem(
    installed: Callable[..., dict[str, Finding]], database: str, empty_database: str
) -> None:
    newest = schema.revisions()[-1]
    good = installed()["schema"]
    assert (good.verdict, good.seen) == ("ok", f"at revision {newest}, this version's")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE actuals.schema_version SET version_num = '9999'")
    newer = installed()["schema"]
    assert newer.verdict == "problem"
    assert "install the newer version" in newer.advice
    empty = installed(open_database=lambda: nullcontext(empty_database))
    assert empty["schema"].verdict == "problem"
    assert "actuals db upgrade" in empty["schema"].advice
    assert empty["database"].verdict == "ok"
    assert empty["schedule"].verdict == "warning", "Dagster never used it"


def test_a_database_that_does_not_open_is_said_with_its_reason(
    installed: Callable[..., dict[str, Finding]],
) -> None:
    found = installed(open_database=gone)
    assert found.keys() == {"database", "disk", "embedded_data"}
    assert (found["database"].verdict, found["database"].advice) == (
        "problem", "It is gone: bring it back.",
    )  # fmt: skip


def gone() -> nullcontext[str]:
    raise WarehouseUnavailable("It is gone: bring it back.")


def ticked(minutes_ago: float, status: str = "SUCCESS") -> dict[str, Any]:
    return {"ticked_at": NOW - timedelta(minutes=minutes_ago), "status": status}


@pytest.mark.parametrize(
    ("state", "tick", "verdict", "seen"),
    [
        ("running", ticked(53), "ok", "on; last tick 53 min ago (success)"),
        ("running", ticked(53, "SKIPPED"), "ok", "on; last tick 53 min ago (skipped)"),
        ("running", None, "ok", "on; it has not ticked yet"),
        ("running", ticked(120), "ok", "on; last tick 2 h ago (success)"),
        ("running", ticked(121), "warning", "on, but last tick 2 h ago (success)"),
        ("running", ticked(1, "FAILURE"), "problem", "on; last tick 1 min ago (failure)"),
        ("no_daemon", ticked(4000), "warning", "not running; last tick 2 days ago (success)"),
        ("switched_off", None, "warning", "switched off; it has not ticked yet"),
    ],
)
def test_the_state_of_the_schedule(
    state: queries.ScheduleState, tick: dict[str, Any] | None, verdict: str, seen: str
) -> None:
    found = doctor.schedule_found(state, tick, NOW)
    assert (found.verdict, found.seen, bool(found.advice)) == (verdict, seen, verdict != "ok")


def test_the_last_tick_is_the_newest_of_that_schedule(
    warehouse: Warehouse, dagster_instance: dg.DagsterInstance
) -> None:
    assert queries.last_tick(warehouse, "hourly_actuals") is None
    schedule, sensor = InstigatorType.SCHEDULE, InstigatorType.SENSOR
    for kind, name, status, minutes in (
        (schedule, "hourly_actuals", TickStatus.SKIPPED, -60),
        (schedule, "hourly_actuals", TickStatus.SUCCESS, 0),
        (schedule, "daily_health", TickStatus.STARTED, 1),
        (sensor, "hourly_actuals", TickStatus.STARTED, 2),
    ):
        at = (NOW + timedelta(minutes=minutes)).timestamp()
        dagster_instance.create_tick(TickData("id", name, kind, status, at, run_ids=["run"]))
    assert queries.last_tick(warehouse, "hourly_actuals") == {"ticked_at": NOW, "status": "SUCCESS"}


@pytest.mark.usefixtures("in_own_folder")
def test_without_an_address_it_looks_at_the_embedded_server(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "actuals_pipeline", "doctor", "--json"],
        env={**os.environ, "ACTUALS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, "no token is set"
    found = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert found["database"]["verdict"] == found["schema"]["verdict"] == "ok"
    assert found["embedded_data"]["seen"].startswith("in ")
    (home / "postgres.location").write_text("/somewhere/else\n")
    broken = doctor.installed(Settings.from_environment({"ACTUALS_HOME": str(home)}), gone)
    assert {each.name: each.verdict for each in broken}["embedded_data"] == "problem"
    (home / "postgres.location").unlink()
    eventually(lambda: not embedded.server_is_running(home))


QUICK = """
import sys
from actuals_pipeline.serving.cli import main

try:
    main(["doctor", "--deep"], standalone_mode=False)
except SystemExit:
    pass
heavy = {"dagster", "pandas", "numpy", "sqlalchemy", "alembic"}
sys.exit(f"loaded: {sorted(heavy & sys.modules.keys())}")
"""


def test_it_starts_without_dagster_and_pandas(
    environment: dict[str, str], in_own_folder: None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUICK],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "loaded: []\n", done.stderr
    assert "Measured on act_42" in done.stdout
