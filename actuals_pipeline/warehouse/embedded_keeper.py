"""The processes that outlive their starters: the keeper of a server, and a holder for a shell.

`embedded.py` runs this file by its path with a bare interpreter, so it imports the standard
library only.

Everybody agrees through `flock` on files in the home, because the kernel releases such a lock
however a process ends:

    postgres.start     exclusive while somebody starts or stops the server; always taken first
    postgres.users     shared by each user; exclusive only means "there are no users"
    postgres.keeper    exclusive for the life of the keeper, which stops the server at the end
    postgres.running   exclusive for the life of the server: postgres and its workers inherit it

A lock is released by closing the file, never by LOCK_UN: that would also take it from children
which inherited it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypedDict

START_LOCK = "postgres.start"
USERS_LOCK = "postgres.users"
KEEPER_LOCK = "postgres.keeper"
RUNNING_LOCK = "postgres.running"

READY = "ready"

START_SECONDS = 30.0
FAST_STOP_SECONDS = 20.0
"""A fast shutdown writes a checkpoint; chosen: that takes well under a second on a laptop."""

POLL_SECONDS = 0.01

SETTLE_SECONDS = 1.0
"""After the command that a shell evaluates, what runs it (a subshell, `uv run`) has ended too."""

NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that say as whom a program runs; empty means as ourselves."""

    user: int
    group: int
    extra_groups: list[int]


class Orders(NamedTuple):
    """What a keeper must know; it travels as JSON in the keeper's arguments."""

    home: str
    data: str
    socket_directory: str
    program: str
    identity: Identity
    durable: bool


class Ancestor(NamedTuple):
    """A process that the caller descends from; `started` tells it from a later owner of `pid`."""

    pid: int
    started: str


class _Process(NamedTuple):
    parent: int
    session: int
    started: str


class Postmaster(NamedTuple):
    """A server as its `postmaster.pid` tells."""

    pid: int
    port: int
    socket_directory: str
    status: str


