"""The HTTP interface on a real port over a real Postgres and the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from actuals_pipeline.serving.http.app import create_app
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.listening import listening
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.serving.conftest import eventually
from actuals_pipeline_tests.serving.up import free_port

TOKEN = "0123456789abcdef-of-the-interface"

FETCH = "/api/ml/actuals/fetch"
SYNC = "/api/ml/actuals/sync"
STATUS = "/api/ml/actuals/scheduler-status"
STATS = "/api/ml/actuals/stats"
SUMMARY = "/api/ml/actuals/summary"
ACCURACY = "/api/ml/accuracy"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Api:
    """A served interface."""

    url: str

    def get(self, path: str, **parameters: Any) -> Answer:
        return self.asked("GET", path, parameters)

    def post(self, path: str, **parameters: Any) -> Answer:
        return self.asked("POST", path, parameters)

    def asked(self, method: str, path: str, parameters: Any = None, **options: Any) -> Answer:
        got = requests.request(
            method, f"{self.url}{path}", params=parameters, timeout=120, **options
        )
        is_json = got.headers.get("Content-Type") == "application/json"
        body = json.loads(got.text, parse_float=Decimal) if is_json else got.text
        return Answer(
            got.status_code, body, {name.lower(): got.headers[name] for name in got.headers}
        )


Serve = Callable[..., AbstractContextManager[Api]]
Start = Callable[..., AbstractContextManager[tuple[subprocess.Popen[bytes], Api]]]


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[Api]:
    """The interface over an installation of these variables, in a thread of this process."""
    settings = Settings.from_environment(environment)
    installation = Installation(settings, environment, environment["DATABASE_URL"], None)
    with listening("127.0.0.1", 0, "", "") as listener:
        config = uvicorn.Config(create_app(installation), log_config=None, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started)
            yield Api("http://{}:{}".format(*listener.getsockname()))
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def serve(environment: dict[str, str]) -> Serve:
    """Serve the test's installation, with some variables changed."""

    def start(**variables: str) -> AbstractContextManager[Api]:
        return serving({**environment, **variables})

    return start


@pytest.fixture
def api(serve: Serve) -> Iterator[Api]:
    """The test's installation, served without a token."""
    with serve() as served:
        yield served


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """Start `actuals serve` in a process of its own, with some variables changed."""

    @contextmanager
    def served(**variables: str) -> Iterator[tuple[subprocess.Popen[bytes], Api]]:
        port = free_port()
        with (tmp_path / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "actuals_pipeline", "serve", "--port", str(port)],
                cwd=tmp_path,
                env={**os.environ, **environment, **variables},
                stdout=log,
                stderr=log,
            )
        api = Api(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "serve.log").read_text()
            with suppress(requests.ConnectionError):
                return api.get("/healthz").status == 200
            return False

        try:
            eventually(answers)
            yield process, api
        finally:
            process.kill()
            process.wait()

    return served
