"""Commands that fail in every way, each a process of its own, leave no secret anywhere.

Looked through is all that they leave: what they print, every file of the home (Dagster's compute
logs and the server's log among them), every value of every table, the arguments of every process
while it runs, and what Dagster's UI answers.  Everything logs at DEBUG: Python in each process,
into a file and to stderr, and Postgres, which writes down each statement.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import STAND_IN_APP_ID, appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import embedded
from actuals_pipeline.warehouse.embedded_place import data_directory
from actuals_pipeline.warehouse.urls import dagster_url
from actuals_pipeline_tests import left_behind
from actuals_pipeline_tests.left_behind import Text, WatchedProcesses

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

# Nothing of this machine can hold these by chance, and no way of quoting changes their cores.
CORES = {name: uuid4().hex for name in ("token", "secret", "password", "wrong password")}
TOKEN = f"EAAB|{CORES['token']}"
SECRET = CORES["secret"]
PASSWORD = f"p@ss/w:rd#{CORES['password']}"
WRONG_PASSWORD = f"w%/{CORES['wrong password']}"
NEEDLES = {
    **CORES,
    "signature": appsecret_proof(SECRET, TOKEN),
    "signature of the app": appsecret_proof(SECRET, f"{STAND_IN_APP_ID}|{SECRET}"),
}

ADDRESS = (
    f"/v26.0/act_1?access_token={quote(TOKEN, safe='')}&appsecret_proof={NEEDLES['signature']}"
)


def raw_answer(length: str, *headers: str, body: str) -> Mapping[str, object]:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *headers])
    return {"raw_answer": f"{head}\r\n\r\n{body}"}


FAILURES: Mapping[str, Mapping[str, object]] = {
    # The first decides how the whole step fails; that one is not repeated.
    "51": {"error": {"code": 99999, "message": f"Malformed access token {TOKEN} of {SECRET}"}},
    "52": {"raw_body": f"<html>{ADDRESS} {TOKEN}</html>", "status": 502},
    "53": {"raw_body": "", "status": 302, "headers": {"Location": f"https://elsewhere{ADDRESS}"}},
    "54": raw_answer("2", f"X-Echo {TOKEN}", f"X-Address: {ADDRESS}", body="{}"),
    "55": raw_answer("9999", body=ADDRESS),
    "56": {"drop_connection": True},
}
"""What the stand-in answers about each account."""

QUOTED = "Malformed access token *** of ***"
FATES = {
    "51": QUOTED,
    "52": "Meta answered HTTP 502",
    "53": "Meta answered HTTP 302",
    "54": "account_id is None",
    "55": "could not be reached (ChunkedEncodingError)",
    "56": "could not be reached (ConnectionError)",
}
"""What is told of each account."""

READS_NO_HEADER = Fault({"error": {"code": 104}}, via="header", times=None)

EVERYTHING_IS_LOGGED = """
import atexit, json, logging, os, sys, threading
from pathlib import Path

logs = Path(os.environ["ACTUALS_HOME"], "logs")
logs.mkdir(parents=True, exist_ok=True)
logging.basicConfig(
    level=logging.DEBUG,
    format="%(name)s %(levelname)s %(message)s",
    handlers=[logging.FileHandler(logs / f"debug-{os.getpid()}.log"), logging.StreamHandler()],
)

before = sys.excepthook, threading.excepthook

def tell_of_the_hooks():
    is_as_before = (sys.excepthook, threading.excepthook) == before
    (logs / f"hooks-{os.getpid()}.json").write_text(json.dumps(is_as_before))

atexit.register(tell_of_the_hooks)
"""
"""Python runs it first in each process, as `sitecustomize`."""

LAUNCH = """
mutation ($tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "actuals_pipeline",
      repositoryName: "__repository__",
      jobName: "actuals_job"
    },
    runConfigData: {},
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""

SHOWN = """
query ($run: ID!) {
  instance { info daemonHealth { allDaemonStatuses { daemonType healthy } } }
  runOrError(runId: $run) {
    ... on Run {
      status runConfigYaml
      eventConnection(limit: 1000) { events {
        __typename
        ... on MessageEvent { message }
        ... on ExecutionStepFailureEvent {
          error { message stack errorChain { error { message stack } } }
        }
      } }
    }
  }
  topLevelResourceDetailsOrError(resourceSelector: {
    repositoryLocationName: "actuals_pipeline", repositoryName: "__repository__",
    resourceName: "meta"
  }) { ... on ResourceDetails { configuredValues { key type value } } }
}
"""


