"""Serve the stand-in in the foreground: `python -m actuals_pipeline.graph_stand_in`."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

import click

from actuals_pipeline.graph_stand_in.server import running_stand_in
from actuals_pipeline.graph_stand_in.world import World


def _instant(_context: click.Context, _param: click.Parameter, text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("write an instant such as 2026-03-07T12:00:00+00:00") from None
    if instant.tzinfo is None:
        raise click.BadParameter("the instant needs an offset, such as +00:00")
    return instant


@click.command()
@click.option("--port", default=0, help="Port on the loopback address; 0 takes a free one.")
@click.option("--seed", default=7, help="Another seed invents another world.")
@click.option("--now", callback=_instant, help="The world's clock at the start; default: now.")
@click.option(
    "--clock",
    type=click.Choice(["real", "fixed"]),
    default="real",
    help="Whether the world's clock runs or stands until it is set.",
)
def main(port: int, seed: int, now: datetime, clock: str) -> None:
    """Serve a Graph API stand-in until SIGTERM or SIGINT; one line of JSON says where it is."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    world = World(seed=seed, now=now)
    with running_stand_in(
        world, port=port, clock=_running_from(now) if clock == "real" else None
    ) as stand_in:
        ready = {
            "url": stand_in.url,
            "access_token": stand_in.access_token,
            "app_secret": stand_in.app_secret,
            "account_ids": world.account_ids,
        }
        click.echo(json.dumps(ready))
        stopped.wait()


def _running_from(start: datetime) -> Callable[[], datetime]:
    """A clock that shows `start` now and runs at the speed of the real one."""
    ahead = start - datetime.now(UTC)
    return lambda: datetime.now(UTC) + ahead


if __name__ == "__main__":
    main()
