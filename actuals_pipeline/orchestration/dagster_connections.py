"""How a run keeps its connections to Dagster's own tables."""

from weakref import WeakSet

import dagster as dg

_SECONDS = 600
"""How long a connection is kept; chosen: less than firewalls forget them in."""

_KEEPING = WeakSet[dg.DagsterInstance]()


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let a run that is on its way write its events over connections that stay open.

    Outside of its webserver Dagster opens one for each statement, some 500 a run.  A connection
    that a restarted server has ended fails the run at its next event; the next tick heals that.
    """
    # Once: those that were kept before would stay open, and nobody would use them.
    if instance not in _KEEPING:
        _KEEPING.add(instance)
        instance.optimize_for_webserver(statement_timeout=0, pool_recycle=_SECONDS, max_overflow=5)
