"""A log per process: nothing is lost by rotating, nothing in it moves a cursor."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from actuals_pipeline.serving.child_processes import (
    LONGEST_PAUSE_SECONDS,
    ChildProcess,
    Place,
    Plan,
)
from actuals_pipeline.serving.process_logs import ProcessLog
from actuals_pipeline_tests.serving.conftest import eventually


def piped(log: ProcessLog, text: bytes) -> None:
    """Let `log` read `text` from a pipe, to its end."""
    reading, writing = os.pipe()
    thread = log.follow(os.fdopen(reading, "rb"))
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(text)
    thread.join(10)
    assert not thread.is_alive()


def opened(path: Path) -> ProcessLog:
    return ProcessLog(path, most_bytes=100, kept=3)


def test_lines_are_kept_in_files_of_a_limited_size_and_number(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "daemon.log"
    log = opened(path)
    # Twice, as of a process and of the one that took its place.
    piped(log, b"".join(b"line %03d\n" % number for number in range(40)))
    piped(log, b"".join(b"line %03d\n" % number for number in range(40, 50)))
    files = sorted(path.parent.iterdir(), reverse=True)
    assert [each.name for each in files] == [
        "daemon.log.3", "daemon.log.2", "daemon.log.1", "daemon.log",
    ]  # fmt: skip
    assert all(each.stat().st_size <= 100 for each in files)
    lines = "".join(each.read_text() for each in files).splitlines()
    assert lines == [f"line {number:03}" for number in range(50 - len(lines), 50)]
    assert len(lines) > 30
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # A later start goes on in the same file.
    log.close()
    log = opened(path)
    piped(log, b"after\n")
    log.close()
    assert path.read_text().endswith("after\n")


def test_a_file_that_cannot_be_begun_holds_nobody_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "daemon.log"
    log = opened(path)
    # As where there is no room for a new one.
    away = path.parent.rename(tmp_path / "away")
    piped(log, b"line\n" * 40)
    assert "daemon.log" in capsys.readouterr().err
    away.rename(path.parent)
    piped(log, b"after\n")
    log.close()
    assert path.read_text().endswith("after\n")


def test_what_a_terminal_would_obey_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ui.log"
    hostile = b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \rover \x08back \x1b[2Jgone\ttab \xff\n"
    log = ProcessLog(path, echoed=True)
    piped(log, hostile + b"no end of line")
    log.close()
    written = path.read_bytes()
    assert written == b"red ]0;title over back gone\ttab \xff\nno end of line"
    shown = capsys.readouterr().err
    assert shown.startswith("ui: red ]0;title over back gone\ttab \N{REPLACEMENT CHARACTER}\n")


def test_what_ends_again_and_again_is_started_ever_later(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", "print('so'); raise SystemExit(3)"]
    log = ProcessLog(tmp_path / "daemon.log")
    process = ChildProcess(Plan("daemon", command, frozenset()), log)
    place = Place(tmp_path, {}, [])
    pauses = []
    for _ in range(8):
        process.start(place)
        assert process.running is not None
        process.running.wait(30)
        end = process.ended()
        assert end is not None
        assert str(end) == "ended with exit code 3"
        pauses.append(end.pause_seconds)
        assert not process.may_start
        assert process.ended() is None
    assert pauses == [1, 2, 4, 8, 16, 32, 60, LONGEST_PAUSE_SECONDS]
    assert process.restarts == 8
    eventually(lambda: log.path.read_text() == "so\n" * 8)
    log.close()
