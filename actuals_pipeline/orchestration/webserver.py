"""Dagster's webserver behind a gate, in one process: `python -m ...webserver WORKSPACE SOCKET`.

As `dagster-webserver` does it, but for the gate, and for the listening socket, which it inherits:
who starts it has bound the port, so that a restart loses neither the port nor who waits there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from starlette.types import ASGIApp

from actuals_pipeline.serving.listening import Server, inherited
from actuals_pipeline.serving.ui_gate import UiGate
from actuals_pipeline.settings import Settings

STATEMENT_MILLISECONDS = 15_000
POOL_RECYCLE_SECONDS = 3_600
POOL_OVERFLOW = 20
POLL_MILLISECONDS = 2_000
"""All four as `dagster-webserver` has them."""

STOP_SECONDS = 5
"""Longest that answers under way may take when it stops."""


def gated(context: WorkspaceProcessContext, settings: Settings) -> ASGIApp:
    """Dagster's webserver over `context`, behind the gate that `settings` ask for."""
    app = DagsterWebserver(context, live_data_poll_rate=POLL_MILLISECONDS).create_asgi_app()
    return UiGate(app, settings.ui_password.get_secret_value(), str(settings.home))


def main(workspace: Path, descriptor: int) -> None:
    """Serve the code locations of the file `workspace` on the inherited socket, until a signal."""
    configure_loggers(formatter="colored", log_level="INFO")
    settings = Settings.from_environment()
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        with WorkspaceProcessContext(
            instance,
            version=__version__,
            read_only=settings.ui_read_only,
            workspace_load_target=WorkspaceFileTarget([str(workspace)]),
        ) as context:
            config = uvicorn.Config(
                gated(context, settings),
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
            Server(config).run(sockets=[inherited(descriptor)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
