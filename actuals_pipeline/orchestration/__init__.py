"""The thin Dagster shell; no other package imports Dagster.

Files are named by Dagster concept, since that is what a Dagster reader looks for.  Nothing here
computes: each asset loads frames, calls a plain function of a subject package and hands the
result to the IO manager together with the slices that it covers.
"""
