"""What Dagster does about each of our errors: wait, give up at once, or let the run fail."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from actuals_pipeline.errors import (
    AdNotFound,
    InputError,
    MetaRefused,
    MetaThrottled,
    MetaUnavailable,
    SchemaOutOfDate,
)
from actuals_pipeline.orchestration.jobs import PROCESS_TAG

MAX_WAITS = 3
"""Times that a step waits for Meta before its run fails; the next tick tries again anyway.

A run of the command line waits in the client only: somebody sits before it and can start it again.
"""

DEFAULT_WAIT_SECONDS = 60.0
"""Wait where Meta names none (the specification's)."""


@contextmanager
def reacting_to_errors(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
) -> Iterator[None]:
    """Translate our errors inside the block into Dagster's retries and failures."""
    try:
        yield
    except (MetaThrottled, MetaUnavailable) as error:
        raise dg.RetryRequested(
            max_retries=0 if PROCESS_TAG in context.run.tags else MAX_WAITS,
            seconds_to_wait=error.retry_after or DEFAULT_WAIT_SECONDS,
        ) from error
    except (MetaRefused, InputError, AdNotFound, SchemaOutOfDate) as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
