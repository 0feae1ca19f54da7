"""The HTTP interface of `actuals serve`: the answers of the command line as JSON over HTTP.

The event loop only routes; what asks Meta or the database runs in `workers.py`, and the Dagster job
in a process of its own (`sync_runs.py`).  Nothing of this is loaded by other commands.
"""