def lock(path: Path, operation: int) -> int:
    """Open `path` and lock it by `operation`; `BlockingIOError` if LOCK_NB finds it taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold `path` exclusively; yields the descriptor."""
    descriptor = lock(path, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path, *, by_anybody: bool = False) -> bool:
    """Whether a process holds `path` exclusively, or `by_anybody` in any way."""
    if not path.exists():
        return False
    try:
        os.close(lock(path, (fcntl.LOCK_EX if by_anybody else fcntl.LOCK_SH) | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def wait_until_free(path: Path, seconds: float) -> bool:
    """Whether the exclusive lock of `path` was released within `seconds`."""
    deadline = time.monotonic() + seconds
    while is_locked(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def read_postmaster(data: Path) -> Postmaster | None:
    """What `postmaster.pid` says, which a crash leaves behind; None if missing or half written.

    Lines: pid, data directory, start time, port, socket directory, address, shared memory, status
    (PostgreSQL 18, src/include/utils/pidfile.h).
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), lines[4], lines[7].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def accepts(server: Postmaster) -> bool:
    """Whether `server` said that it is ready and somebody listens on its socket."""
    address = f"{server.socket_directory}/.s.PGSQL.{server.port}"
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address)
        except OSError:
            return False
    return server.status == READY


def running_server(home: Path, data: Path) -> Postmaster | None:
    """The server of `home`, if it lives and takes connections."""
    if not is_locked(home / RUNNING_LOCK):
        return None
    server = read_postmaster(data)
    # One that was just killed listens for some milliseconds more, but is no program any more.
    if server is None or not _is_our_postgres(server.pid, data) or not accepts(server):
        return None
    return server


def stop_server(home: Path, data: Path, seconds: float = FAST_STOP_SECONDS) -> bool:
    """Stop the server of `home` if it runs; False if it would not stop.

    It gets `seconds` for each of an orderly and a hasty stop; after the latter it recovers when it
    starts again.  The caller holds the start lock.
    """
    for signal_number in (signal.SIGINT, signal.SIGQUIT):
        server = read_postmaster(data)
        if server is not None and _is_our_postgres(server.pid, data):
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal_number)
        deadline = time.monotonic() + seconds
        while is_locked(home / RUNNING_LOCK) or _has_stray(data):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def _has_stray(data: Path) -> bool:
    """Whether postgres serves `data`, also if the home was removed and the locks with it."""
    server = read_postmaster(data)
    return server is not None and _is_our_postgres(server.pid, data)


def _is_our_postgres(pid: int, data: Path) -> bool:
    """Whether `pid` is the postgres that serves `data`: the number may be another program's."""
    if not Path("/proc/self/cmdline").exists():
        command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        shown = subprocess.run(command, capture_output=True, check=False).stdout
        return b"/postgres -D %b -p " % bytes(data) in shown
    try:
        program, *rest = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program.endswith(b"/postgres") and rest[:2] == [b"-D", bytes(data)]


def _start_server(orders: Orders) -> str:
    """Start the server unless it runs; `READY` or the reason why it does not.  Needs start lock."""
    home, data = Path(orders.home), Path(orders.data)
    deadline = time.monotonic() + START_SECONDS
    process: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if process is None and not is_locked(home / RUNNING_LOCK):
            stop_server(home, data)
            process = _spawn_postgres(orders)
        if process is not None and process.poll() is not None:
            return f"postgres ended with {process.returncode}"
        if running_server(home, data) is not None:
            return READY
        time.sleep(POLL_SECONDS)
    if process is not None:
        process.send_signal(signal.SIGQUIT)
    return f"it was not ready within {START_SECONDS:.0f} seconds"


def _spawn_postgres(orders: Orders) -> subprocess.Popen[bytes]:
    """Run postgres with the running lock in its hands."""
    home, data = Path(orders.home), Path(orders.data)
    running_fd = lock(home / RUNNING_LOCK, fcntl.LOCK_EX)
    # What an earlier server left behind carries its process id.  If that is another program's by
    # now, or a zombie's, postgres would refuse to start; if it is nobody's, postgres knows best.
    left = read_postmaster(data)
    if left is not None and _exists(left.pid):
        (data / "postmaster.pid").unlink()
    for leftover in Path(orders.socket_directory).glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)
    settings = [
        "listen_addresses=",
        f"unix_socket_directories={orders.socket_directory}",
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
        *(() if orders.durable else NOT_DURABLE),
    ]
    command = [orders.program, "-D", orders.data, "-p", "5432"]
    for setting in settings:
        command += ["-c", setting]
    try:
        return subprocess.Popen(
            command,
            cwd="/",
            **orders.identity,
            stdin=subprocess.DEVNULL,
            pass_fds=(running_fd,),
            start_new_session=True,
        )
    finally:
        os.close(running_fd)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def keep_server(orders: Orders, report_fd: int, start_fd: int) -> None:
    """Start the server if need be, report to `report_fd`, then keep it to the end.

    `start_fd` is the caller's start lock, held here too until the report is out: it lasts even if
    the caller is killed meanwhile.
    """
    verdict = _start_server(orders)
    keeper_fd = None
    if verdict == READY:
        with suppress(BlockingIOError):
            keeper_fd = lock(Path(orders.home, KEEPER_LOCK), fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(report_fd, verdict.encode())
    os.close(report_fd)
    os.close(start_fd)
    if keeper_fd is not None:
        _outlast_the_users(orders, keeper_fd)
    with suppress(ChildProcessError):
        # Without this a container whose first process reaps nobody would collect zombies.
        os.wait()


def _outlast_the_users(orders: Orders, keeper_fd: int) -> None:
    """Stop the server when the last user is gone."""
    home, data = Path(orders.home), Path(orders.data)
    while home.exists():
        # Only to sleep until nobody uses the server.  Not kept while waiting for the start lock,
        # whose holder may be about to become a user and would wait for this one.
        with locked(home / USERS_LOCK):
            pass
        if not home.exists():
            break
        with locked(home / START_LOCK):
            try:
                users_fd = lock(home / USERS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            stop_server(home, data)
            with suppress(OSError):
                Path(orders.socket_directory).rmdir()
            os.close(users_fd)
            # Inside the start lock, or the next one to start could take this keeper for its own.
            os.close(keeper_fd)
            return
    # The home was removed, and nobody can find this server any more.
    stop_server(home, data)


def lineage() -> list[Ancestor]:
    """The calling process, then those of this session that it descends from, its parent first.

    Only this session's: what lies above, such as cron or sshd, lives on after the command and
    would hold the server for good.
    """
    chain = [Ancestor(os.getpid(), _started(os.getpid()))]
    pid, session = os.getppid(), os.getsid(0)
    while (found := _look_at(pid)) is not None and found.session == session:
        chain.append(Ancestor(pid, found.started))
        pid = found.parent
    return chain


def _started(pid: int) -> str:
    found = _look_at(pid)
    return found.started if found else ""


def _look_at(pid: int) -> _Process | None:
    """What is known of a living process; without /proc neither its parent nor its start is."""
    try:
        if not Path("/proc/self/stat").exists():
            return _Process(parent=0, session=os.getsid(pid), started="") if pid else None
        # The name, in parentheses, may itself hold spaces and parentheses (man 5 proc).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, _, session, *more = fields
    return None if state in "ZX" else _Process(int(parent), int(session), started=more[15])


def outlast(command: Ancestor, *above: Ancestor) -> None:
    """Sleep for as long as the first of those `above` lives that outlives the command itself.

    The users lock came with this process as an open file and goes with it.
    """
    # On a busy machine the command itself may take longer to end than what runs it.
    while _lives(command):
        time.sleep(POLL_SECONDS)
    time.sleep(SETTLE_SECONDS)
    shell = next((ancestor for ancestor in above if _lives(ancestor)), None)
    while shell is not None and _lives(shell):
        time.sleep(SETTLE_SECONDS)


def _lives(ancestor: Ancestor) -> bool:
    found = _look_at(ancestor.pid)
    return found is not None and found.started == ancestor.started


def main(role: str, orders: str, *descriptors: str) -> None:
    """Leave the caller's session, then be a keeper or a holder for a shell."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if role == "keep":
        report_fd, start_fd = map(int, descriptors)
        keep_server(Orders(**json.loads(orders)), report_fd, start_fd)
    else:
        outlast(*(Ancestor(*pair) for pair in json.loads(orders)))


if __name__ == "__main__":
    main(*sys.argv[1:])