@dataclass
class Installation:
    """A home with a database of its own that asks for a password, and what it has shown so far."""

    home: Path
    folder: Path
    server: embedded.EmbeddedPostgres
    graph: GraphStandIn
    proxy: int
    told: dict[str, bytes] = field(default_factory=dict)

    def database_url(self, password: str = PASSWORD, database: str = "actuals") -> str:
        """The database's address as the operator who needs a password."""
        place = quote(str(self.server.socket_directory), safe="")
        user = f"operator:{quote(password, safe='')}"
        return f"postgresql://{user}@/{database}?host={place}&port={self.server.port}"

    @property
    def as_superuser(self) -> str:
        """The database's address for the test itself."""
        return self.server.url("actuals")

    def environment(self, **changed: str) -> dict[str, str]:
        """The variables of a process of this installation."""
        outside = f"http://127.0.0.1:{self.proxy}"
        ours = ("META_", "ACTUALS_", "DAGSTER_", "DATABASE_URL")
        return {
            **{name: text for name, text in os.environ.items() if not name.startswith(ours)},
            "ACTUALS_HOME": str(self.home),
            "ACTUALS_STAND_IN": "1",
            "DATABASE_URL": self.database_url(),
            "META_ACCESS_TOKEN": TOKEN,
            "META_AD_ACCOUNT_ID": ",".join(FAILURES),
            "META_APP_ID": STAND_IN_APP_ID,
            "META_APP_SECRET": SECRET,
            "META_GRAPH_URL": self.graph.url,
            "PYTHONPATH": str(self.folder / "site"),
            "TMPDIR": str(self.home / "tmp"),
            "HTTP_PROXY": outside,
            "HTTPS_PROXY": outside,
            "NO_PROXY": "127.0.0.1,localhost",
            **changed,
        }

    def run(self, name: str, *command: str, exit_code: int, **changed: str) -> None:
        """Run a command to its end; what it prints is kept under `name`."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**changed),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
        self.told[f"output of {name}"] = ended.stdout + ended.stderr
        assert ended.returncode == exit_code, ended.stderr[-3000:].decode()

    def actuals(self, name: str, *arguments: str, exit_code: int, **changed: str) -> None:
        """Run the command line."""
        command = (sys.executable, "-m", "actuals_pipeline", *arguments)
        self.run(name, *command, exit_code=exit_code, **changed)

    def fails_as(self, *first: Fault) -> None:
        """Let the accounts fail in their ways, after what `first` does to a call."""
        self.graph.faults.clear()
        self.graph.faults.add(*first)
        for account_id, effect in FAILURES.items():
            self.graph.faults.add(Fault(effect, account_id=account_id, times=None))

    def everything(self) -> Iterator[Text]:
        """All that was left behind."""
        yield from self.told.items()
        yield from left_behind.of_tables(self.as_superuser)
        yield from left_behind.of_files(self.home, data_directory(self.home), self.folder)


@pytest.fixture
def proxy() -> Iterator[socket.socket]:
    """What stands between an installation and the world outside of this computer; it is silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.fixture
