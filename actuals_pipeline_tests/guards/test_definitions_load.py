"""The code location loads with nothing running and nothing set, and Dagster finds it whole."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.settings import PROJECT_ROOT, Settings

LOAD = """
import json, os, sys

REACHES_OUT = {
    "os.link", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.symlink", "os.system",
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendmsg",
    "socket.sendto", "sqlite3.connect", "subprocess.Popen",
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
done = []

def note(event, arguments):
    if event in REACHES_OUT or (event == "open" and arguments[2] & WRITES):
        # platform.architecture(), which a library wants to know, asks the program `file`.
        if arguments[0] not in {"file", os.devnull}:
            done.append(f"{event} {arguments}")

sys.addaudithook(note)
from actuals_pipeline.definitions import defs
sys.stdout.write(json.dumps({
    "done": done,
    "jobs": [job.name for job in defs.jobs],
    # The SDK has a crash reporter that it likes to install.
    "excepthook": sys.excepthook is sys.__excepthook__,
}))
"""


def load(environment: Mapping[str, str], folder: Path) -> dict[str, object]:
    """Load the code location in a process of its own; what that did besides, and found."""
    loaded = subprocess.run(
        # No byte code: that Python writes by itself where it may.
        [sys.executable, "-B", "-c", LOAD],
        env={"HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stderr == ""
    answer: dict[str, object] = json.loads(loaded.stdout)
    return answer


def test_it_loads_in_an_empty_environment_and_does_nothing_besides(tmp_path: Path) -> None:
    jobs = [
        *("actuals_job", "single_ad_job", "health_job", "maintenance_job", "report_job"),
        "retrain_request",
    ]
    want = {"done": [], "jobs": jobs, "excepthook": True}
    assert load({}, tmp_path) == want
    assert list(tmp_path.iterdir()) == []


def test_it_loads_without_asking_meta_or_the_database_when_both_are_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # A connection waits in the queue of the listening socket for whoever accepts it.
        server.settimeout(0)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        environment = {
            "ACTUALS_HOME": str(tmp_path / "home"),
            "DATABASE_URL": f"postgresql://somebody:secret@{address}/actuals",
            "META_ACCESS_TOKEN": "some-token",
            "META_AD_ACCOUNT_ID": "act_42",
            "META_APP_SECRET": "some-secret",
            "META_GRAPH_URL": f"http://{address}",
        }
        assert load(environment, tmp_path)["done"] == []
        with pytest.raises(BlockingIOError):
            server.accept()
    assert list(tmp_path.iterdir()) == []


def test_every_definition_has_what_it_needs() -> None:
    dg.Definitions.validate_loadable(build_definitions(Settings.from_environment({})))


def test_workspace_yaml_leads_dagster_to_it(tmp_path: Path) -> None:
    # Another home than the project's own, whose dagster.yaml needs a database.
    (tmp_path / "dagster.yaml").touch()
    dagster = Path(sys.executable).with_name("dagster")
    validated = subprocess.run(
        [dagster, "definitions", "validate", "-w", PROJECT_ROOT / "workspace.yaml"],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)},
        # Dagster takes the working directory of workspace.yaml for one relative to its own.
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert validated.returncode == 0, validated.stderr
    said = validated.stdout + validated.stderr
    assert "Validation successful for code location actuals_pipeline." in said
