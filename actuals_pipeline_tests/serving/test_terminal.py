"""What comes onto a real terminal of some width, and what a program gets of the same answers."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from actuals_pipeline.serving.printing import (
    print_alerts,
    print_doctor,
    print_stats,
    print_status,
    print_summary,
)
from actuals_pipeline.serving.terminal import progress_bar
from actuals_pipeline_tests.serving.test_printing import (
    STATS,
    STATUS,
    model,
    money,
    summary,
)

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
BOXES = re.compile("[\u2500-\u257f]")

ALERTS = {
    "open": [
        {
            "severity": "critical", "rule": "stale_actuals",
            "opened_at": "2026-03-08T06:00:00+00:00",
            "message": "Nothing came in for five hours, of any of the three accounts.",
            "advice": "Look at the last run in the UI.",
        }
    ],
    "waiting": [],
}  # fmt: skip
DOCTOR = {
    "source": None, "status": "problem", "deep": None,
    "findings": [
        {"name": "account_status", "subject": "act_43", "verdict": "problem",
         "seen": "DISABLED (2)", "advice": "Look at the account in Meta's Business settings."},
        {"name": "clock", "subject": "", "verdict": "ok", "seen": "agrees", "advice": ""},
    ],
}  # fmt: skip
ANSWERS: Mapping[str, tuple[Callable[[Any], None], dict[str, Any]]] = {
    "summary": (print_summary, summary(by_currency=[money(spend=45_290, revenue=116_175)])),
    "status": (print_status, STATUS),
    "stats": (print_stats, {"source": "meta", "stats": STATS}),
    "alerts": (print_alerts, ALERTS),
    "doctor": (print_doctor, DOCTOR),
}


def on_a_terminal(columns: int, act: Callable[[], object], name: str = "stdout") -> str:
    """What `act` writes to `name` where that is a terminal of so many columns, as it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    received: list[bytes] = []

    def receive() -> None:
        while True:
            try:
                received.append(os.read(ours, 65_536))
            except OSError:
                return

    reader = Thread(target=receive)
    reader.start()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
            patch.delenv(variable, raising=False)
        patch.setenv("TERM", "xterm-256color")
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            patch.setattr(sys, name, terminal)
            act()
    reader.join()
    os.close(ours)
    return b"".join(received).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ANSWERS)
def test_on_a_terminal_no_line_is_wider_than_it(name: str, columns: int) -> None:
    printer, answer = ANSWERS[name]
    printed = on_a_terminal(columns, lambda: printer(answer))
    lines = ANSI.sub("", printed).splitlines()
    assert max(map(len, lines)) <= columns
    assert ANSI.search(printed), "nothing stands out"


@pytest.mark.parametrize("name", ANSWERS)
def test_a_program_gets_each_row_in_one_plain_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printer, answer = ANSWERS[name]
    printer(answer)
    printed = capsys.readouterr().out
    assert not ANSI.search(printed)
    assert not BOXES.search(printed)
    assert not [line for line in printed.splitlines() if line != line.rstrip()]


def test_a_program_finds_sentences_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for printer, answer in (ANSWERS["alerts"], ANSWERS["doctor"]):
        printer(answer)
    printed = capsys.readouterr().out.splitlines()
    assert (
        "CRITICAL stale_actuals: Nothing came in for five hours, of any of the three accounts. "
        "Look at the last run in the UI. Since 2026-03-08 06:00 UTC."
    ) in printed
    advice = "Look at the account in Meta's Business settings."
    assert f"problem  account status act_43: DISABLED (2). {advice}" in printed


def test_without_colours_the_words_say_the_same() -> None:
    def colourless() -> None:
        os.environ["NO_COLOR"] = "1"
        try:
            print_doctor(DOCTOR)
        finally:
            del os.environ["NO_COLOR"]

    printed = on_a_terminal(80, colourless)
    colours = re.findall(r"\x1b\[[0-9;]*m", printed)
    assert not [each for each in colours if re.search(r"[\[;][349][0-7]", each)]
    assert re.search(r"problem +account status act_43 +DISABLED", ANSI.sub("", printed))


def test_figures_stand_under_each_other() -> None:
    rows = [money(), money(currency="JPY", spend=1_788_245, revenue=5_558_482, cpa=3_598.08)]
    printed = ANSI.sub("", on_a_terminal(80, lambda: print_summary(summary(by_currency=rows))))
    head, eur, jpy = (
        next(line for line in printed.splitlines() if line.startswith(start))
        for start in ("   ", "EUR", "JPY")
    )
    for name, low, high in (("spend", "250", "1,788,245"), ("CPA", "5.56", "3,598.08")):
        ends = {
            head.index(name) + len(name),
            eur.index(low) + len(low),
            jpy.index(high) + len(high),
        }
        assert len(ends) == 1, name


def test_a_long_name_does_not_push_its_figures_out_of_sight() -> None:
    named = summary(models=[model(model_name="x" * 300)])
    printed = ANSI.sub("", on_a_terminal(80, lambda: print_summary(named)))
    assert max(map(len, printed.splitlines())) <= 100
    assert printed.count("x") >= 2 * 300, "in the table and below it"


def test_progress_tells_the_rate_and_the_time_left_and_a_program_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def backfill() -> None:
        now = 0.0
        with progress_bar("backfill", 30, lambda: now) as advance:
            for day in range(1, 16):
                now = 4.0 * day
                advance(day, "ad_actuals")

    printed = on_a_terminal(120, backfill, "stderr")
    (*_, last) = [line for line in re.split(r"[\r\n]", ANSI.sub("", printed)) if line.strip()]
    assert "backfill: ad_actuals" in last
    assert "50%" in last
    assert "15/30 days" in last
    assert "15.0 days/min" in last
    assert re.search(r"0:01:00 +0:01:00", last), "taken so far, and left"
    backfill()
    assert capsys.readouterr().err == ""


def test_an_answer_that_cannot_be_written_is_told_in_a_sentence(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "actuals_pipeline", "predictions", "verify"],
            env={**os.environ, **environment},
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    told = "actuals: the answer cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, told)