def installation(proxy: socket.socket) -> Iterator[Installation]:
    """A home and a database that ask for a password, and nothing run yet."""
    accounts = [
        AccountPlan(each, f"Account {each}", "EUR", "Europe/Berlin", 2) for each in FAILURES
    ]
    world = World(now=datetime.now(UTC), accounts=accounts)
    with ExitStack() as stack:
        # Not tmp_path, into which the server's account may not go when the tests run as root.
        home = Path(tempfile.mkdtemp(prefix="actuals-secrets-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o711)
        folder = home / "works here"
        for each in (folder / "site", home / "tmp"):
            each.mkdir(parents=True)
        (folder / "site" / "sitecustomize.py").write_text(EVERYTHING_IS_LOGGED)
        server = stack.enter_context(embedded.hold(home / "server", durable=False))
        stack.callback(embedded.stop, home / "server")
        graph = stack.enter_context(running_stand_in(world, access_token=TOKEN, app_secret=SECRET))
        here = Installation(home, folder, server, graph, proxy.getsockname()[1])
        ask_for_a_password(server)
        yield here


def ask_for_a_password(server: embedded.EmbeddedPostgres) -> None:
    """Make the account `operator`, let it in by its password alone, and log every statement."""
    embedded.ensure_database(server, "actuals")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        # What Postgres is told is a hash: the password itself would be in its log.
        verifier = connection.pgconn.encrypt_password(
            PASSWORD.encode(), b"operator", b"scram-sha-256"
        )
        create = sql.SQL("CREATE ROLE operator SUPERUSER LOGIN PASSWORD {}")
        connection.execute(create.format(sql.Literal(verifier.decode())))
        (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        path = Path(rules)
        path.write_text(f"local all operator scram-sha-256\n{path.read_text()}")
        for name, value in (("log_statement", "all"), ("log_connections", "all")):
            command = sql.SQL("ALTER SYSTEM SET {} = {}")
            connection.execute(command.format(sql.Identifier(name), sql.Literal(value)))
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def failed(installation: Installation) -> tuple[Installation, WatchedProcesses]:
    """The installation after every failure, and what its processes have shown."""
    here = installation
    here.actuals("db upgrade", "db", "upgrade", exit_code=0)
    with WatchedProcesses() as watched, ThreadPoolExecutor() as pool:
        # Asks nothing of Meta, and so can go on beside the others.
        beside = pool.submit(the_database_lets_nobody_in, here)
        meta_fails(here)
        meta_fails_and_reads_no_header(here)
        nobody_is_there(here)
        a_step_crashes(here)
        the_installation_is_ill(here)
        a_run_of_the_service_fails(here)
        beside.result()
    return here, watched


def meta_fails(here: Installation) -> None:
    here.fails_as()
    here.actuals("sync", "-v", "sync", exit_code=1)
    ad = here.graph.world.ads("51")[0]
    here.actuals("fetch", "fetch", ad.ad_id, exit_code=1)


def meta_fails_and_reads_no_header(here: Installation) -> None:
    here.fails_as(READS_NO_HEADER)
    materialize(here, "dagster by hand")


def materialize(here: Installation, name: str, **changed: str) -> None:
    """Run Dagster by hand, with all that Python logs in its event log too."""
    own = here.folder / "dagster"
    own.mkdir(exist_ok=True)
    logs = {"managed_python_loggers": ["root"], "python_log_level": "DEBUG"}
    told = (PROJECT_ROOT / "dagster.yaml").read_text()
    (own / "dagster.yaml").write_text(f"{told}\npython_logs: {json.dumps(logs)}\n")
    python, today = shlex.quote(sys.executable), datetime.now(UTC).date()
    script = (
        f'set -e; eval "$({python} -m actuals_pipeline env)"; '
        f'DAGSTER_PG_URL="${{OTHER_PG_URL:-$DAGSTER_PG_URL}}" DAGSTER_HOME="$PWD/dagster" '
        f"exec {python} -m dagster asset materialize -m actuals_pipeline.definitions "
        f"--select group:meta --partition {today}"
    )
    here.run(name, "/bin/sh", "-c", script, exit_code=1, **changed)


def nobody_is_there(here: Installation) -> None:
    # Over the embedded server, as whoever has no database of one's own.
    here.actuals(
        "sync of nobody", "sync", exit_code=1,
        META_GRAPH_URL="http://127.0.0.1:1", DATABASE_URL="",
        ACTUALS_HOME=str(here.home / "server"),
    )  # fmt: skip


def the_database_lets_nobody_in(here: Installation) -> None:
    wrong = here.database_url(WRONG_PASSWORD)
    unknown = here.database_url(database="unknown")
    for name, url in (("wrong password", wrong), ("unknown database", unknown)):
        here.actuals(f"status, {name}", "status", exit_code=2, DATABASE_URL=url)
    here.actuals("db upgrade, wrong password", "db", "upgrade", exit_code=2, DATABASE_URL=wrong)
    here.actuals("up, wrong password", "up", exit_code=2, DATABASE_URL=wrong)
    materialize(here, "dagster by hand, wrong password", OTHER_PG_URL=dagster_url(wrong))


def a_step_crashes(here: Installation) -> None:
    here.graph.faults.clear()
    here.graph.faults.add(READS_NO_HEADER)
    with psycopg.connect(here.as_superuser, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.crash() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'nobody expects this crash'; END$$"
        )
        connection.execute(
            "CREATE TRIGGER crash BEFORE INSERT ON actuals.fetch_log "
            "EXECUTE FUNCTION public.crash()"
        )
        here.actuals("sync that crashes", "sync", exit_code=1)
        connection.execute("DROP FUNCTION public.crash() CASCADE")


def the_installation_is_ill(here: Installation) -> None:
    here.fails_as(READS_NO_HEADER, Fault(FAILURES["51"], kind="debug_token", times=None))
    here.actuals("doctor", "doctor", "--deep", "--json", exit_code=2)


def a_run_of_the_service_fails(here: Installation) -> None:
    """`actuals up`, a run that the UI asks for, and what the UI shows of it."""
    here.fails_as(READS_NO_HEADER)
    with served(here) as asked:
        tags = [
            {"key": f"dagster/asset_partition_range_{end}", "value": str(datetime.now(UTC).date())}
            for end in ("start", "end")
        ]
        launched = asked(LAUNCH, tags=tags)["launchRun"]
        run = launched["run"]["runId"]
        deadline = time.monotonic() + 240
        while (shown := asked(SHOWN, run=run))["runOrError"]["status"] != "FAILURE":
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)
        here.told["UI"] = json.dumps(shown).encode()


@contextmanager
def served(here: Installation) -> Iterator[Callable[..., Any]]:
    """`actuals up` until the block ends; gives what asks its UI."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "actuals_pipeline", "-v", "up"]
    command += ["--no-http", "--port", str(port)]

    def asked(query: str, **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["data"]

    log = here.folder / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            command, cwd=here.folder, env=here.environment(), stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 240
        while True:
            assert up.poll() is None, log.read_text()
            with suppress(OSError):
                asked("{ version }")
                break
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield asked
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def found(here: Installation, *needles: str) -> list[str]:
    """The places in which one of the needles is."""
    return [
        where
        for where, text in here.everything()
        if any(needle.encode() in text for needle in needles)
    ]


def test_no_failure_leaves_a_secret_behind(
    failed: tuple[Installation, WatchedProcesses], proxy: socket.socket
) -> None:
    """One test, since what it looks at takes long to bring about."""
    here, watched = failed
    no_secret_is_left_anywhere(here, watched)
    what_is_searched_is_where_the_secrets_would_be(here, watched)
    a_traceback_tells_of_no_frames_locals(here)
    no_process_changed_what_python_does_about_crashes_or_called_out(here, proxy)


def no_secret_is_left_anywhere(here: Installation, watched: WatchedProcesses) -> None:
    assert found(here, *NEEDLES.values()) == []
    shown = b"\n".join(watched.shown)
    assert [name for name, needle in NEEDLES.items() if needle.encode() in shown] == []


def what_is_searched_is_where_the_secrets_would_be(
    here: Installation, watched: WatchedProcesses
) -> None:
    told = {where: text.decode(errors="replace") for where, text in here.everything()}
    files = {
        kind: "".join(text for where, text in told.items() if Path(where).match(kind))
        for kind in ("compute_logs/*.err", "debug-*.log", "up.log", "postgres.log")
    }
    # Each account failed as it should, wherever its token was.
    for place in ("output of sync", "output of dagster by hand", "actuals.fetch_log",
                  "dagster.event_logs", "debug-*.log", "compute_logs/*.err"):  # fmt: skip
        for fate in FATES.values():
            assert fate in (files | told)[place], place
    for place in ("UI", "output of fetch", "output of doctor", "up.log"):
        assert QUOTED in (files | told)[place], place
    # urllib3 told of its calls at DEBUG, also Dagster's own event log, and of malformed headers.
    for place in ("output of dagster by hand", "dagster.event_logs", "debug-*.log", "up.log"):
        for line in ("access_token=***", "Failed to parse headers", "unparsed data"):
            assert line in (files | told)[place], place
    # Crashes were told with their tracebacks.
    assert "nobody expects this crash" in told["output of sync that crashes"]
    for line in ("nobody expects this crash", "orchestration/assets.py", "append(connection"):
        assert line in told["dagster.event_logs"]
    by_hand = told["output of dagster by hand, wrong password"]
    assert "Traceback (most recent call last)" in by_hand
    assert by_hand.count('password authentication failed for user "operator"') > 1
    # The server wrote down statements and who came in.
    for line in ("INSERT INTO event_logs", "operator", "password authentication failed"):
        assert line in files["postgres.log"]
    shown = b"\n".join(watched.shown).replace(b"\0", b" ").decode()
    for process in ("actuals_pipeline sync", "actuals_pipeline -v up", "orchestration.webserver",
                    "dagster._daemon", "api grpc", "asset materialize",
                    "postgres: operator actuals"):  # fmt: skip
        assert process in shown, process


def test_the_search_finds_a_secret_wherever_it_is(installation: Installation) -> None:
    here = installation
    deep = here.home / "dagster" / "deep" / "er"
    want = {
        "a file": str(deep / "step.err"),
        "a packed file": str(deep / "step.err.gz"),
        "a small database": str(deep / "runs.db"),
        "a text": "planted.rows",
        "a packed value": "planted.rows",
        "JSON": "planted.rows",
        "a list": "planted.rows",
        "output": "output of planting",
        "the server's log": str(here.home / "server" / "logs" / "postgres.log"),
    }
    marks = {kind: f"planted-{uuid4().hex}" for kind in (*want, "arguments")}
    deep.mkdir(parents=True)
    Path(want["a file"]).write_bytes(b"\xff" + marks["a file"].encode())
    Path(want["a packed file"]).write_bytes(gzip.compress(marks["a packed file"].encode()))
    with closing(sqlite3.connect(want["a small database"])) as small, small:
        small.execute("CREATE TABLE runs (body TEXT)")
        small.execute("INSERT INTO runs VALUES (?)", [marks["a small database"]])
    with psycopg.connect(here.as_superuser) as connection:
        connection.execute("CREATE SCHEMA planted")
        columns = sql.SQL("CREATE TABLE planted.rows (a text, b bytea, c jsonb, d text[])")
        connection.execute(columns)
        connection.execute(
            "INSERT INTO planted.rows VALUES (%s, %s, %s, %s)",
            [
                marks["a text"],
                zlib.compress(marks["a packed value"].encode()),
                json.dumps({"a": [marks["JSON"]]}),
                [marks["a list"]],
            ],
        )
        connection.execute(sql.SQL("SELECT {}").format(sql.Literal(marks["the server's log"])))
    here.told["output of planting"] = marks["output"].encode()
    for kind, where in want.items():
        assert where in found(here, marks[kind]), kind

    command = [sys.executable, "-c", "import time; time.sleep(60)", marks["arguments"]]
    with WatchedProcesses() as watched, subprocess.Popen(command) as process:
        watched.wait_for(marks["arguments"])
        process.kill()


def a_traceback_tells_of_no_frames_locals(here: Installation) -> None:
    engine = create_engine(dagster_url(here.database_url(WRONG_PASSWORD)))
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    whole = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    frame = 'psycopg2/__init__.py", line '
    assert CORES["wrong password"] in whole
    assert frame in whole
    # The same frame is in what Dagster printed, without what it held.
    assert frame in here.told["output of dagster by hand, wrong password"].decode()


def no_process_changed_what_python_does_about_crashes_or_called_out(
    here: Installation, proxy: socket.socket
) -> None:
    hooks = [json.loads(path.read_text()) for path in here.home.rglob("hooks-*.json")]
    assert len(hooks) > 15
    assert all(hooks)
    proxy.settimeout(0)
    with pytest.raises(BlockingIOError):
        proxy.accept()

    # Both would have been noticed.
    script = (
        "from facebook_business.api import FacebookAdsApi\n"
        "from facebook_business.exceptions import FacebookError\n"
        "FacebookAdsApi.init('1', 'some-secret', 'some-token')\n"
        "class FacebookRequestError(FacebookError): pass\n"
        "raise FacebookRequestError('a crash')"
    )
    other = here.home / "another"
    environment = here.environment(ACTUALS_HOME=str(other))
    proxy.settimeout(30)
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(1000).startswith(b"CONNECT graph.facebook.com:443")
        assert process.wait(30) == 1
    assert [json.loads(path.read_text()) for path in other.rglob("hooks-*.json")] == [False]
