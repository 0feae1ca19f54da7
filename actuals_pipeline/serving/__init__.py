"""How people and programs use the pipeline: the command line and the read models behind it.

Commands that only read start without Dagster; those that run the job import it when they do.
"""
