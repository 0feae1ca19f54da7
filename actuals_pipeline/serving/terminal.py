"""How answers come onto a terminal, and what a program gets instead.

A person gets tables, colours and sentences that are broken where the screen ends.  A program (a
pipe, a file) gets each row and each sentence in one line, without lines, colours and blanks at the
end, so that `grep`, `cut` and `awk` find what they look for.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

_NAME_WIDTH = 40
"""Characters after which a name goes on in the next line, so that its figures stay in sight."""

_SENTENCE_WIDTH = 28
"""Characters of a column of sentences: four of them and a name are not much wider than a screen."""

_WORD_WIDTH = 9
"""Of the word that a statement begins with; the longest is `critical`."""

_BETWEEN_COLUMNS = (0, 2, 0, 0)
"""Blanks of a cell for a program: two on its right, so that names may have single ones in them."""

_ANY_WIDTH = 10_000

_STYLES = {
    "ok": "green",
    "warning": "bold yellow",
    "problem": "bold red",
    "critical": "bold red",
}


class Statement(NamedTuple):
    """A word of `_STYLES`, what it is about, and what is said of it."""

    word: str
    about: str
    sentence: str


def one_line(text: str) -> str:
    """`text` in one line, and nothing in it that a terminal would obey."""
    plain = " ".join(text.split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in plain)


def screen() -> Console:
    """What answers are written to: the terminal, or the program behind stdout."""
    return Console(highlight=False)


def say(console: Console, sentence: str, style: str = "") -> None:
    """One sentence."""
    text = Text(one_line(sentence), style=style)
    console.print(text, soft_wrap=not console.is_terminal)


def state(console: Console, statements: Sequence[Statement]) -> None:
    """Each statement: a row with its word in colour, or a line."""
    if not console.is_terminal:
        for word, about, sentence in statements:
            line = f"{word:<{_WORD_WIDTH}}{one_line(f'{about}: {sentence}')}"
            console.print(Text(line), soft_wrap=True)
        return
    table = Table(
        box=SIMPLE,
        show_header=False,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(no_wrap=True)
    table.add_column(max_width=_NAME_WIDTH, overflow="fold")
    table.add_column(overflow="fold")
    for word, about, sentence in statements:
        coloured = Text(word, style=_STYLES[word.lower()])
        table.add_row(coloured, Text(one_line(about)), Text(one_line(sentence)))
    console.print(table)


def new_table(
    title: str, first: str, *others: str, wide: Sequence[str] = (), show_header: bool = True
) -> Table:
    """A table without rules between columns, so that it fits into 80 characters.

    `others` hold figures, `wide` sentences, which go on in the next line.
    """
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=SIMPLE,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        show_header=show_header,
        min_width=len(title),
    )
    table.add_column(first, max_width=_NAME_WIDTH, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    for name in wide:
        table.add_column(name, max_width=_SENTENCE_WIDTH, overflow="fold")
    return table


def show(console: Console, table: Table) -> None:
    """Print `table` with no figure cut: too wide for the terminal, its lines run over the edge."""
    if not console.is_terminal:
        table.box, table.padding = None, _BETWEEN_COLUMNS
        for column in table.columns:
            column.max_width, column.no_wrap = None, True
    unbounded = console.options.update(max_width=_ANY_WIDTH)
    needed = Measurement.get(console, unbounded, table).maximum
    if console.is_terminal:
        Console(highlight=False, width=max(console.width, needed)).print(table)
        console.print()
        return
    drawn = io.StringIO()
    Console(file=drawn, highlight=False, width=needed).print(table)
    for line in drawn.getvalue().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


class _Rate(ProgressColumn):
    """Days a minute, as they have come lately."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{60 * task.speed:.1f} days/min", style="progress.data.speed")


@contextmanager
def progress_bar(
    title: str, total_days: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Any]:
    """A bar on stderr, where stderr is a terminal; yields `advance(days_done, description)`."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} days"),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        get_time=clock,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=total_days)

        def advance(days_done: float, description: str) -> None:
            shown = f"{title}: {description}" if description else title
            bar.update(task, completed=days_done, description=shown)

        yield advance
