"""Whether a model still predicts as it did, and what to ask for when it does not.

    weeks            pairs by the week in which they matured, each once, as one score a week
    control_charts   CUSUM and EWMA of such scores, many models at once
    run_lengths      how long a chart stays quiet by chance, and the limit for a wanted length
    charts           the weekly rows of every model with their charts
    retraining       from weeks to a state, and from a state to a request: at most one a breach
    versions         one version against the one before, on the ads of both
    assessment       all of it as of a day: the rows that are stored
    decisions        what follows from those rows: advice, requests and their evidence
    input_shift      whether values are spread as they were (PSI)

Daily errors of the same ads are one error told many times; a week of newly matured pairs is news.
"""
